//! `hull-runtime` as its callers run it. All of it needs root, a cgroup2 mount and `/bin/busybox` (Debian's
//! busybox-static); without them the tests fail.
//!
//! | file | checks |
//! |---|---|
//! | `bed.rs` | (the test bed: bundles, a root for the runtime, a cgroup) |
//! | `lifecycle.rs` | create, start, state, kill, delete, run, list, ps |
//! | `execute.rs` | exec |
//! | `control.rs` | pause, resume, update, events |
//! | `hooks.rs` | hooks: order, state, failures |
//! | `terminal.rs` | console sockets and terminals in the foreground |
//! | `confinement.rs` | what the configuration says of the process and its surroundings |
//! | `seccomp.rs` | how filters are installed, and agents notified |
//! | `namespaces.rs` | namespaces joined by path |
//! | `refusals.rs` | bad configurations and command lines |
//! | `differential.rs` | what a program sees, beside crun and runc |

mod bed;
mod confinement;
mod control;
mod differential;
mod execute;
mod hooks;
mod lifecycle;
#[path = "../../../runtime/tests/root/merge.rs"]
mod merge;
mod namespaces;
mod refusals;
mod seccomp;
mod terminal;
