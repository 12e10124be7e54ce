//! What must outlive the daemon: `/run/hull/services/<name>/state.json`. On a tmpfs, so it is fresh at every boot and
//! needs no fsync; written by rename, so it is never seen half.

use super::machine::Machine;
use super::oom::Kills;
use crate::clock::WallTime;
use crate::replace::replace;
use serde::{Deserialize, Serialize};
use std::io;
use std::path::{Path, PathBuf};

/// Name of the file.
const FILE: &str = "state.json";

/// One service's record.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// Its state machine.
    pub machine: Machine,
    /// Container id, the same until power off.
    pub id: String,
    /// First process of the running, or last, container.
    pub pid: Option<i32>,
    /// Start time of that process in clock ticks.
    pub start_ticks: u64,
    /// When the first container was made.
    pub created: Option<WallTime>,
    /// When that process started.
    pub started: Option<WallTime>,
    /// The same in microseconds of `CLOCK_BOOTTIME`.
    pub started_us: u64,
    /// When the last container ended.
    pub finished: Option<WallTime>,
    /// Its raw wait status.
    pub exit_status: Option<i32>,
    /// Ends so far.
    #[serde(default)]
    pub exits: u64,
    /// Its container is frozen.
    #[serde(default)]
    pub paused: bool,
    /// Latest starts, at most as many as the start limit allows, microseconds of `CLOCK_BOOTTIME`.
    #[serde(default)]
    pub starts: Vec<u64>,
    /// Time between two signs of life the service asked for itself, microseconds.
    #[serde(default)]
    pub watchdog_us: Option<u64>,
    /// What the kernel killed for want of memory.
    #[serde(default)]
    pub oom: Kills,
    /// When it first became ready, microseconds of `CLOCK_BOOTTIME`.
    pub ready_us: Option<u64>,
}

impl Record {
    /// A new service's record.
    pub fn fresh() -> Self {
        Self { id: new_id(), ..Self::default() }
    }

    /// Reads a record; `None` when there is none. A torn or foreign file is set aside under another name.
    pub fn load(folder: &Path) -> io::Result<Option<Self>> {
        let path = folder.join(FILE);
        let text = match std::fs::read_to_string(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            other => other?,
        };
        match serde_json::from_str(&text) {
            Ok(record) => Ok(Some(record)),
            Err(error) => {
                log::warn!("{}: {error}; set aside", path.display());
                std::fs::rename(&path, quarantine(&path))?;
                Ok(None)
            }
        }
    }

    /// Writes the record.
    pub fn save(&self, folder: &Path) -> io::Result<()> {
        replace(&folder.join(FILE), &serde_json::to_vec(self)?)
    }
}

fn quarantine(path: &Path) -> PathBuf {
    path.with_extension("json.bad")
}

/// 64 hexadecimal digits, as Docker's: two random UUIDs of the kernel.
pub fn new_id() -> String {
    let uuid = || std::fs::read_to_string("/proc/sys/kernel/random/uuid").unwrap_or_default().trim().replace('-', "");
    format!("{}{}", uuid(), uuid())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_survive_and_foreign_files_are_set_aside() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(Record::load(folder.path()).unwrap(), None);
        let record = Record { pid: Some(3), ..Record::fresh() };
        assert_eq!(record.id.len(), 64);
        record.save(folder.path()).unwrap();
        assert_eq!(Record::load(folder.path()).unwrap(), Some(record));
        std::fs::write(folder.path().join(FILE), "{\"machine\":").unwrap();
        assert_eq!(Record::load(folder.path()).unwrap(), None);
        assert!(folder.path().join("state.json.bad").exists());
    }
}
