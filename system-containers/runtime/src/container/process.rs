//! In the child: from a forked process to the planned program.
//!
//! The filter is installed last, so it need not allow any system call made here but execve(2) (and write(2) and
//! exit_group(2), to report a failure of it). Without `no_new_privs` the kernel takes a filter only from a process with
//! an effective `CAP_SYS_ADMIN`, which the plan's sets may lack and which then could not be dropped any more, because the
//! filter need not allow capset(2). So in that case the process keeps that one capability, and execve takes it away:
//! user 0 gets exactly inheritable | bounding, every other user exactly the ambient set ("Transformation of capabilities
//! during execve()", capabilities(7)), which are the sets a plan without it leads to anyway.

use super::filter::{Agent, Prepared};
use super::terminal::{self, Console};
use super::{apparmor, home, paths};
use crate::error::{StartError, Step};
use crate::launch::TerminalSize;
use crate::plan::{CapabilityMasks, Process, Scheduling};
use hull_sys::clone::reset_signals;
use hull_sys::schedule;
use oci_spec::runtime::PosixRlimitType;
use rustix::fs::{Access, AtFlags, CWD, Mode, accessat};
use rustix::io::{Errno, FdFlags};
use rustix::process::{Gid, Pid, Resource, Rlimit, Signal, Uid, prlimit, set_parent_process_death_signal, setrlimit};
use rustix::thread::{CapabilitySet, CapabilitySets};
use rustix::{process, stdio, thread};
use std::convert::Infallible;
use std::ffi::CString;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

/// Where a program name without `/` is looked up when the environment has no `PATH`.
const DEFAULT_PATH: &str = "/usr/sbin:/usr/bin:/sbin:/bin";

/// Session keyrings of containers are named like this.
const KEYRING: &str = "hull";

/// Highest number a capability can have: the sets are 64 bits wide.
const CAPABILITY_BITS: u32 = 64;

/// Ties the process to the helper, gives it a session and its streams; the umask is zero until [`run`].
pub(super) fn begin(streams: [BorrowedFd<'_>; 3]) -> Result<(), StartError> {
    let steps = || {
        // A helper that is killed, because it took too long, takes the half-made process with it.
        set_parent_process_death_signal(Some(Signal::KILL))?;
        process::umask(Mode::empty());
        process::setsid()?;
        let [stdin, stdout, stderr] = streams;
        stdio::dup2_stdin(stdin)?;
        stdio::dup2_stdout(stdout)?;
        stdio::dup2_stderr(stderr)
    };
    steps().map_err(|errno| StartError::of(Step::Streams, errno))
}

/// Gives the process an empty session keyring: the caller's holds keys of the host, and outlives fork and execve.
pub(super) fn begin_keyring() -> Result<(), StartError> {
    hull_sys::keyring::join_new_session(KEYRING)
        .map_err(|error| StartError::at(Step::Credentials, "session keyring", super::of_io(&error)))
}

/// Leaves descriptors open for the program, under the numbers they have.
pub(super) fn keep(descriptors: &[OwnedFd]) -> Result<(), StartError> {
    let keep = |descriptor| rustix::io::fcntl_setfd(descriptor, FdFlags::empty());
    descriptors.iter().try_for_each(keep).map_err(|errno| StartError::of(Step::Streams, errno))
}

/// Sets resource limits and the OOM score, while the process may still raise them. `/proc` is the host's.
pub(super) fn set_limits(plan: &Process) -> Result<(), StartError> {
    set_rlimits(plan)?;
    set_oom_score(plan)
}

/// Sets the resource limits of the calling process.
pub(super) fn set_rlimits(plan: &Process) -> Result<(), StartError> {
    set_each(plan, setrlimit)
}

/// Sets those of another process.
pub(super) fn set_rlimits_of(plan: &Process, pid: i32) -> Result<(), StartError> {
    set_each(plan, |resource, rlimit| prlimit(Pid::from_raw(pid), resource, rlimit).map(drop))
}

fn set_each(plan: &Process, set: impl Fn(Resource, Rlimit) -> rustix::io::Result<()>) -> Result<(), StartError> {
    plan.rlimits.iter().try_for_each(|limit| {
        let value = |value: u64| (value != u64::MAX).then_some(value);
        let rlimit = Rlimit { current: value(limit.soft), maximum: value(limit.hard) };
        set(resource(limit.kind), rlimit).map_err(|errno| StartError::at(Step::Limits, limit.kind.to_string(), errno))
    })
}

/// Sets the OOM score of the calling process. `/proc` is the host's.
pub(super) fn set_oom_score(plan: &Process) -> Result<(), StartError> {
    let Some(score) = plan.oom_score_adj else { return Ok(()) };
    paths::write_procfs(Path::new("/proc/self/oom_score_adj"), score.to_string().as_bytes())
        .map_err(|errno| StartError::at(Step::Limits, "oom_score_adj", errno))
}

/// Sets both of another process, from outside the user namespace it may be in.
pub(super) fn set_limits_of(plan: &Process, pid: i32) -> Result<(), StartError> {
    set_rlimits_of(plan, pid)?;
    let Some(score) = plan.oom_score_adj else { return Ok(()) };
    std::fs::write(format!("/proc/{pid}/oom_score_adj"), score.to_string())
        .map_err(|error| StartError::at(Step::Limits, "oom_score_adj", super::of_io(&error)))
}

/// Gives the process a terminal of its own, whose master goes to `console`.
pub(super) fn take_terminal(
    size: Option<TerminalSize>,
    uid: u32,
    console: Option<Console<'_>>,
) -> Result<(), StartError> {
    let terminal = terminal::open(size, uid)?;
    terminal::bind_console(&terminal)?;
    let console = console.ok_or_else(|| StartError::at(Step::Terminal, "console socket", Errno::BADF))?;
    console.send(terminal.master.as_fd())?;
    let steps = || {
        process::ioctl_tiocsctty(&terminal.slave)?;
        stdio::dup2_stdin(&terminal.slave)?;
        stdio::dup2_stdout(&terminal.slave)?;
        stdio::dup2_stderr(&terminal.slave)
    };
    steps().map_err(|errno| StartError::of(Step::Terminal, errno))
}

/// Sets the execution domain.
pub(super) fn set_personality(persona: Option<i32>) -> Result<(), StartError> {
    let Some(persona) = persona else { return Ok(()) };
    let persona = nix::sys::personality::Persona::from_bits_retain(persona);
    let set = nix::sys::personality::set(persona);
    set.map(drop).map_err(|errno| StartError::at(Step::Scheduling, "personality", super::of_nix(errno)))
}

/// Processors the calling process, and what it starts, may run on.
pub(super) fn set_affinity(which: &str, processors: Option<&[usize]>) -> Result<(), StartError> {
    let Some(processors) = processors else { return Ok(()) };
    let mut set = thread::CpuSet::new();
    processors.iter().for_each(|processor| set.set(*processor));
    thread::sched_setaffinity(None, &set)
        .map_err(|errno| StartError::at(Step::Scheduling, format!("process.execCPUAffinity.{which}"), errno))
}

/// CPU and I/O scheduling, while the process still has the capabilities for it.
fn set_scheduling(plan: &Process) -> Result<(), StartError> {
    let failed = |what: &str, error: &std::io::Error| StartError::at(Step::Scheduling, what, super::of_io(error));
    if let Some(Scheduling { policy, flags, nice, priority, runtime, deadline, period }) = plan.scheduling {
        let asked = schedule::Scheduling { policy, flags, nice, priority, runtime, deadline, period };
        schedule::set_scheduling(&asked).map_err(|error| failed("process.scheduler", &error))?;
    }
    if let Some((class, level)) = plan.io_priority {
        schedule::set_io_priority(class, level).map_err(|error| failed("process.ioPriority", &error))?;
    }
    Ok(())
}

/// Becomes the planned user and executes the planned program; returns only to report an error.
pub(super) fn run(plan: &Process, filter: Option<&Prepared>, agent: Option<Agent>) -> Result<Infallible, StartError> {
    run_after(plan, filter, || Ok(agent))
}

/// Like [`run`], with `wait` called when nothing is left to do but to install the filter and to execute; it returns who
/// is notified.
pub(super) fn run_after(
    plan: &Process,
    filter: Option<&Prepared>,
    wait: impl FnOnce() -> Result<Option<Agent>, StartError>,
) -> Result<Infallible, StartError> {
    set_scheduling(plan)?;
    let keep = if filter.is_some() && !plan.no_new_privs { CapabilitySet::SYS_ADMIN } else { CapabilitySet::empty() };
    become_user(plan, keep).map_err(|errno| StartError::of(Step::Credentials, errno))?;
    // As the planned user, who may not be allowed to enter what root may.
    let entered = paths::find_directory(&plan.cwd).and_then(process::fchdir);
    entered.map_err(|errno| StartError::at(Step::WorkingDirectory, &plan.cwd, errno))?;
    process::umask(Mode::from_raw_mode(plan.umask));
    set_parent_process_death_signal(None).map_err(|errno| StartError::of(Step::Streams, errno))?;
    reset_signals().map_err(|error| StartError::of(Step::Streams, super::of_io(&error)))?;

    // Looked for now: after the filter is on, a failure of execve could be one the filter made up.
    let program = find(plan)?;
    let at_program = |errno| StartError::at(Step::Program, &program, errno);
    let path = c_string(program.as_os_str().as_encoded_bytes()).map_err(at_program)?;
    let args = c_strings(&plan.args).map_err(at_program)?;
    let mut env = c_strings(&plan.env).map_err(at_program)?;
    if plan.with_home && !plan.env.iter().any(|entry| entry.starts_with("HOME=")) {
        env.push(c_string(format!("HOME={}", home::of(plan.uid)).as_bytes()).map_err(at_program)?);
    }

    apparmor::set_at_execve(plan.apparmor.as_ref())?;
    if plan.no_new_privs {
        thread::set_no_new_privs(true).map_err(|errno| StartError::of(Step::Seccomp, errno))?;
    }
    let agent = wait()?;
    if let Some(filter) = filter {
        filter.install(agent)?;
    }
    nix::unistd::execve(&path, &args, &env).map_err(|errno| at_program(super::of_nix(errno)))
}

/// Bounding set first (that needs `CAP_SETPCAP`), then groups and user, then the other sets.
fn become_user(plan: &Process, keep: CapabilitySet) -> Result<(), Errno> {
    let CapabilityMasks { bounding, permitted, effective, inheritable, ambient } = plan.capabilities;
    for capability in (0..CAPABILITY_BITS).map(|bit| CapabilitySet::from_bits_retain(1 << bit)) {
        if bounding & capability.bits() != 0 {
            continue;
        }
        match thread::capability_is_in_bounding_set(capability) {
            // Beyond the last one this kernel knows.
            Err(Errno::INVAL) => break,
            Ok(false) => {}
            Ok(true) => thread::remove_capability_from_bounding_set(capability)?,
            Err(errno) => return Err(errno),
        }
    }
    thread::set_keep_capabilities(true)?;
    let groups: Vec<Gid> = plan.groups.iter().copied().map(Gid::from_raw).collect();
    thread::set_thread_groups(&groups)?;
    let (gid, uid) = (Gid::from_raw(plan.gid), Uid::from_raw(plan.uid));
    thread::set_thread_res_gid(gid, gid, gid)?;
    thread::set_thread_res_uid(uid, uid, uid)?;
    let set = CapabilitySet::from_bits_retain;
    let sets = CapabilitySets {
        effective: set(effective) | keep,
        permitted: set(permitted) | keep,
        inheritable: set(inheritable),
    };
    thread::set_capabilities(None, sets)?;
    thread::set_keep_capabilities(false)?;
    thread::clear_ambient_capability_set()?;
    let raised = (0..CAPABILITY_BITS).map(|bit| set(1 << bit)).filter(|capability| ambient & capability.bits() != 0);
    raised.into_iter().try_for_each(|capability| thread::configure_capability_in_ambient_set(capability, true))
}

/// The program's path: as given when it has a `/`, else the first executable of that name in `PATH`.
fn find(plan: &Process) -> Result<PathBuf, StartError> {
    let name = plan.args.first().map_or("", String::as_str);
    let candidates: Vec<PathBuf> = if name.contains('/') {
        vec![PathBuf::from(name)]
    } else {
        let path = plan.env.iter().find_map(|entry| entry.strip_prefix("PATH=")).unwrap_or(DEFAULT_PATH);
        path.split(':').map(|dir| Path::new(dir).join(name)).collect()
    };
    let mut failure = Errno::NOENT;
    for candidate in candidates {
        match accessat(CWD, &candidate, Access::EXEC_OK, AtFlags::EACCESS) {
            Ok(()) if candidate.is_file() => return Ok(candidate),
            Ok(()) => failure = Errno::ACCESS,
            Err(Errno::NOENT) => {}
            Err(errno) => failure = errno,
        }
    }
    Err(StartError::at(Step::Program, name, failure))
}

fn c_strings(texts: &[String]) -> Result<Vec<CString>, Errno> {
    texts.iter().map(|text| c_string(text.as_bytes())).collect()
}

fn c_string(bytes: &[u8]) -> Result<CString, Errno> {
    CString::new(bytes).map_err(|_| Errno::INVAL)
}

fn resource(kind: PosixRlimitType) -> Resource {
    match kind {
        PosixRlimitType::RlimitCpu => Resource::Cpu,
        PosixRlimitType::RlimitFsize => Resource::Fsize,
        PosixRlimitType::RlimitData => Resource::Data,
        PosixRlimitType::RlimitStack => Resource::Stack,
        PosixRlimitType::RlimitCore => Resource::Core,
        PosixRlimitType::RlimitRss => Resource::Rss,
        PosixRlimitType::RlimitNproc => Resource::Nproc,
        PosixRlimitType::RlimitNofile => Resource::Nofile,
        PosixRlimitType::RlimitMemlock => Resource::Memlock,
        PosixRlimitType::RlimitAs => Resource::As,
        PosixRlimitType::RlimitLocks => Resource::Locks,
        PosixRlimitType::RlimitSigpending => Resource::Sigpending,
        PosixRlimitType::RlimitMsgqueue => Resource::Msgqueue,
        PosixRlimitType::RlimitNice => Resource::Nice,
        PosixRlimitType::RlimitRtprio => Resource::Rtprio,
        PosixRlimitType::RlimitRttime => Resource::Rttime,
    }
}
