//! Published ways out of a container, tried on this runtime. Each test was seen to fail with its defence taken out.
//!
//! | class | what is tried | defence | where (`src/`) |
//! |---|---|---|---|
//! | CVE-2019-5736 | writing the runtime's file through `/proc/<pid>/exe` | it is run from a detached read-only mount | `helper.rs`: `spawn` |
//! | CVE-2021-30465 | symbolic links at mount targets, still or exchanged | one walk with `IN_ROOT`, `NO_MAGICLINKS`, then by descriptor | `container/paths.rs`: `open`; `root.rs`: `attach` |
//! | CVE-2024-21626 | a descriptor of the host left open | close-on-exec from 3 on | `helper.rs`: `serve` |
//! | CVE-2024-21626 | `/proc/self/fd/N` as working directory | the same walk | `container/process.rs`: `run` |
//! | CVE-2025-31133 | `/dev/null` that is a link or another device | no links; must be character device 1:3 | `container/paths.rs`: `null` |
//! | CVE-2025-52565 | `/dev/console` that is a link | no links | `container/terminal.rs`: `bind_console` (tested there) |
//! | CVE-2025-52565 | a terminal from a file that is not the devpts's | no links; devpts by statfs; no other mount | `container/paths.rs`: `open_ptmx` |
//! | CVE-2025-52881 | kernel parameters and attributes written elsewhere | procfs by statfs, `NO_XDEV` | `container/paths.rs`: `write_procfs` (tested there) |
//! | CVE-2025-52881 | a volume over a file of `/proc` | nothing of the plan is mounted on procfs | `container/root.rs`: `attach` |
//! | CVE-2019-16884 | a volume at `/proc` | refused | `plan/mounts.rs`: `build` |
//! | CVE-2019-16884 | `/proc` of the image is a link | kernel file systems are mounted without links | `container/root.rs`: `make` |
//! | CVE-2016-9962 | looking into a process that joins | not dumpable until execve | `container/join.rs`: `exec` |
//! | CVE-2016-9962 | the same with `CAP_SYS_PTRACE` | no directory of the host is open in it | `container/mod.rs`: `spawn` |
//! | CVE-2022-0492 | mounting a v1 hierarchy for its `release_agent` | no capability but those planned | `container/process.rs`: `become_user` |
//! | cgroup escape | cgroups above, a v1 hierarchy of one's own | cgroup namespace, of first and joining processes | `container/mod.rs`: `inside`; `join.rs`: `exec` |
//!
//! | file | holds |
//! |---|---|
//! | `processes.rs` | executable, descriptors, processes, cgroups |
//! | `places.rs` | mounts, devices, `/proc` |

mod places;
mod processes;

use rustix::fd::{AsRawFd, OwnedFd};
use rustix::fs::{Mode, OFlags};
use std::path::Path;

/// A directory of the host that a careless caller leaves to whatever it executes, and its number.
fn leaked(directory: &Path) -> (OwnedFd, i32) {
    let fd = rustix::fs::open(directory, OFlags::DIRECTORY | OFlags::RDONLY, Mode::empty()).expect("open directory");
    let number = fd.as_raw_fd();
    (fd, number)
}
