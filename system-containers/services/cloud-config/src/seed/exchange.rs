//! The two files that `compile`, which has no network, and `fetch`, which has nothing else, speak through: what is wanted,
//! and what was found. They live in `/run/hull/metadata`, for one boot.

use super::base::{Base, Location};
use super::medium::Medium;
use super::platform::Origin;
use crate::store;
use anyhow::Context;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::Path;

const WANTED: &str = "wanted.json";
const FETCHED: &str = "fetched.json";
/// Bytes of either file: a medium and includes of 16 MiB together as JSON arrays of numbers.
const MAX_FILE: u64 = 96 << 20;

/// Contents of include lists by URL.
pub type Includes = BTreeMap<String, Vec<u8>>;

/// What has to be fetched before the user data is whole.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Wanted {
    /// Where everything is.
    pub origin: Option<Origin>,
    /// What include lists of a local medium name.
    pub include: Vec<String>,
    /// Where base configuration is.
    pub base: Option<Location>,
}

/// What was found.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fetched {
    /// What it was an answer to.
    pub wanted: Wanted,
    /// The origin's data in the form of a medium.
    pub medium: Option<Medium>,
    /// What include lists name, those of the medium too.
    pub includes: Includes,
    /// Base configuration.
    pub base: Option<Base>,
    /// Why there is none.
    pub base_failure: Option<String>,
    /// Why something is missing, a sentence each.
    pub failures: Vec<String>,
    /// What is good to know.
    pub remarks: Vec<String>,
}

impl Wanted {
    /// Nothing is missing.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// What `compile` wants; `None` when it wants nothing.
    pub fn load(directory: &Path) -> anyhow::Result<Option<Self>> {
        load(directory, WANTED)
    }

    /// Leaves it for `fetch`.
    pub fn save(&self, directory: &Path) -> anyhow::Result<()> {
        store::write(&directory.join(WANTED), &serde_json::to_vec(self)?, 0o600)
    }
}

impl Fetched {
    /// What `fetch` found; `None` while it has not ended.
    pub fn load(directory: &Path) -> anyhow::Result<Option<Self>> {
        load(directory, FETCHED)
    }

    /// Leaves it for `compile`.
    pub fn save(&self, directory: &Path) -> anyhow::Result<()> {
        store::write(&directory.join(FETCHED), &serde_json::to_vec(self)?, 0o600)
    }

    /// Whether `fetch` has ended.
    pub fn is_there(directory: &Path) -> bool {
        directory.join(FETCHED).exists()
    }
}

fn load<T: DeserializeOwned>(directory: &Path, name: &str) -> anyhow::Result<Option<T>> {
    let path = directory.join(name);
    let Some(content) = store::read_bounded(&path, MAX_FILE)? else { return Ok(None) };
    serde_json::from_slice(&content).map(Some).with_context(|| format!("read {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_files_round_trip() {
        let directory = tempfile::tempdir().unwrap();
        assert_eq!(Wanted::load(directory.path()).unwrap(), None);
        let wanted =
            Wanted { origin: Some(Origin::NoCloud("http://a/".into())), include: vec!["http://b".into()], base: None };
        wanted.save(directory.path()).unwrap();
        assert_eq!(Wanted::load(directory.path()).unwrap(), Some(wanted.clone()));
        assert!(!wanted.is_empty() && Wanted::default().is_empty());
        assert!(!Fetched::is_there(directory.path()));
        let includes = Includes::from([("http://b".to_owned(), vec![0, 255])]);
        let fetched = Fetched { wanted, includes, failures: vec!["x".into()], ..Fetched::default() };
        fetched.save(directory.path()).unwrap();
        assert_eq!(Fetched::load(directory.path()).unwrap(), Some(fetched));
        std::fs::write(directory.path().join(FETCHED), "{").unwrap();
        assert!(Fetched::load(directory.path()).is_err() && Fetched::is_there(directory.path()));
    }
}
