//! Starts the system daemon: born in its own cgroup and session, with clean signals, the control channel as descriptor 3.

use crate::boot::cgroup::Group;
use nix::errno::Errno;
use nix::spawn::{PosixSpawnAttr, PosixSpawnFileActions, PosixSpawnFlags, posix_spawn};
use nix::sys::signal::{SigSet, Signal};
use rustix::fs::{Mode, OFlags};
use rustix::process::{Pid, PidfdFlags, pidfd_open, pidfd_send_signal};
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};

const PROGRAM: &std::ffi::CStr = c"/usr/bin/system-daemon";
const CONTROL_FD: i32 = 3;
const ENVIRONMENT: [&std::ffi::CStr; 2] = [c"HULL_CONTROL_FD=3", c"PATH=/usr/bin:/usr/sbin"];
/// POSIX_SPAWN_SETSID of glibc's spawn.h, which nix does not name: a Ctrl-C on the console is not for the daemon.
const SETSID: nix::libc::c_short = 0x80;

/// A running daemon.
#[derive(Debug)]
pub(crate) struct Daemon {
    pub(crate) pid: Pid,
    pidfd: OwnedFd,
}

impl Daemon {
    /// Starts it. PID 1 enters the daemon's cgroup for the moment, so that the daemon is in it from its first instruction.
    pub(crate) fn start(control: BorrowedFd<'_>) -> Result<Self, Errno> {
        enter(Group::Daemon);
        let started = spawn(control);
        enter(Group::Init);
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

/// Without cgroups the daemon still runs.
fn enter(group: Group) {
    if let Err(error) = group.enter() {
        log::warn!("cannot enter cgroup {group:?}: {error}");
    }
}

fn open(path: &str, access: OFlags) -> Result<OwnedFd, Errno> {
    rustix::fs::open(path, access | OFlags::NOCTTY | OFlags::CLOEXEC, Mode::empty())
        .map_err(|errno| Errno::from_raw(errno.raw_os_error()))
}

fn spawn(control: BorrowedFd<'_>) -> Result<nix::unistd::Pid, Errno> {
    let input = open("/dev/null", OFlags::RDONLY)?;
    let output = open("/dev/console", OFlags::WRONLY)?;
    let mut files = PosixSpawnFileActions::init()?;
    for (fd, target) in [(&input, 0), (&output, 1), (&output, 2)] {
        files.add_dup2(fd.as_raw_fd(), target)?;
    }
    files.add_dup2(control.as_raw_fd(), CONTROL_FD)?;
    let mut attributes = PosixSpawnAttr::init()?;
    let signals = PosixSpawnFlags::POSIX_SPAWN_SETSIGMASK | PosixSpawnFlags::POSIX_SPAWN_SETSIGDEF;
    attributes.set_flags(signals | PosixSpawnFlags::from_bits_retain(SETSID.into()))?;
    attributes.set_sigmask(&SigSet::empty())?;
    let mut defaults = SigSet::empty();
    // Rust's runtime ignores it in PID 1, and ignoring is inherited.
    defaults.add(Signal::SIGPIPE);
    attributes.set_sigdefault(&defaults)?;
    posix_spawn(PROGRAM, &files, &attributes, &[c"system-daemon"], &ENVIRONMENT)
}
