//! Containers of OCI bundles, in two steps: [`create`] makes everything but does not execute the program; a connection to
//! the listening socket given to it ([`start`]) lets the process go on.
//!
//! ```text
//! caller                          first process                 asked for only where there is something to do
//! create ── clone3 ─────────────▶ waits
//!        id maps ◀──────────────▶ "maps"      only with a user namespace
//!        prestart, createRuntime ◀▶ "hooks"   root attached, not yet pivoted to
//!                                 createContainer, pivot_root, mounts, user, capabilities
//!        returns ◀─────────────── "created"   waits in accept(2)
//! start  ── connect ────────────▶ startContainer, seccomp, execve
//!        end of file ◀─────────── executed; else the error as JSON
//! ```
//!
//! Unlike [`crate::start`] nothing is re-executed: the caller is itself a short-lived process with one thread, and becomes
//! the parent of what it makes.

use crate::channel;
use crate::container::{self, Console};
use crate::devices::OrderedRule;
use crate::error::{StartError, Step};
use crate::launch::{Started, Stdio};
use crate::plan;
use crate::seccomp::{Listener, Seccomp};
use oci_spec::runtime::{LinuxNamespaceType, Process, Spec};
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, connect, socket_with};
use rustix::process::{Pid, PidfdFlags, pidfd_open};
use serde_json::{Value, json};
use std::fs::File;
use std::io::Read;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

/// Sent with the connection to a filter's listener.
pub(crate) const AGENT: &[u8] = b"agent";

/// A container to be created.
///
/// Read of `spec`: `process`, `root.readonly`, `hostname`, `domainname`, `mounts` (no others are made), the hooks
/// `createContainer` and `startContainer`, and of `linux` all but `resources`, `seccomp` and `cgroupsPath`, whose results
/// are the other fields. Without a `HOME` in `process.env` the one of the container's `/etc/passwd` is added. What cannot be honoured is refused with [`Step::Specification`].
#[derive(Debug, Clone)]
pub struct Bundle {
    /// The container's name, for hooks.
    pub id: String,
    /// Absolute path of the bundle, for hooks.
    pub directory: PathBuf,
    /// The specification; sources of bind mounts are absolute.
    pub spec: Spec,
    /// Absolute path of the root file system.
    pub rootfs: PathBuf,
    /// Absolute path of the cgroup directory, made by [`crate::cgroup`].
    pub cgroup: PathBuf,
    /// The filter.
    pub seccomp: Option<Seccomp>,
    /// Device access, later rules override earlier ones.
    pub devices: Vec<OrderedRule>,
    /// A new, empty session keyring (session-keyring(7)) instead of the caller's.
    pub own_keyring: bool,
}

impl Bundle {
    /// Whether the specification can be honoured; nothing is made.
    ///
    /// # Errors
    /// [`Step::Specification`] with the field that cannot.
    pub fn check(&self) -> Result<(), StartError> {
        plan::of_bundle(self).map(drop)
    }

    /// Whether the container joins a mount namespace, where its root is one directory among others.
    #[must_use]
    pub fn shares_mounts(&self) -> bool {
        let namespaces = self.spec.linux().as_ref().and_then(|linux| linux.namespaces().as_ref());
        namespaces
            .into_iter()
            .flatten()
            .any(|namespace| namespace.typ() == LinuxNamespaceType::Mount && namespace.path().is_some())
    }

    /// The specification's state, but for `pid` and `status`.
    #[must_use]
    pub fn state(&self) -> Value {
        let mut state = json!({"ociVersion": self.spec.version(), "id": self.id, "bundle": self.directory});
        if let Some(annotations) = self.spec.annotations() {
            state["annotations"] = json!(annotations);
        }
        state
    }
}

/// What the caller lends to [`create`].
#[derive(Debug, Clone, Copy)]
pub struct Ends<'a> {
    /// Standard streams, when there is no terminal.
    pub stdio: Stdio<'a>,
    /// A listening stream socket; [`start`] connects to it.
    pub listener: BorrowedFd<'a>,
    /// A connected socket that is sent the terminal's master; needed with `process.terminal`.
    pub console: Option<BorrowedFd<'a>>,
    /// Descriptors beyond the streams that stay open: 3, 4, ...
    pub preserved: u32,
}

/// Creates a container; `at_runtime` is called with its process before the root is changed, and runs the hooks `prestart`
/// and `createRuntime`, if there are any.
///
/// # Errors
/// The failed step with path and errno; what `at_runtime` returned. No process is left; the cgroup directory is.
pub fn create(
    bundle: &Bundle,
    ends: Ends<'_>,
    at_runtime: &mut dyn FnMut(Pid) -> Result<(), StartError>,
) -> Result<Started, StartError> {
    let plan = plan::of_bundle(bundle)?;
    container::create(&plan, ends, at_runtime)?.into_started()
}

/// Lets a created container execute its program; connects it to the listener of its filter, if that has one.
///
/// # Errors
/// [`Step::Wait`] with `ECONNREFUSED` when nobody waits at `socket`; [`Step::Seccomp`] when the listener cannot be
/// reached; else the step that failed in the container.
pub fn start(socket: &Path, listener: Option<&Listener>) -> Result<(), StartError> {
    let agent = listener.map(Listener::connect).transpose()?;
    let failed = |errno| StartError::at(Step::Wait, socket, errno);
    let peer = socket_with(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None).map_err(failed)?;
    connect(&peer, &SocketAddrUnix::new(socket).map_err(failed)?).map_err(failed)?;
    if let Some(agent) = agent {
        channel::send(peer.as_fd(), AGENT, &[agent.as_fd()]).map_err(failed)?;
    }
    let mut bytes = Vec::new();
    File::from(peer).read_to_end(&mut bytes).map_err(|error| failed(container::of_io(&error)))?;
    if bytes.is_empty() {
        return Ok(());
    }
    Err(serde_json::from_slice(&bytes).unwrap_or_else(|_| failed(Errno::PROTO)))
}

/// Replaces the device rules of a container's cgroup.
///
/// # Errors
/// [`Step::Cgroup`], [`Step::DeviceProgram`].
pub fn set_devices(cgroup: &Path, rules: &[OrderedRule]) -> Result<(), StartError> {
    container::replace_devices(cgroup, rules)
}

/// A container that gets a further process.
#[derive(Debug)]
pub struct Running<'a> {
    /// Its first process.
    pub init: Pid,
    /// Cgroup directory of the new process, the container's or one below.
    pub cgroup: &'a Path,
    /// Its filter.
    pub seccomp: Option<&'a Seccomp>,
    /// The specification's state, for who is notified by the filter.
    pub state: Value,
    /// [`Bundle::shares_mounts`] of what it was made of.
    pub shares_mounts: bool,
}

/// Starts a further process, given in the specification's form. The caller has one thread.
///
/// # Errors
/// As [`crate::exec`].
pub fn exec(container: &Running<'_>, process: &Process, stdio: Stdio<'_>) -> Result<Started, StartError> {
    let number = container.init.as_raw_nonzero().get();
    let init = pidfd_open(container.init, PidfdFlags::empty())
        .map_err(|errno| StartError::at(Step::JoinNamespaces, format!("/proc/{number}"), errno))?;
    let plan = plan::of_process(container, process)?;
    let own = |stream: BorrowedFd<'_>| stream.try_clone_to_owned();
    let streams =
        || -> std::io::Result<[OwnedFd; 3]> { Ok([own(stdio.stdin)?, own(stdio.stdout)?, own(stdio.stderr)?]) };
    let streams = streams().map_err(|error| StartError::of(Step::Streams, container::of_io(&error)))?;
    container::exec(&plan, &init, streams)?.into_started()
}

/// Sends a terminal's master over a connected socket, as the specification's users expect it.
///
/// # Errors
/// As sendmsg(2).
pub fn send_console(socket: BorrowedFd<'_>, master: BorrowedFd<'_>) -> Result<(), StartError> {
    Console(socket).send(master)
}

impl container::Made {
    fn into_started(self) -> Result<Started, StartError> {
        let pid = Pid::from_raw(self.pid).ok_or_else(|| StartError::of(Step::Clone, Errno::PROTO))?;
        Ok(Started { pid, pidfd: self.pidfd, terminal: self.terminal })
    }
}
