//! Which entries are still to be done for an instance. On the disk before an entry is begun, and without it once it is done:
//! whatever fails, or is cut short, is tried again by the next boot, and nothing that was done is.
//!
//! ```text
//! disks.stamp          instance for which every entry was tried; an earlier version of the OS knows this alone
//! disks-pending.json   {"instance", "pending": [entry …]}
//! ```

use crate::stage::stamp::Stamp;
use crate::store;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

const FILE_NAME: &str = "disks-pending.json";
/// A name for each of hundreds of disks.
const MAX_FILE: u64 = 64 << 10;

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Record {
    instance: String,
    pending: BTreeSet<String>,
}

/// The entries that are to be done.
#[derive(Debug)]
pub struct Pending {
    path: PathBuf,
    stamp: Stamp,
    record: Record,
    is_new: bool,
    failure: Option<anyhow::Error>,
}

impl Pending {
    /// Those of `all` that were not done for this instance, as a directory tells.
    pub fn load(directory: &Path, instance: &str, all: impl Iterator<Item = String>) -> Self {
        let (path, stamp) = (directory.join(FILE_NAME), Stamp::new(directory, "disks"));
        let is_new = !stamp.is_set(instance);
        // A file that is broken says as much as none: the stamp is what counts.
        let content = store::read_bounded(&path, MAX_FILE).ok().flatten();
        let known: Option<Record> = content.and_then(|content| serde_json::from_slice(&content).ok());
        let known = known.filter(|known| known.instance == instance);
        let found = known.is_some();
        let record = known.unwrap_or_else(|| Record {
            instance: instance.to_owned(),
            pending: if is_new { all.collect() } else { BTreeSet::new() },
        });
        let mut pending = Self { path, stamp, record, is_new, failure: None };
        if !found && !pending.record.pending.is_empty() {
            pending.save();
        }
        pending
    }

    /// Whether this entry is to be done.
    pub(super) fn has(&self, entry: &str) -> bool {
        self.record.pending.contains(entry)
    }

    /// Whether there is anything to do.
    pub fn is_empty(&self) -> bool {
        self.record.pending.is_empty()
    }

    /// No boot before this one has tried all of them.
    pub fn is_new(&self) -> bool {
        self.is_new
    }

    /// This one is done.
    pub(super) fn done(&mut self, entry: &str) {
        if self.record.pending.remove(entry) {
            self.save();
        }
    }

    /// All of them were tried.
    ///
    /// # Errors
    /// When the disk did not take one of these records: then the next boot does more again than it should.
    pub fn finish(mut self) -> anyhow::Result<()> {
        if self.is_new {
            let set = self.stamp.set(&self.record.instance);
            self.note(set);
        }
        self.failure.map_or(Ok(()), Err)
    }

    fn save(&mut self) {
        let saved = serde_json::to_vec(&self.record).map_err(anyhow::Error::from);
        let saved = saved.and_then(|content| store::write(&self.path, &content, 0o600));
        self.note(saved);
    }

    fn note(&mut self, result: anyhow::Result<()>) {
        self.failure = self.failure.take().or(result.err());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entries() -> impl Iterator<Item = String> {
        ["a", "b"].into_iter().map(str::to_owned)
    }

    #[test]
    fn what_is_done_is_done_for_one_instance() {
        let directory = tempfile::tempdir().unwrap();
        let load = |instance: &str| Pending::load(directory.path(), instance, entries());
        let mut pending = load("i-1");
        assert!(pending.is_new() && pending.has("a") && pending.has("b"));
        pending.done("a");
        // The power is cut: the others are still there to be done, and this one is not.
        let mut pending = load("i-1");
        assert!(pending.is_new() && !pending.has("a") && pending.has("b"));
        pending.finish().unwrap();
        pending = load("i-1");
        assert!(!pending.is_new() && !pending.has("a") && pending.has("b"));
        pending.done("b");
        pending.finish().unwrap();
        assert!(load("i-1").is_empty());
        assert!(load("i-2").has("a"));
    }

    #[test]
    fn records_of_earlier_versions_and_broken_ones() {
        let directory = tempfile::tempdir().unwrap();
        let load = |instance: &str| Pending::load(directory.path(), instance, entries());
        Stamp::new(directory.path(), "disks").set("i-1").unwrap();
        assert!(load("i-1").is_empty());
        std::fs::write(directory.path().join(FILE_NAME), "{").unwrap();
        assert!(load("i-1").is_empty() && load("i-2").has("a"));
    }

    #[test]
    fn a_disk_that_takes_no_record_is_said() {
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("file"), "").unwrap();
        let mut pending = Pending::load(&directory.path().join("file/x"), "i-1", entries());
        pending.done("a");
        assert!(pending.has("b") && pending.finish().is_err());
    }
}
