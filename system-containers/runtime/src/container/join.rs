//! In the helper: joins a running container and makes a process in it.
//!
//! The helper joins before it forks, so the new process never has the host's root or mounts, which the container could
//! reach through `/proc/<pid>/root`; and it is not dumpable until execve, so it cannot be traced either.

use super::filter::{self, Agent};
use super::outside::Outside;
use super::sync::pair;
use super::terminal::{self, Terminal};
use super::{Made, apparmor, of_io, open_cgroup, paths, process, spawn};
use crate::error::{StartError, Step};
use crate::plan;
use nix::sched::CloneFlags;
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use rustix::process::{DumpableBehavior, chroot, fchdir, ioctl_tiocsctty, set_dumpable_behavior};
use rustix::thread::{ThreadNameSpaceType, move_into_thread_name_spaces};
use std::fs::File;
use std::io::ErrorKind;
use std::io::Write;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

/// Starts a process in a running container. What is read of it by its number is only believed because it can be joined by
/// its pidfd afterwards, which the kernel refuses for one that has ended.
pub(crate) fn exec(plan: &plan::Exec, init: &OwnedFd, streams: [OwnedFd; 3]) -> Result<Made, StartError> {
    let at_init = |errno| StartError::at(Step::JoinNamespaces, Path::new("/proc").join(plan.init.to_string()), errno);
    let unread = |error: std::io::Error| match error.kind() {
        ErrorKind::NotFound => at_init(Errno::SRCH),
        _ => at_init(of_io(&error)),
    };
    apparmor::check(plan.process.apparmor.as_ref())?;
    let filter = filter::read(plan.seccomp.as_ref())?;
    let listener = filter.as_ref().and_then(|filter| filter.listener.as_ref());
    let agent = listener.map(|listener| Ok((listener, listener.connect()?))).transpose()?;
    match std::fs::create_dir(&plan.cgroup) {
        Err(error) if error.kind() != ErrorKind::AlreadyExists => {
            return Err(StartError::at(Step::Cgroup, &plan.cgroup, of_io(&error)));
        }
        _ => {}
    }
    let cgroup = open_cgroup(&plan.cgroup)?;
    process::set_affinity("initial", plan.affinity.initial.as_deref())?;
    // Inherited by the process: in a user namespace it could not lower it, and /proc is still the host's.
    take_oom_score(plan.init).map_err(unread)?;
    process::set_oom_score(&plan.process)?;
    set_dumpable_behavior(DumpableBehavior::NotDumpable).map_err(at_init)?;
    let root = plan.own_root.then(|| open_root(plan.init)).transpose().map_err(at_init)?;
    // Not yet the cgroup namespace: where it is a delegation boundary (mount option nsdelegate), nobody inside may place
    // a process that comes from outside.
    let foreign_user = is_foreign(plan.init, "user").map_err(unread)?;
    let foreign_cgroup = is_foreign(plan.init, "cgroup").map_err(unread)?;
    // Opened now: the right to place processes is that of the opener.
    let place = foreign_user.then(|| File::options().write(true).open(plan.cgroup.join("cgroup.procs"))).transpose();
    let place = place.map_err(|error| StartError::at(Step::Cgroup, &plan.cgroup, of_io(&error)))?;
    let mut namespaces = ThreadNameSpaceType::MOUNT
        | ThreadNameSpaceType::PROCESS_ID
        | ThreadNameSpaceType::HOST_NAME_AND_NIS_DOMAIN_NAME
        | ThreadNameSpaceType::INTER_PROCESS_COMMUNICATION
        | ThreadNameSpaceType::NETWORK;
    // Joined only when it is another: in a user namespace the right to join the host's is gone.
    if is_foreign(plan.init, "time_for_children").map_err(unread)? {
        namespaces |= ThreadNameSpaceType::TIME;
    }
    if foreign_user {
        namespaces |= ThreadNameSpaceType::USER;
    }
    let outside = foreign_user && !plan.process.rlimits.is_empty();
    let outside = outside.then(|| Outside::begin(&plan.process)).transpose()?;
    let limited_from_outside = outside.is_some();
    move_into_thread_name_spaces(init.as_fd(), namespaces).map_err(at_init)?;
    if let Some(root) = root {
        fchdir(&root).and_then(|()| chroot(".")).map_err(at_init)?;
    }

    let terminal = plan.tty.then(|| terminal::open(plan.size, plan.process.uid)).transpose()?;
    let (ours, theirs) = pair()?;
    let beside = |pid: i32| {
        outside.map_or(Ok(()), |outside| outside.set_limits(pid))?;
        // The process knows its id in its own namespace alone.
        ours.tell(pid.to_string().as_bytes())
    };
    let (pid, pidfd) = spawn(CloneFlags::empty(), (cgroup, !foreign_user), beside, || {
        if let Some(mut place) = place {
            // 0 is the writer itself.
            place.write_all(b"0").map_err(|error| StartError::at(Step::Cgroup, &plan.cgroup, of_io(&error)))?;
        }
        if foreign_cgroup {
            move_into_thread_name_spaces(init.as_fd(), ThreadNameSpaceType::CONTROL_GROUP).map_err(at_init)?;
        }
        process::begin_keyring()?;
        match &terminal {
            None => process::begin(streams.each_ref().map(AsFd::as_fd))?,
            Some(Terminal { slave, .. }) => {
                process::begin([slave.as_fd(); 3])?;
                ioctl_tiocsctty(slave).map_err(|errno| StartError::of(Step::Terminal, errno))?;
            }
        }
        // From here on they count for the process alone, which has nothing left to open but its program.
        if !limited_from_outside {
            process::set_rlimits(&plan.process)?;
        }
        process::set_affinity("final", plan.affinity.last.as_deref())?;
        let told = theirs.hear()?;
        let agent = agent.map(|(listener, socket)| {
            let pid = String::from_utf8(told).ok().and_then(|text| text.parse().ok());
            let pid = pid.ok_or_else(|| StartError::of(Step::Wait, Errno::PROTO))?;
            Ok(Agent { socket, message: listener.message(pid, &plan.state) })
        });
        process::run(&plan.process, filter.as_ref(), agent.transpose()?)
    })?;
    Ok(Made { pid, pidfd, terminal: terminal.map(|terminal| terminal.master) })
}

/// The first process's root directory, which is not that of its mount namespace.
fn open_root(init: i32) -> Result<OwnedFd, Errno> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    rustix::fs::open(format!("/proc/{init}/root"), flags, Mode::empty())
}

/// Whether the container has a namespace of this kind of its own; joining one's own user namespace is refused by the
/// kernel.
fn is_foreign(init: i32, kind: &str) -> std::io::Result<bool> {
    Ok(std::fs::read_link(format!("/proc/{init}/ns/{kind}"))? != std::fs::read_link(format!("/proc/self/ns/{kind}"))?)
}

/// Takes over the container's OOM score, which the new process inherits; the caller's own may protect it far better.
fn take_oom_score(init: i32) -> std::io::Result<()> {
    let score = std::fs::read(format!("/proc/{init}/oom_score_adj"))?;
    if score != std::fs::read("/proc/self/oom_score_adj")? {
        paths::write_procfs(Path::new("/proc/self/oom_score_adj"), &score)?;
    }
    Ok(())
}
