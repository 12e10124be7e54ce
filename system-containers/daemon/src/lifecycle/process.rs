//! Identity of a process over a restart of the daemon: its id, checked by start time and cgroup.

use rustix::fd::OwnedFd;
use rustix::process::{Pid, PidfdFlags};
use std::path::Path;

/// Field 22 of `/proc/<pid>/stat`: clock ticks since boot at which it started. `None` when it is gone or a zombie.
pub fn start_ticks(pid: Pid) -> Option<u64> {
    parse_start_ticks(&std::fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_nonzero())).ok()?)
}

/// The name in field 2 may hold anything, so fields are counted from its last `)`.
fn parse_start_ticks(stat: &str) -> Option<u64> {
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace();
    let state = fields.next()?;
    (!matches!(state, "Z" | "X")).then(|| fields.nth(18)?.parse().ok())?
}

/// A descriptor of the process, if it still is the one that started at `ticks` and lives in the cgroup directory.
pub fn find(pid: Pid, ticks: u64, cgroup: &Path) -> Option<OwnedFd> {
    let pidfd = rustix::process::pidfd_open(pid, PidfdFlags::empty()).ok()?;
    // Checked after the descriptor is open: from here on the id cannot be another process's without it noticing.
    let inside = hull_runtime::cgroup::pids(cgroup).ok()?.contains(&pid);
    (start_ticks(pid) == Some(ticks) && inside).then_some(pidfd)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn start_time_survives_odd_names() {
        let fields = "S 1 1 1 0 -1 4194560 1 0 0 0 0 0 0 0 20 0 1 0 777 1000 1";
        assert_eq!(parse_start_ticks(&format!("12 (a) b) {fields}")), Some(777));
        assert_eq!(parse_start_ticks(&format!("12 (a) {}", fields.replacen('S', "Z", 1))), None);
        assert_eq!(parse_start_ticks(""), None);
        assert!(start_ticks(rustix::process::getpid()).is_some());
    }
}
