//! In the helper: joins a running container and makes a process in it.
//!
//! The helper joins before it forks, so the new process never has the host's root or mounts, which the container could
//! reach through `/proc/<pid>/root`; and it is not dumpable until execve, so it cannot be traced either.

use super::{Made, of_io, open_cgroup, process, read_filter, spawn};
use crate::error::{StartError, Step};
use crate::launch::TerminalSize;
use crate::plan;
use nix::sched::CloneFlags;
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use rustix::process::{
    DumpableBehavior, Gid, Pid, PidfdFlags, Uid, ioctl_tiocsctty, pidfd_open, set_dumpable_behavior,
};
use rustix::pty::{OpenptFlags, ioctl_tiocgptpeer, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};
use rustix::thread::{ThreadNameSpaceType, move_into_thread_name_spaces};
use std::io::ErrorKind;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

/// The multiplexer of the container's own devpts.
const PTMX: &str = "/dev/pts/ptmx";

/// Starts a process in a running container.
pub(crate) fn exec(plan: &plan::Exec, streams: [OwnedFd; 3]) -> Result<Made, StartError> {
    let at_init = |errno| StartError::at(Step::JoinNamespaces, Path::new("/proc").join(plan.init.to_string()), errno);
    let filter = read_filter(plan.seccomp.as_deref())?;
    match std::fs::create_dir(&plan.cgroup) {
        Err(error) if error.kind() != ErrorKind::AlreadyExists => {
            return Err(StartError::at(Step::Cgroup, &plan.cgroup, of_io(&error)));
        }
        _ => {}
    }
    let cgroup = open_cgroup(&plan.cgroup)?;
    let pid = Pid::from_raw(plan.init).ok_or_else(|| at_init(Errno::SRCH))?;
    let init = pidfd_open(pid, PidfdFlags::empty()).map_err(at_init)?;
    take_oom_score(plan.init).map_err(|error| at_init(of_io(&error)))?;
    set_dumpable_behavior(DumpableBehavior::NotDumpable).map_err(at_init)?;
    // Not yet the cgroup namespace: where it is a delegation boundary (mount option nsdelegate), nobody inside may place
    // a process that comes from outside.
    let namespaces = ThreadNameSpaceType::MOUNT
        | ThreadNameSpaceType::PROCESS_ID
        | ThreadNameSpaceType::HOST_NAME_AND_NIS_DOMAIN_NAME
        | ThreadNameSpaceType::INTER_PROCESS_COMMUNICATION
        | ThreadNameSpaceType::NETWORK;
    move_into_thread_name_spaces(init.as_fd(), namespaces).map_err(at_init)?;

    let terminal = plan.tty.then(|| terminal(plan.size, plan.process.uid)).transpose();
    let terminal = terminal.map_err(|errno| StartError::at(Step::Terminal, PTMX, errno))?;
    let (pid, pidfd) = spawn(CloneFlags::empty(), cgroup.as_fd(), || {
        move_into_thread_name_spaces(init.as_fd(), ThreadNameSpaceType::CONTROL_GROUP).map_err(at_init)?;
        match &terminal {
            None => process::begin(streams.each_ref().map(AsFd::as_fd))?,
            Some(Terminal { slave, .. }) => {
                process::begin([slave.as_fd(); 3])?;
                ioctl_tiocsctty(slave).map_err(|errno| StartError::of(Step::Terminal, errno))?;
            }
        }
        process::run(&plan.process, filter.as_ref())
    })?;
    Ok(Made { pid, pidfd, terminal: terminal.map(|terminal| terminal.master) })
}

/// Takes over the container's OOM score, which the new process inherits; the caller's own may protect it far better.
fn take_oom_score(init: i32) -> std::io::Result<()> {
    let score = std::fs::read(format!("/proc/{init}/oom_score_adj"))?;
    if score != std::fs::read("/proc/self/oom_score_adj")? {
        std::fs::write("/proc/self/oom_score_adj", score)?;
    }
    Ok(())
}

struct Terminal {
    master: OwnedFd,
    slave: OwnedFd,
}

/// A new pseudo-terminal. The slave is opened through the master, so no name in the container is trusted.
fn terminal(size: Option<TerminalSize>, uid: u32) -> Result<Terminal, Errno> {
    let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC;
    let master = rustix::fs::open(PTMX, flags, Mode::empty())?;
    unlockpt(&master)?;
    let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
    let slave = ioctl_tiocgptpeer(&master, flags)?;
    rustix::fs::fchown(&slave, Some(Uid::from_raw(uid)), None::<Gid>)?;
    if let Some(TerminalSize { rows, columns }) = size {
        tcsetwinsize(&master, Winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 })?;
    }
    Ok(Terminal { master, slave })
}
