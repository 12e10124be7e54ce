//! `/run/hull/boot.json`: what PID 1 found and did, for the daemon and everybody else. Written once, before the daemon
//! starts.

use super::state::State;
use crate::console::Message;
use serde::Serialize;
use std::collections::BTreeMap;
use std::io::Error;
use std::path::Path;

/// Directory of PID 1's and the daemon's run-time files.
pub(crate) const DIRECTORY: &str = "/run/hull";

/// The whole file.
#[derive(Debug, Serialize)]
pub(crate) struct Report<'a> {
    /// Version of the image.
    pub(crate) version: &'a str,
    /// `a` or `b`.
    pub(crate) slot: &'a str,
    /// The boot loader counts this boot: it must be said to be good.
    pub(crate) trial: bool,
    /// Hex; empty when the root is not verified.
    pub(crate) root_hash: &'a str,
    /// Partition of the slot.
    pub(crate) root_device: &'a str,
    /// Disk that holds it.
    pub(crate) system_disk: &'a str,
    /// Device nodes of its partitions by their names.
    pub(crate) partitions: &'a BTreeMap<String, String>,
    pub(crate) state: &'a State,
    pub(crate) messages: &'a [Message],
    pub(crate) times_us: Times,
}

/// CLOCK_BOOTTIME in microseconds.
#[derive(Debug, Clone, Copy, Default, Serialize)]
pub(crate) struct Times {
    /// The initrd's `/init` began.
    pub(crate) init: u64,
    pub(crate) root_mounted: u64,
    pub(crate) state_ready: u64,
    pub(crate) daemon_started: u64,
}

impl Report<'_> {
    /// Writes the file so that a reader finds all of it or none.
    pub(crate) fn write(&self) -> Result<(), Error> {
        let path = Path::new(DIRECTORY).join("boot.json");
        let temporary = path.with_extension("new");
        std::fs::write(&temporary, serde_json::to_vec(self)?)?;
        std::fs::rename(temporary, path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::boot::state::Kind;
    use crate::console::Severity;

    #[test]
    fn the_form_others_read() {
        let state = State {
            kind: Kind::Tmpfs,
            device: None,
            first_boot: false,
            grown_bytes: 0,
            reason: Some("hull.state=none".into()),
        };
        let messages = [Message { severity: Severity::Warning, text: "x".into() }];
        let times_us = Times { init: 1, root_mounted: 2, state_ready: 3, daemon_started: 4 };
        let report = Report {
            version: "0.1.0",
            slot: "a",
            trial: true,
            root_hash: "00ff",
            root_device: "/dev/vda3",
            system_disk: "/dev/vda",
            partitions: &[("esp".to_owned(), "/dev/vda2".to_owned())].into(),
            state: &state,
            messages: &messages,
            times_us,
        };
        assert_eq!(
            serde_json::to_value(&report).expect("json"),
            serde_json::json!({
                "version": "0.1.0", "slot": "a", "trial": true, "root_hash": "00ff", "root_device": "/dev/vda3", "system_disk": "/dev/vda",
                "partitions": {"esp": "/dev/vda2"},
                "state": {"kind": "tmpfs", "device": null, "first_boot": false, "grown_bytes": 0, "reason": "hull.state=none"},
                "messages": [{"severity": "warning", "text": "x"}],
                "times_us": {"init": 1, "root_mounted": 2, "state_ready": 3, "daemon_started": 4}
            })
        );
    }
}
