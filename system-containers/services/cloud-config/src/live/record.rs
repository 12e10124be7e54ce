//! The way back from a live change, on the state partition.
//!
//! ```text
//! /state/cloud/live/pending.json   a change nobody confirmed yet: the next boot takes it back
//!                   last.json      the last one that stays: what `hull config revert` takes back
//! ```
//! Confirming renames the first to the second: one step. A record is there before anything is changed and goes when all
//! is undone, and undoing twice is the same as once; so the power may fail between any two steps.

use super::durable;
use crate::machine::fragments::{Texts, USER_DATA_FRAGMENT};
use crate::paths::Paths;
use crate::store;
use anyhow::Context;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::PathBuf;

const PENDING: &str = "pending.json";
const LAST: &str = "last.json";
/// More than all fragments of a machine.
const MAX_SIZE: u64 = 16 << 20;
/// Ending of a fragment that was taken back: its name is no longer that of a fragment.
const TAKEN_BACK: &str = "reverted";

/// Text of each changed fragment before the change, by file name; none: there was no such fragment.
pub type Before = BTreeMap<String, Option<String>>;

/// A change that is confirmed, or waits for it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// The boot it was made in.
    pub boot_id: String,
    /// Seconds since that boot at which it is taken back; none: it was not to be confirmed.
    pub deadline: Option<u64>,
    /// What it changes, for people: dotted keys.
    #[serde(default)]
    pub keys: Vec<String>,
    /// The way back.
    pub before: Before,
}

/// What differs between fragments in force and those on the disk. User data is not among it: each boot makes its
/// fragment anew.
pub fn differences(in_force: &Texts, disk: &Texts) -> Before {
    let names = in_force.keys().chain(disk.keys()).filter(|name| *name != USER_DATA_FRAGMENT);
    let changed = names.filter(|name| in_force.get(*name) != disk.get(*name));
    changed.map(|name| (name.clone(), in_force.get(name).cloned())).collect()
}

/// The change that waits to be confirmed.
pub fn pending(paths: &Paths) -> anyhow::Result<Option<Change>> {
    load(paths, PENDING)
}

/// The last change that stays.
pub fn last(paths: &Paths) -> anyhow::Result<Option<Change>> {
    load(paths, LAST)
}

/// Makes the way back known before the change is made.
pub fn begin(paths: &Paths, change: &Change) -> anyhow::Result<()> {
    let name = if change.deadline.is_some() { PENDING } else { LAST };
    durable::write(&at(paths, name), &serde_json::to_vec(change)?)
}

/// The change that waits stays.
pub fn confirm(paths: &Paths) -> anyhow::Result<()> {
    durable::rename(&at(paths, PENDING), &at(paths, LAST))
}

/// Gives the fragments the texts they had. What is something else now is kept under a name of its own; these names.
pub fn restore(paths: &Paths, before: &Before) -> anyhow::Result<Vec<String>> {
    let mut kept = Vec::new();
    for (name, old) in before {
        let path = paths.state_config.join(name);
        let now = store::read_bounded(&path, MAX_SIZE);
        if now.is_ok_and(|now| now.as_deref() == old.as_ref().map(String::as_bytes)) {
            continue;
        }
        if path.symlink_metadata().is_ok() {
            let aside = format!("{name}.{TAKEN_BACK}");
            durable::rename(&path, &paths.state_config.join(&aside))?;
            kept.push(aside);
        }
        if let Some(text) = old {
            durable::write(&path, text.as_bytes())?;
        }
    }
    Ok(kept)
}

/// The last change waits once more, so that taking it back ends at the next boot if it does not end before.
pub fn reopen(paths: &Paths) -> anyhow::Result<()> {
    durable::rename(&at(paths, LAST), &at(paths, PENDING))
}

/// Forgets the change that waits: all of it is undone.
pub fn forget(paths: &Paths) -> anyhow::Result<()> {
    durable::remove(&at(paths, PENDING))
}

fn load(paths: &Paths, name: &str) -> anyhow::Result<Option<Change>> {
    let path = at(paths, name);
    let Some(content) = store::read_bounded(&path, MAX_SIZE)? else { return Ok(None) };
    let parsed: Result<Change, _> = serde_json::from_slice(&content);
    match parsed {
        Ok(change) => Ok(Some(change)),
        Err(error) => {
            durable::rename(&path, &path.with_extension("json.broken"))?;
            Err(error).with_context(|| format!("{} is broken and was put aside", path.display()))
        }
    }
}

fn at(paths: &Paths, name: &str) -> PathBuf {
    paths.cloud_state.join("live").join(name)
}
