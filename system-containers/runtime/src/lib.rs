//! OCI runtime library for system containers: from a runtime specification to a running, confined process.
//!
//! It owns namespaces, mounts, cgroup v2, device programs, capabilities and the order in which they are applied; it
//! leaves scheduling, images, logs and restarts to its caller, the system daemon. Nothing here forks in the caller:
//! [`start`] and [`exec`] run a single-threaded helper (the caller's own executable, see [`helper`]) that creates the
//! container's process inside its cgroup and exits, so the process becomes a child of the machine's PID 1 or of the
//! nearest subreaper.
//!
//! | module | owns |
//! |---|---|
//! | [`launch`] | what is started: [`Launch`], [`Exec`], [`Started`]; [`start`] and [`exec`] |
//! | [`bundle`] | containers of OCI bundles: [`bundle::create`], [`bundle::start`] |
//! | [`hooks`] | running hooks |
//! | [`seccomp`] | filters of bundles: flags, agents that are notified |
//! | [`helper`] | entry point of the re-executed helper, its requests and answers |
//! | `plan` | pure: specification → mounts, process attributes, device nodes |
//! | `container` | edge: carries a plan out on both sides of clone3(2) |
//! | [`devices`] | device rules and their compilation to a cgroup BPF program |
//! | [`cgroup`] | cgroup v2 directories: limits, kill, wait, remove, statistics |
//! | [`error`] | [`StartError`]: step, path and errno of a failed start |

pub mod bundle;
pub mod cgroup;
mod channel;
mod container;
pub mod devices;
pub mod error;
pub mod helper;
pub mod hooks;
pub mod launch;
mod plan;
pub mod seccomp;

pub use devices::{DeviceKind, DeviceRules, OrderedRule, Rule};
pub use error::{StartError, Step};
pub use launch::{Exec, Launch, Started, Stdio, TerminalSize, User, exec, start, start_with};
