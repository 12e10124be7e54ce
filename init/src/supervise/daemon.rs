//! Starts the system daemon: born in its own cgroup and session, with clean signals, the control channel as descriptor 3.

use crate::boot::cgroup::Group;
use crate::process::{self, Session};
use nix::errno::Errno;
use rustix::fs::OFlags;
use rustix::process::{Pid, PidfdFlags, pidfd_open, pidfd_send_signal};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

const PROGRAM: &std::ffi::CStr = c"/usr/bin/system-daemon";
const CONTROL_FD: i32 = 3;
const ENVIRONMENT: [&std::ffi::CStr; 2] = [c"HULL_CONTROL_FD=3", c"PATH=/usr/bin:/usr/sbin"];

/// A running daemon.
#[derive(Debug)]
pub(crate) struct Daemon {
    pub(crate) pid: Pid,
    pidfd: OwnedFd,
}

impl Daemon {
    /// Starts it. PID 1 enters the daemon's cgroup for the moment, so that the daemon is in it from its first instruction.
    pub(crate) fn start(control: BorrowedFd<'_>) -> Result<Self, Errno> {
        let started = Group::Daemon.around(|| spawn(control));
        let pid = Pid::from_raw(started?.as_raw()).ok_or(Errno::ESRCH)?;
        let pidfd = pidfd_open(pid, PidfdFlags::empty()).map_err(|errno| Errno::from_raw(errno.raw_os_error()))?;
        Ok(Self { pid, pidfd })
    }

    /// Kills it; its end is reaped like any other.
    pub(crate) fn kill(&self) {
        if let Err(errno) = pidfd_send_signal(&self.pidfd, rustix::process::Signal::KILL) {
            log::warn!("cannot kill the system daemon: {errno}");
        }
    }
}

fn spawn(control: BorrowedFd<'_>) -> Result<nix::unistd::Pid, Errno> {
    let input = process::open("/dev/null", OFlags::RDONLY)?;
    let output = process::open("/dev/console", OFlags::WRONLY)?;
    let files = [(input.as_fd(), 0), (output.as_fd(), 1), (output.as_fd(), 2), (control, CONTROL_FD)];
    process::spawn(PROGRAM, Session::New, &[c"system-daemon"], &ENVIRONMENT, &files)
}
