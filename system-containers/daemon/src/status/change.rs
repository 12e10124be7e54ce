//! A change of the machine configuration that waits to be confirmed, as the service `live-config` recorded it.

use super::reports::read;
use crate::clock::boot_micros;
use crate::paths::Paths;
use serde::{Deserialize, Serialize};

/// Such a change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PendingChange {
    /// What it changes, as dotted keys.
    pub keys: Vec<String>,
    /// Until it is taken back; 0: it is being taken back.
    pub seconds_left: u64,
}

/// What of the record matters here. The rest is the way back.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Record {
    boot_id: String,
    /// Seconds of `CLOCK_BOOTTIME`.
    deadline: Option<u64>,
    keys: Vec<String>,
}

/// The change that waits, if it is one of this boot: one of an earlier boot is taken back before anybody logs in.
pub fn pending(paths: &Paths) -> Option<PendingChange> {
    let record: Record = read(&paths.pending_change());
    let boot_id = std::fs::read_to_string(paths.boot_id()).ok()?;
    if record.boot_id.is_empty() || record.boot_id != boot_id.trim() {
        return None;
    }
    let seconds_left = record.deadline.unwrap_or(0).saturating_sub(boot_micros() / 1_000_000);
    Some(PendingChange { keys: record.keys, seconds_left })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_of_this_boot_is_shown_until_it_is_gone() {
        let folder = tempfile::tempdir().unwrap();
        let paths = Paths { root: folder.path().into(), ..Paths::machine() };
        for file in [paths.boot_id(), paths.pending_change()] {
            std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        }
        std::fs::write(paths.boot_id(), "b-1\n").unwrap();
        assert_eq!(pending(&paths), None);
        let in_an_hour = boot_micros() / 1_000_000 + 3600;
        for (record, expected) in [
            (
                format!(
                    r#"{{"boot_id": "b-1", "deadline": {in_an_hour}, "keys": ["hostname"], "before": {{"a": null}}}}"#
                ),
                Some((1, 3590..3601)),
            ),
            (r#"{"boot_id": "b-1", "deadline": 0, "keys": ["hostname"], "before": {}}"#.into(), Some((1, 0..1))),
            // Of an earlier version, and being taken back on request.
            (r#"{"boot_id": "b-1", "deadline": null, "before": {}}"#.into(), Some((0, 0..1))),
            (format!(r#"{{"boot_id": "b-0", "deadline": {in_an_hour}, "keys": ["hostname"], "before": {{}}}}"#), None),
            ("{\"boot_id\": ".into(), None),
            ("{}".into(), None),
        ] {
            std::fs::write(paths.pending_change(), &record).unwrap();
            let found = pending(&paths);
            assert_eq!(found.is_some(), expected.is_some(), "{record}");
            if let Some((found, (keys, left))) = found.zip(expected) {
                assert_eq!(found.keys.len(), keys, "{record}");
                assert!(left.contains(&found.seconds_left), "{record}: {found:?}");
            }
        }
    }
}
