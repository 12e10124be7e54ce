//! Creates the container of a bundle, up to the point where its program would be executed. See [`crate::bundle`].

use super::filter::{self, Agent, Prepared};
use super::namespaces::Joined;
use super::sync::{CREATED, HOOKS, LIMITS, MAPS, Sync, pair};
use super::terminal::Console;
use super::{CLONE_NEWTIME, Made, apparmor, of_io, of_nix, open_cgroup, paths, process, root, set_namespaces, sources};
use crate::bundle::Ends;
use crate::channel;
use crate::error::{StartError, Step};
use crate::hooks;
use crate::plan::{Container, Extras, Mappings};
use hull_sys::clone::{Forked, close_on_exec_from};
use nix::sched::CloneFlags;
use rustix::fs::ResolveFlags;
use rustix::io::Errno;
use rustix::net::{SocketFlags, accept_with};
use rustix::process::{
    DumpableBehavior, Gid, Pid, Signal, Uid, WaitId, WaitIdOptions, pidfd_send_signal, set_dumpable_behavior, waitid,
};
use std::convert::Infallible;
use std::fs::File;
use std::io::Write;
use std::os::fd::{AsFd, OwnedFd};

/// First descriptor that is not a standard stream.
const FIRST: u32 = 3;

/// Creates; returns once the process waits.
pub(crate) fn create(
    plan: &Container,
    ends: Ends<'_>,
    at_runtime: &mut dyn FnMut(Pid) -> Result<(), StartError>,
) -> Result<Made, StartError> {
    let extras = plan.extras.as_ref().ok_or_else(|| StartError::of(Step::Specification, Errno::INVAL))?;
    close_on_exec_from(FIRST + ends.preserved).map_err(|error| StartError::of(Step::Streams, of_io(&error)))?;
    apparmor::check(plan.process.apparmor.as_ref())?;
    let filter = filter::read(plan.seccomp.as_ref())?;
    let cgroup = open_cgroup(&plan.cgroup)?;
    let sources = sources::open(plan)?;
    super::attach_devices(cgroup.as_fd(), plan)?;
    let joined = Joined::open(extras)?;
    let (ours, theirs) = pair()?;
    let host_time = extras.time.as_deref().map(new_time).transpose()?;
    let mut namespaces = CloneFlags::from_bits_retain(extras.new_namespaces);
    if extras.in_user_namespace() {
        namespaces.remove(CloneFlags::CLONE_NEWIPC);
    }
    match joined.fork(namespaces, cgroup.as_fd())? {
        Forked::Child => {
            drop(ours);
            // A directory of the host, with the whole hierarchy above it: who shares the process's namespaces must not
            // find it open here.
            drop(cgroup);
            let mut reporter = Reporter::Creating(theirs);
            let Err(error) = inside(plan, extras, sources, ends, joined, filter.as_ref(), &mut reporter);
            std::process::exit(i32::from(reporter.report(&error).is_err()) + 1);
        }
        Forked::Parent { pid, pidfd } => {
            drop(theirs);
            let back = host_time.map_or(Ok(()), |host| nix::sched::setns(host, CLONE_NEWTIME));
            back.map_err(|errno| StartError::at(Step::Clone, "time namespace", of_nix(errno)))?;
            let result = attend(plan, extras, &ours, pid, at_runtime);
            if result.is_err() {
                // Gone already, when it was the process that failed.
                if let Err(errno) = pidfd_send_signal(&pidfd, Signal::KILL) {
                    log::debug!("failed container had ended: {errno}");
                }
                waitid(WaitId::PidFd(pidfd.as_fd()), WaitIdOptions::EXITED)
                    .map_err(|errno| StartError::of(Step::Clone, errno))?;
            }
            result.map(|()| Made { pid, pidfd, terminal: None })
        }
    }
}

/// Puts children into a new time namespace with these offsets; returns the host's, to go back to for the hooks.
fn new_time(offsets: &str) -> Result<File, StartError> {
    let new = || {
        let host = File::open("/proc/self/ns/time")?;
        nix::sched::unshare(CLONE_NEWTIME)?;
        // Only while nobody is in it.
        if !offsets.is_empty() {
            std::fs::write("/proc/self/timens_offsets", offsets)?;
        }
        Ok(host)
    };
    new().map_err(|error: std::io::Error| StartError::at(Step::Clone, "time namespace", of_io(&error)))
}

/// The caller's side of the conversation.
fn attend(
    plan: &Container,
    extras: &Extras,
    sync: &Sync,
    pid: i32,
    at_runtime: &mut dyn FnMut(Pid) -> Result<(), StartError>,
) -> Result<(), StartError> {
    loop {
        match sync.hear()?.as_slice() {
            MAPS => {
                if let Some(mappings) = &extras.mappings {
                    map(mappings, pid)?;
                }
                sync.go()?;
            }
            // Needs privileges outside the new user namespace.
            LIMITS => {
                process::set_limits_of(&plan.process, pid)?;
                sync.go()?;
            }
            HOOKS => {
                at_runtime(Pid::from_raw(pid).ok_or_else(|| StartError::of(Step::Clone, Errno::SRCH))?)?;
                sync.go()?;
            }
            CREATED => return Ok(()),
            // It was killed: out of memory in its new cgroup, most likely.
            [] => return Err(StartError::of(Step::Clone, Errno::CONNRESET)),
            error => {
                let protocol = || StartError::of(Step::Clone, Errno::PROTO);
                return Err(serde_json::from_slice(error).unwrap_or_else(|_| protocol()));
            }
        }
    }
}

fn map(mappings: &Mappings, pid: i32) -> Result<(), StartError> {
    for (name, text) in [("uid_map", &mappings.uid), ("gid_map", &mappings.gid)] {
        let file = format!("/proc/{pid}/{name}");
        std::fs::write(&file, text).map_err(|error| StartError::at(Step::IdMapping, &file, of_io(&error)))?;
    }
    Ok(())
}

/// What the first process does; returns only to report an error.
fn inside(
    plan: &Container,
    extras: &Extras,
    sources: sources::Sources,
    ends: Ends<'_>,
    joined: Joined,
    filter: Option<&Prepared>,
    reporter: &mut Reporter,
) -> Result<Infallible, StartError> {
    // Until execve nobody who shares the PID namespace may trace this copy of the runtime, or open its executable.
    let hide = || {
        let hidden = set_dumpable_behavior(DumpableBehavior::NotDumpable);
        hidden.map_err(|errno| StartError::of(Step::Credentials, errno))
    };
    hide()?;
    let host_pid = pid_on_host()?;
    if extras.mappings.is_some() {
        reporter.sync()?.ask(MAPS)?;
    }
    // Where the process may set them itself it saves the caller's answers.
    if !extras.in_user_namespace() {
        process::set_oom_score(&plan.process)?;
    } else {
        let (uid, gid) = (Uid::ROOT, Gid::ROOT);
        let root = rustix::thread::set_thread_res_gid(gid, gid, gid)
            .and_then(|()| rustix::thread::set_thread_res_uid(uid, uid, uid));
        root.map_err(|errno| StartError::of(Step::IdMapping, errno))?;
        // Made by the namespace's own user: its message queues belong to who makes it (ipc/mqueue.c).
        if extras.new_namespaces & CloneFlags::CLONE_NEWIPC.bits() != 0 {
            nix::sched::unshare(CloneFlags::CLONE_NEWIPC)
                .map_err(|errno| StartError::of(Step::Clone, of_nix(errno)))?;
        }
        // A change of the user makes that what `fs.suid_dumpable` says, prctl(2).
        hide()?;
    }
    joined.enter()?;
    if extras.own_cgroup_namespace {
        nix::sched::unshare(CloneFlags::CLONE_NEWCGROUP).map_err(|errno| StartError::of(Step::Clone, of_nix(errno)))?;
    }
    process::begin([ends.stdio.stdin, ends.stdio.stdout, ends.stdio.stderr])?;
    if extras.own_keyring {
        process::begin_keyring()?;
    }
    let mounted = root::place(plan, sources)?;
    if extras.runtime_hooks {
        reporter.sync()?.ask(HOOKS)?;
    }
    let own_pid = rustix::process::getpid().as_raw_nonzero().get();
    hooks::run_all("createContainer", &extras.create_container, &extras.state_of("creating", own_pid))?;
    root::enter(plan, mounted)?;
    set_namespaces(plan)?;
    if let Some(size) = extras.terminal {
        process::take_terminal(size, plan.process.uid, ends.console.map(Console))?;
    }
    // A working directory that cannot be made is reported when it is entered.
    drop(paths::find_or_make(&plan.process.cwd, true, ResolveFlags::empty()));
    super::hide::mask(&plan.masked)?;
    super::hide::make_read_only(&plan.readonly)?;
    root::finish(extras)?;
    process::set_personality(extras.personality)?;
    // Late: with the program's limits on open files and memory its root could not be made.
    if extras.in_user_namespace() {
        reporter.sync()?.ask(LIMITS)?;
    } else {
        process::set_rlimits(&plan.process)?;
    }
    let listener = filter.and_then(|filter| filter.listener.as_ref());
    process::run_after(&plan.process, filter, || {
        reporter.sync()?.tell(CREATED)?;
        let failed = |errno| StartError::of(Step::Wait, errno);
        let peer = loop {
            match accept_with(ends.listener, SocketFlags::CLOEXEC) {
                Err(Errno::INTR) => {}
                accepted => break accepted.map_err(failed)?,
            }
        };
        let agent = listener.map(|listener| {
            let message = listener.message(host_pid, &extras.state_with("creating", host_pid));
            receive_agent(&peer).map(|socket| Agent { socket, message })
        });
        *reporter = Reporter::Starting(peer);
        hooks::run_all("startContainer", &extras.start_container, &extras.state_of("created", own_pid))?;
        agent.transpose()
    })
}

/// Takes the connection to the filter's listener from who starts.
fn receive_agent(peer: &OwnedFd) -> Result<OwnedFd, StartError> {
    let (_, fds) = channel::receive(peer.as_fd()).map_err(|errno| StartError::of(Step::Wait, errno))?;
    fds.into_iter().next().ok_or_else(|| StartError::at(Step::Wait, "listenerPath", Errno::PROTO))
}

/// This process's id in the host's PID namespace, while `/proc` is the host's.
fn pid_on_host() -> Result<i32, StartError> {
    let failed = |errno| StartError::at(Step::Clone, "/proc/self", errno);
    let link = rustix::fs::readlink("/proc/self", Vec::new()).map_err(failed)?;
    link.to_str().ok().and_then(|text| text.parse().ok()).ok_or_else(|| failed(Errno::PROTO))
}

/// Where an error of the first process goes: to who creates, then to who starts.
enum Reporter {
    Creating(Sync),
    Starting(OwnedFd),
}

impl Reporter {
    fn sync(&self) -> Result<&Sync, StartError> {
        match self {
            Self::Creating(sync) => Ok(sync),
            Self::Starting(_) => Err(StartError::of(Step::Wait, Errno::ALREADY)),
        }
    }

    fn report(self, error: &StartError) -> std::io::Result<()> {
        let text = serde_json::to_vec(error)?;
        match self {
            Self::Creating(sync) => sync.tell(&text).map_err(|_| std::io::ErrorKind::BrokenPipe.into()),
            Self::Starting(peer) => File::from(peer).write_all(&text),
        }
    }
}
