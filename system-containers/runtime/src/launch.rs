//! What the caller hands over and gets back: [`Launch`] and [`Exec`] in, [`Started`] out.

use crate::devices::DeviceRules;
use crate::error::StartError;
use crate::helper::{self, Request};
use crate::plan;
use oci_spec::runtime::{LinuxCapabilities, Spec};
use rustix::process::Pid;
use serde::{Deserialize, Serialize};
use std::os::fd::{BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

/// A container to be started.
///
/// Of `spec` these parts are used: `process` (arguments, environment, working directory, user, capabilities,
/// `noNewPrivileges`, rlimits, `oomScoreAdj`), `hostname`, `domainname`, `mounts`, and of `linux` the namespaces
/// (mount, PID, IPC, UTS and cgroup are always the container's own; network is its own when listed without a path, else
/// the caller's), `devices` (further nodes in `/dev`), `sysctl`, `maskedPaths` and `readonlyPaths`. The root is always
/// read-only. `linux.resources` and `linux.seccomp` are not read: limits are set by [`crate::cgroup::create`], device
/// rules and the compiled filter are below. What cannot be honoured (hooks, user namespaces, a terminal for the first
/// process, ...) is refused with [`Step::Specification`](crate::Step::Specification).
///
/// Standard mounts need not be listed: `/proc`, `/dev` (tmpfs with the standard nodes), `/dev/pts`, `/dev/shm`,
/// `/dev/mqueue`, `/sys` (read-only), `/sys/fs/cgroup` (read-only unless `delegate`), `/run` and `/tmp` (tmpfs). A mount
/// of `spec` at the same path takes the standard one's place; all others follow in the order of the list.
///
/// Mount options understood: `ro rw nosuid suid nodev dev noexec exec noatime relatime nosymfollow`, `bind rbind`,
/// `private slave shared` (with or without `r`), and for everything else the file system's own data options.
/// - bind: the source is taken from the caller's mount namespace. Default `private`; `slave` lets later mounts of the
///   host appear in the container; `shared` keeps it a peer of the host's mount, so that mounts made below it on either
///   side, or in another container with the same shared bind, appear in all. Flags and propagation hold for the whole
///   tree of an `rbind`.
/// - `overlay`: `upperdir=` and `workdir=` are host directories; without `lowerdir=` the lower layer is the root's own
///   directory at the target.
/// - a mount point that does not exist is made when the file system it lies on is writable (such as `/run`).
#[derive(Debug, Clone)]
pub struct Launch {
    /// The OCI runtime specification.
    pub spec: Spec,
    /// Host path of the root file system (`spec.root` is not read).
    pub rootfs: PathBuf,
    /// Absolute path of the container's cgroup directory, made by [`crate::cgroup::create`].
    pub cgroup: PathBuf,
    /// Compiled filter: an array of `struct sock_filter`, 8 bytes each, little endian. `None` installs none.
    pub seccomp: Option<PathBuf>,
    /// Device access of everything in the cgroup.
    pub devices: DeviceRules,
    /// `/sys/fs/cgroup` is writable in the container, which manages its own subtree.
    pub delegate: bool,
}

impl Launch {
    /// Whether the specification can be honoured; nothing is made.
    ///
    /// # Errors
    /// [`Step::Specification`](crate::Step::Specification) with the field that cannot.
    pub fn check(&self) -> Result<(), StartError> {
        plan::of_launch(self).map(drop)
    }
}

/// Standard streams of the new process; with a terminal they are not used.
#[derive(Debug, Clone, Copy)]
pub struct Stdio<'a> {
    /// Descriptor 0.
    pub stdin: BorrowedFd<'a>,
    /// Descriptor 1.
    pub stdout: BorrowedFd<'a>,
    /// Descriptor 2.
    pub stderr: BorrowedFd<'a>,
}

/// A process that runs: its program has been executed.
#[derive(Debug)]
pub struct Started {
    /// Process id in the caller's PID namespace.
    pub pid: Pid,
    /// Refers to the process even after its id is used again.
    pub pidfd: OwnedFd,
    /// Master side of the terminal, when [`Exec::tty`] was set.
    pub terminal: Option<OwnedFd>,
}

/// Numeric user of an [`Exec`].
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct User {
    /// Real, effective and saved user id.
    pub uid: u32,
    /// Real, effective and saved group id.
    pub gid: u32,
    /// Supplementary groups.
    pub groups: Vec<u32>,
}

/// Size of a terminal in characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct TerminalSize {
    /// Height.
    pub rows: u16,
    /// Width.
    pub columns: u16,
}

/// A further process in a running container: same namespaces, root and device rules.
#[derive(Debug, Clone)]
pub struct Exec {
    /// The container's first process, by id in the caller's PID namespace.
    pub init: Pid,
    /// Cgroup directory the process is put into; made when missing. A delegated cgroup with controllers enabled takes
    /// no processes itself: name a directory below it.
    pub cgroup: PathBuf,
    /// Program and arguments; a name without `/` is looked up in the `PATH` of `env`.
    pub command: Vec<String>,
    /// Whole environment, `KEY=value`.
    pub env: Vec<String>,
    /// Working directory in the container.
    pub cwd: PathBuf,
    /// User and groups.
    pub user: User,
    /// Capability sets; `None` means none at all.
    pub capabilities: Option<LinuxCapabilities>,
    /// `PR_SET_NO_NEW_PRIVS`.
    pub no_new_privs: bool,
    /// The container's compiled filter, as in [`Launch::seccomp`] (a host path).
    pub seccomp: Option<PathBuf>,
    /// Allocate a terminal from the container's devpts, make it the controlling one and the three streams.
    pub tty: bool,
    /// First size of that terminal.
    pub size: Option<TerminalSize>,
}

/// Starts a container; returns once its program has been executed, or with the step that failed.
///
/// `helper_exe` is run with [`helper::ARGUMENT`] as its only argument and must call [`helper::main`]. Blocks for a few
/// milliseconds, at most [`helper::DEADLINE`]; safe in a multi-threaded process.
///
/// # Errors
/// The failed step with path and errno. No process is left; the cgroup directory is.
pub fn start(helper_exe: &Path, launch: &Launch, stdio: Stdio<'_>) -> Result<Started, StartError> {
    start_with(helper_exe, launch, stdio, &[])
}

/// Most descriptors for [`start_with`].
pub const MAX_DESCRIPTORS: usize = 64;

/// Like [`start`]; the program finds `descriptors` open from number 3 on, in this order, as sd_listen_fds(3) has it.
///
/// # Errors
/// As [`start`]; `E2BIG` for more than [`MAX_DESCRIPTORS`].
pub fn start_with(
    helper_exe: &Path,
    launch: &Launch,
    stdio: Stdio<'_>,
    descriptors: &[BorrowedFd<'_>],
) -> Result<Started, StartError> {
    helper::call(helper_exe, &Request::Start(Box::new(plan::of_launch(launch)?)), stdio, descriptors)
}

/// Starts a process in a running container; otherwise like [`start`]. `init` is a pidfd of [`Exec::init`], whose number may
/// be another process's by now.
///
/// # Errors
/// The failed step with path and errno; [`Step::JoinNamespaces`](crate::Step::JoinNamespaces) with `ESRCH` when the
/// container has ended.
pub fn exec(helper_exe: &Path, exec: &Exec, init: BorrowedFd<'_>, stdio: Stdio<'_>) -> Result<Started, StartError> {
    helper::call(helper_exe, &Request::Exec(Box::new(plan::of_exec(exec)?)), stdio, &[init])
}
