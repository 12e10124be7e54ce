//! Containers below `--root`: one directory each, with what later commands need to know.
//!
//! ```text
//! <root>/<id>/            flock(2) held by the command that changes the container
//!   ├ state.json          [`Record`]
//!   └ start               socket the created process waits at; gone once it was started
//! ```
//!
//! Nothing is synced to disk: the root lies on a tmpfs, and no container outlives the machine's run.

use crate::status::{Identity, Status};
use anyhow::{Context, Result, bail, ensure};
use hull_runtime::seccomp::Seccomp;
use oci_spec::runtime::{Hooks, Process};
use rustix::fs::{FlockOperation, flock};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::collections::HashMap;
use std::fs::{self, DirBuilder, File};
use std::io::ErrorKind;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

const STATE: &str = "state.json";
const START: &str = "start";

/// Longest container ID: a file name.
const LONGEST_ID: usize = 255;

/// What is known of a container.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Record {
    pub(crate) id: String,
    /// `ociVersion` of the configuration.
    pub(crate) version: String,
    pub(crate) bundle: PathBuf,
    pub(crate) rootfs: PathBuf,
    /// Absolute path of the cgroup directory.
    pub(crate) cgroup: PathBuf,
    /// RFC 3339.
    pub(crate) created: String,
    /// `None` while it is being created.
    pub(crate) init: Option<Identity>,
    /// The filter, for start and further processes.
    pub(crate) seccomp: Option<Seccomp>,
    /// It joined a mount namespace.
    #[serde(default)]
    pub(crate) shares_mounts: bool,
    /// The configuration's, as default of further processes.
    pub(crate) process: Process,
    pub(crate) hooks: Option<Hooks>,
    pub(crate) annotations: Option<HashMap<String, String>>,
}

impl Record {
    /// The specification's state.
    pub(crate) fn state(&self, status: Status) -> Value {
        let mut state = json!({
            "ociVersion": self.version,
            "id": self.id,
            "status": status.word(),
            "bundle": self.bundle,
        });
        if let Some(init) = self.init.filter(|_| status != Status::Stopped) {
            state["pid"] = json!(init.pid);
        }
        if let Some(annotations) = &self.annotations {
            state["annotations"] = json!(annotations);
        }
        state
    }
}

/// The containers below one root.
#[derive(Debug)]
pub(crate) struct Store {
    root: PathBuf,
}

/// A container's directory, with the sole right to change it.
#[derive(Debug)]
pub(crate) struct Claim {
    directory: PathBuf,
    lock: File,
}

impl Store {
    pub(crate) fn new(root: &Path) -> Result<Self> {
        let root = std::path::absolute(root).with_context(|| format!("--root {}", root.display()))?;
        Ok(Self { root })
    }

    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// Makes the directory of a new container and claims it.
    pub(crate) fn make(&self, id: &str) -> Result<Claim> {
        check_id(id)?;
        let directory = self.root.join(id);
        let mut builder = DirBuilder::new();
        builder.mode(0o700);
        let made = match builder.create(&directory) {
            Err(error) if error.kind() == ErrorKind::NotFound => DirBuilder::new()
                .recursive(true)
                .mode(0o711)
                .create(&self.root)
                .and_then(|()| builder.create(&directory)),
            made => made,
        };
        match made {
            Err(error) if error.kind() == ErrorKind::AlreadyExists => bail!("container {id} already exists"),
            made => made.with_context(|| format!("make {}", directory.display()))?,
        }
        Claim::of(directory)
    }

    /// Claims the directory of an existing container, waiting for other commands to let go of it.
    pub(crate) fn claim(&self, id: &str) -> Result<(Claim, Record)> {
        self.load(id)?;
        let claim = Claim::of(self.root.join(id))?;
        // Once more: it may have been deleted or changed while this command waited.
        Ok((claim, self.load(id)?))
    }

    /// Removes what a creation that was killed left before it wrote a record.
    pub(crate) fn discard(&self, id: &str) -> Result<()> {
        check_id(id)?;
        match fs::remove_dir(self.root.join(id)) {
            Err(error) if error.kind() != ErrorKind::NotFound => Err(error.into()),
            _ => Ok(()),
        }
    }

    pub(crate) fn load(&self, id: &str) -> Result<Record> {
        check_id(id)?;
        let file = self.root.join(id).join(STATE);
        let text = match fs::read(&file) {
            Err(error) if error.kind() == ErrorKind::NotFound => bail!("container {id} does not exist"),
            read => read.with_context(|| format!("read {}", file.display()))?,
        };
        serde_json::from_slice(&text).with_context(|| format!("{}: not written by hull-runtime", file.display()))
    }

    /// All containers in the order of their names; those that cannot be read are reported and left out.
    pub(crate) fn all(&self) -> Result<Vec<Record>> {
        let entries = match fs::read_dir(&self.root) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
            read => read.with_context(|| format!("read {}", self.root.display()))?,
        };
        let names = entries.flatten().filter_map(|entry| entry.file_name().into_string().ok());
        let mut names: Vec<String> = names.filter(|name| check_id(name).is_ok()).collect();
        names.sort();
        let load = |name: &String| {
            self.load(name).inspect_err(|error| crate::journal::warning(&format!("{name} left out: {error:#}"))).ok()
        };
        Ok(names.iter().filter_map(load).collect())
    }

    /// What a container is doing now.
    pub(crate) fn status(&self, record: &Record) -> Status {
        match record.init {
            None => Status::Creating,
            Some(init) if !init.lives() => Status::Stopped,
            Some(_) if self.root.join(&record.id).join(START).exists() => Status::Created,
            Some(_) if hull_runtime::cgroup::is_frozen(&record.cgroup) => Status::Paused,
            Some(_) => Status::Running,
        }
    }
}

impl Claim {
    fn of(directory: PathBuf) -> Result<Self> {
        let lock = File::open(&directory).with_context(|| format!("open {}", directory.display()))?;
        flock(&lock, FlockOperation::LockExclusive).with_context(|| format!("lock {}", directory.display()))?;
        Ok(Self { directory, lock })
    }

    /// Replaces the record as a whole.
    pub(crate) fn save(&self, record: &Record) -> Result<()> {
        let (file, new) = (self.directory.join(STATE), self.directory.join("state.new"));
        let written = fs::write(&new, serde_json::to_vec(record)?).and_then(|()| fs::rename(&new, &file));
        written.with_context(|| format!("write {}", file.display()))
    }

    /// Path of the socket the created process waits at.
    pub(crate) fn start_socket(&self) -> PathBuf {
        self.directory.join(START)
    }

    /// Takes the container out of the store.
    pub(crate) fn remove(self) -> Result<()> {
        fs::remove_dir_all(&self.directory).with_context(|| format!("remove {}", self.directory.display()))
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        // Not left to closing: the created process still holds a copy of the descriptor.
        if let Err(errno) = flock(&self.lock, FlockOperation::Unlock) {
            crate::journal::warning(&format!("unlock {}: {errno}", self.directory.display()));
        }
    }
}

/// A name that is one plain file name; those beginning with a dot are the store's own.
fn check_id(id: &str) -> Result<()> {
    let plain = |letter: char| letter.is_ascii_alphanumeric() || "_+-.".contains(letter);
    let good = !id.is_empty() && id.len() <= LONGEST_ID && !id.starts_with('.') && id.chars().all(plain);
    ensure!(good, "container ID {id:?}: 1 to {LONGEST_ID} letters, digits or _ + - ., not beginning with a dot");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_stay_below_the_root() {
        for (id, good) in [("a", true), ("a.b+c_d-9", true), ("", false), ("..", false), (".x", false), ("a/b", false)]
        {
            assert_eq!(check_id(id).is_ok(), good, "{id}");
        }
        assert!(check_id(&"a".repeat(LONGEST_ID + 1)).is_err());
    }

    #[test]
    fn a_name_is_taken_once_and_free_after_removal() {
        let dir = tempfile::tempdir().expect("temporary directory");
        let store = Store::new(&dir.path().join("root")).expect("store");
        let claim = store.make("x").expect("first");
        assert!(store.make("x").expect_err("second").to_string().contains("already exists"));
        assert!(store.load("x").expect_err("no record yet").to_string().contains("does not exist"));
        claim.remove().expect("remove");
        store.make("x").expect("again");
    }
}
