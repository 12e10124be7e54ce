//! Identity of a process: its number, which after its end may be another's, checked by a descriptor; over a restart of the
//! daemon by start time and cgroup.

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags};
use std::io;
use std::path::Path;

/// First process of a container.
#[derive(Debug)]
pub struct Init {
    pid: Pid,
    pidfd: OwnedFd,
}

impl Init {
    /// A process by its number and a descriptor of it.
    pub fn new(pid: Pid, pidfd: OwnedFd) -> Self {
        Self { pid, pidfd }
    }

    /// Number in the host's numbering; whatever is opened by it counts only if the process lives afterwards.
    pub fn pid(&self) -> Pid {
        self.pid
    }

    /// Its root directory with its mounts, as an `O_PATH` descriptor. `ESRCH` when it has ended.
    pub fn root(&self) -> io::Result<OwnedFd> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let root = rustix::fs::open(format!("/proc/{}/root", self.pid.as_raw_nonzero()), flags, Mode::empty());
        // Asked afterwards: as long as it has not ended its number is nobody else's, so what was opened is its own.
        self.alive()?;
        Ok(root?)
    }

    /// A pidfd can be read when its process has ended, reaped or not: pidfd_open(2).
    fn alive(&self) -> io::Result<()> {
        match poll(&mut [PollFd::new(&self.pidfd, PollFlags::IN)], Some(&Timespec::default()))? {
            0 => Ok(()),
            _ => Err(Errno::SRCH.into()),
        }
    }
}

impl AsFd for Init {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.pidfd.as_fd()
    }
}

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

    /// As if the number of a process that has ended were this process's now.
    #[test]
    fn a_number_that_is_anothers_now_leads_nowhere() {
        let this = rustix::process::getpid();
        let open = |pid| rustix::process::pidfd_open(pid, PidfdFlags::empty()).unwrap();
        Init::new(this, open(this)).root().unwrap();
        let mut child = std::process::Command::new("/bin/sleep").arg("60").spawn().unwrap();
        let other = Pid::from_child(&child);
        let pidfd = open(other);
        let reused = Init::new(this, pidfd.try_clone().unwrap());
        reused.root().unwrap();
        child.kill().unwrap();
        rustix::process::waitid(
            rustix::process::WaitId::PidFd(pidfd.as_fd()),
            rustix::process::WaitIdOptions::EXITED | rustix::process::WaitIdOptions::NOWAIT,
        )
        .unwrap();
        for init in [&reused, &Init::new(other, pidfd)] {
            assert_eq!(init.root().unwrap_err().raw_os_error(), Some(Errno::SRCH.raw_os_error()));
        }
        child.wait().unwrap();
        assert_eq!(reused.root().unwrap_err().raw_os_error(), Some(Errno::SRCH.raw_os_error()));
    }

    #[test]
    fn start_time_survives_odd_names() {
        let fields = "S 1 1 1 0 -1 4194560 1 0 0 0 0 0 0 0 20 0 1 0 777 1000 1";
        assert_eq!(parse_start_ticks(&format!("12 (a) b) {fields}")), Some(777));
        assert_eq!(parse_start_ticks(&format!("12 (a) {}", fields.replacen('S', "Z", 1))), None);
        assert_eq!(parse_start_ticks(""), None);
        assert!(start_ticks(rustix::process::getpid()).is_some());
    }
}
