//! Starts programs from PID 1, with clean signals, since PID 1 blocks them all and a blocked
//! or ignored signal is inherited.

use nix::errno::Errno;
use nix::spawn::{PosixSpawnAttr, PosixSpawnFileActions, PosixSpawnFlags, posix_spawn};
use nix::sys::signal::{SigSet, Signal};
use nix::unistd::Pid;
use rustix::fs::{Mode, OFlags};
use std::ffi::CStr;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};

/// POSIX_SPAWN_SETSID of glibc's spawn.h, which nix does not name: a Ctrl-C on the console is not for the daemon.
const SETSID: nix::libc::c_short = 0x80;
const SHELL: &CStr = c"/usr/bin/busybox";

/// Opens a device without making it the controlling terminal.
pub(crate) fn open(path: &str, access: OFlags) -> Result<OwnedFd, Errno> {
    rustix::fs::open(path, access | OFlags::NOCTTY | OFlags::CLOEXEC, Mode::empty())
        .map_err(|errno| Errno::from_raw(errno.raw_os_error()))
}

/// Whether the child leads a session from its first instruction, or makes one itself as busybox `setsid` does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Session {
    New,
    Inherited,
}

/// Starts `program`; `files` are the descriptors it gets and their numbers.
pub(crate) fn spawn(
    program: &CStr,
    session: Session,
    arguments: &[&CStr],
    environment: &[&CStr],
    files: &[(BorrowedFd<'_>, i32)],
) -> Result<Pid, Errno> {
    let mut actions = PosixSpawnFileActions::init()?;
    for (fd, number) in files {
        actions.add_dup2(fd.as_raw_fd(), *number)?;
    }
    let mut attributes = PosixSpawnAttr::init()?;
    let signals = PosixSpawnFlags::POSIX_SPAWN_SETSIGMASK | PosixSpawnFlags::POSIX_SPAWN_SETSIGDEF;
    let session = if session == Session::New { SETSID } else { 0 };
    attributes.set_flags(signals | PosixSpawnFlags::from_bits_retain(session.into()))?;
    attributes.set_sigmask(&SigSet::empty())?;
    let mut defaults = SigSet::empty();
    // Rust's runtime ignores it in PID 1, and ignoring is inherited.
    defaults.add(Signal::SIGPIPE);
    attributes.set_sigdefault(&defaults)?;
    posix_spawn(program, &actions, &attributes, arguments, environment)
}

/// Starts a root shell on `terminal`, which becomes its controlling terminal; `prompt` is `PS1=...`.
pub(crate) fn shell(terminal: &str, arguments: &[&CStr], prompt: &CStr) -> Result<Pid, Errno> {
    use std::os::fd::AsFd;
    let terminal = open(terminal, OFlags::RDWR)?;
    let files = [0, 1, 2].map(|number| (terminal.as_fd(), number));
    let environment = [c"PATH=/usr/bin:/usr/sbin", c"HOME=/run", c"TERM=linux", prompt];
    spawn(SHELL, Session::Inherited, arguments, &environment, &files)
}
