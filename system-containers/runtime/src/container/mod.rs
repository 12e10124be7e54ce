//! Edge: carries a plan out on both sides of clone3(2).
//!
//! | file | runs | does |
//! |---|---|---|
//! | `mod.rs` | helper | cgroup, filter file, device program, clone; takes errors back from the child |
//! | `sources.rs` | helper, host's mount namespace | opens what comes from the host: root, binds, overlays |
//! | `idmap.rs` | helper | idmapped mounts |
//! | `create.rs` | both | a bundle's container, up to the wait for start |
//! | `namespaces.rs` | both | namespaces joined by path |
//! | `sync.rs` | both | their conversation meanwhile |
//! | `terminal.rs` | both | pseudo-terminals |
//! | `join.rs` | helper | namespaces and terminal of a running container |
//! | `outside.rs` | a process beside the helper | limits of a process in a user namespace |
//! | `root.rs` | child | the new root and its mounts |
//! | `paths.rs` | child | finds files of the container without being led out of it |
//! | `dev.rs` | child | nodes and links of a private `/dev` |
//! | `hide.rs` | child | masked and read-only paths |
//! | `home.rs` | child | the user's home directory |
//! | `apparmor.rs` | helper, child | AppArmor profiles |
//! | `filter.rs` | child | the seccomp filter and the agent it notifies |
//! | `process.rs` | child | streams, limits, user, capabilities, filter, execve |

mod apparmor;
mod create;
mod dev;
mod filter;
mod hide;
mod home;
mod idmap;
mod join;
mod namespaces;
mod outside;
mod paths;
mod process;
mod root;
mod sources;
mod sync;
mod terminal;

pub(crate) use create::create;
pub(crate) use join::exec;
pub(crate) use terminal::Console;

use crate::devices::{self, OrderedRule};
use crate::error::{StartError, Step};
use crate::plan;
use hull_sys::clone::{Forked, fork};
use nix::sched::CloneFlags;
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use rustix::process::{Signal, WaitId, WaitIdOptions, pidfd_send_signal, waitid};
use std::convert::Infallible;
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

/// A process that runs its program.
#[derive(Debug)]
pub(crate) struct Made {
    pub(crate) pid: i32,
    pub(crate) pidfd: OwnedFd,
    pub(crate) terminal: Option<OwnedFd>,
}

/// Starts a container.
pub(crate) fn start(
    plan: &plan::Container,
    streams: [OwnedFd; 3],
    descriptors: &[OwnedFd],
) -> Result<Made, StartError> {
    let filter = filter::read(plan.seccomp.as_ref())?;
    let cgroup = open_cgroup(&plan.cgroup)?;
    let sources = sources::open(plan)?;
    attach_devices(cgroup.as_fd(), plan)?;
    let mut namespaces =
        CloneFlags::CLONE_NEWNS | CloneFlags::CLONE_NEWPID | CloneFlags::CLONE_NEWUTS | CloneFlags::CLONE_NEWIPC;
    namespaces.set(CloneFlags::CLONE_NEWNET, plan.own_network);
    let (pid, pidfd) = spawn(
        namespaces,
        (cgroup, true),
        |_| Ok(()),
        || inside(plan, sources, (&streams, descriptors), filter.as_ref()),
    )?;
    Ok(Made { pid, pidfd, terminal: None })
}

/// What the container's first process does; returns only to report an error.
fn inside(
    plan: &plan::Container,
    sources: sources::Sources,
    (streams, descriptors): (&[OwnedFd; 3], &[OwnedFd]),
    filter: Option<&filter::Prepared>,
) -> Result<Infallible, StartError> {
    // Not by clone3: there the new namespace would be rooted at the helper's cgroup (kernel/cgroup/namespace.c).
    nix::sched::unshare(CloneFlags::CLONE_NEWCGROUP).map_err(|errno| StartError::of(Step::Clone, of_nix(errno)))?;
    process::begin(streams.each_ref().map(AsFd::as_fd))?;
    process::begin_keyring()?;
    process::keep(descriptors)?;
    process::set_limits(&plan.process)?;
    let mounted = root::place(plan, sources)?;
    root::enter(plan, mounted)?;
    set_namespaces(plan)?;
    hide::mask(&plan.masked)?;
    hide::make_read_only(&plan.readonly)?;
    process::run(&plan.process, filter, None)
}

/// Names, the loopback interface and kernel settings of the new namespaces.
fn set_namespaces(plan: &plan::Container) -> Result<(), StartError> {
    set_names(plan)?;
    if plan.own_network {
        hull_sys::loopback::bring_up().map_err(|errno| StartError::of(Step::Loopback, errno))?;
    }
    for (file, value) in &plan.sysctl {
        paths::write_procfs(file, value.as_bytes()).map_err(|errno| StartError::at(Step::Sysctl, file, errno))?;
    }
    Ok(())
}

fn set_names(plan: &plan::Container) -> Result<(), StartError> {
    let set = |name: &Option<String>, call: fn(&[u8]) -> rustix::io::Result<()>| {
        let Some(name) = name else { return Ok(()) };
        call(name.as_bytes()).map_err(|errno| StartError::at(Step::HostName, name, errno))
    };
    set(&plan.hostname, rustix::system::sethostname)?;
    set(&plan.domainname, rustix::system::setdomainname)
}

/// Forks a child, `placed` into `cgroup`, that does `body`; meanwhile `beside` is called with its id. Returns once the
/// child has executed its program.
fn spawn(
    namespaces: CloneFlags,
    (cgroup, placed): (OwnedFd, bool),
    beside: impl FnOnce(i32) -> Result<(), StartError>,
    body: impl FnOnce() -> Result<Infallible, StartError>,
) -> Result<(i32, OwnedFd), StartError> {
    let failed = |errno| StartError::of(Step::Clone, errno);
    // Close-on-exec: execve closes the child's end, so the end of file means success.
    let (reader, writer) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC).map_err(failed)?;
    match fork(namespaces, placed.then(|| cgroup.as_fd())).map_err(|error| failed(of_io(&error)))? {
        Forked::Child => {
            drop(reader);
            // A directory of the host, with the whole hierarchy above it: the container must not find it open here.
            drop(cgroup);
            let Err(error) = body();
            std::process::exit(i32::from(report(writer, &error).is_err()) + 1);
        }
        Forked::Parent { pid, pidfd } => {
            drop(writer);
            let helped = beside(pid);
            if helped.is_err() {
                pidfd_send_signal(&pidfd, Signal::KILL).map_err(failed)?;
            }
            let mut bytes = Vec::new();
            File::from(reader).read_to_end(&mut bytes).map_err(|error| failed(of_io(&error)))?;
            if bytes.is_empty() && helped.is_ok() {
                return Ok((pid, pidfd));
            }
            waitid(WaitId::PidFd(pidfd.as_fd()), WaitIdOptions::EXITED).map_err(failed)?;
            helped?;
            Err(serde_json::from_slice(&bytes).unwrap_or_else(|_| failed(Errno::PROTO)))
        }
    }
}

fn report(writer: OwnedFd, error: &StartError) -> std::io::Result<()> {
    File::from(writer).write_all(&serde_json::to_vec(error)?)
}

fn open_cgroup(path: &Path) -> Result<OwnedFd, StartError> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    rustix::fs::open(path, flags, Mode::empty()).map_err(|errno| StartError::at(Step::Cgroup, path, errno))
}

/// clone3 flag of time namespaces (linux/sched.h), which nix does not name.
const CLONE_NEWTIME: CloneFlags = CloneFlags::from_bits_retain(0x80);

fn attach_devices(cgroup: BorrowedFd<'_>, plan: &plan::Container) -> Result<(), StartError> {
    let program = hull_sys::bpf::load_device_program(&plan.device_program);
    program
        .and_then(|program| hull_sys::bpf::attach_device_program(cgroup, program.as_fd()))
        .map_err(|error| StartError::at(Step::DeviceProgram, &plan.cgroup, of_io(&error)))
}

/// Puts a program of these rules in the place of the cgroup's.
pub(crate) fn replace_devices(cgroup: &Path, rules: &[OrderedRule]) -> Result<(), StartError> {
    let directory = open_cgroup(cgroup)?;
    let program = hull_sys::bpf::load_device_program(&devices::compile_ordered(rules));
    program
        .and_then(|program| hull_sys::bpf::replace_device_program(directory.as_fd(), program.as_fd()))
        .map_err(|error| StartError::at(Step::DeviceProgram, cgroup, of_io(&error)))
}

/// The error number of a standard library error; those without one come from data that cannot be right.
pub(crate) fn of_io(error: &std::io::Error) -> Errno {
    Errno::from_io_error(error).unwrap_or(Errno::INVAL)
}

fn of_nix(errno: nix::errno::Errno) -> Errno {
    Errno::from_raw_os_error(errno as i32)
}
