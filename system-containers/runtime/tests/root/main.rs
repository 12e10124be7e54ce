//! Containers on the running kernel. All of it needs root, a cgroup2 mount and `/bin/busybox` (Debian's busybox-static);
//! without them the tests fail.
//!
//! | file | checks |
//! |---|---|
//! | `bed.rs` | (the test bed: own mount namespace, root file system and cgroup) |
//! | `merge.rs` | (configurations as changes) |
//! | `confinement.rs` | namespaces, capabilities, seccomp, users, limits, names |
//! | `mounts.rs` | root, standard mounts, hidden paths, binds and their propagation, overlays |
//! | `devices.rs` | device rules |
//! | `exec.rs` | further processes, with and without a terminal |
//! | `failures.rs` | each way a start can fail, and that it leaves nothing behind |
//! | `cgroups.rs` | life of a cgroup directory |
//! | `attacks.rs` | published ways out of a container, by number |

mod attacks;
mod bed;
mod cgroups;
mod confinement;
mod devices;
mod exec;
mod failures;
mod merge;
mod mounts;
