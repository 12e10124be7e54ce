//! `[[mount]]` and `[limits]`: file systems, and what the service may use.

use serde::{Deserialize, Serialize};

/// One mount.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Mount {
    /// What is mounted.
    #[serde(default, rename = "type")]
    pub kind: MountType,
    /// Host path of a bind mount; for an overlay the directory that gets `upper` and `work`.
    #[serde(default)]
    pub source: Option<String>,
    /// Absolute path in the container.
    pub target: String,
    /// `ro`, `rw`, `nosuid`, `nodev`, `noexec`, `shared`, `slave`, `private`, `recursive`, and data options of tmpfs.
    #[serde(default)]
    pub options: Vec<String>,
    /// The source is a file, made empty where missing; else a directory.
    #[serde(default)]
    pub file: bool,
    /// Octal mode given to a source that has to be made.
    #[serde(default)]
    pub mode: Option<String>,
}

/// Kind of a mount.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum MountType {
    /// A directory or file of the host.
    #[default]
    Bind,
    /// An empty file system in memory.
    Tmpfs,
    /// overlayfs: lower is the image's own directory at `target`.
    Overlay,
}

/// cgroup v2 limits; sizes are bytes with optional `K`, `M`, `G` (powers of 1024).
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Limits {
    /// `memory.max`.
    #[serde(default)]
    pub memory_max: Option<String>,
    /// `memory.high`.
    #[serde(default)]
    pub memory_high: Option<String>,
    /// `memory.low`: protected from reclaim.
    #[serde(default)]
    pub memory_low: Option<String>,
    /// In place of `memory-max`: so much of the machine's memory, beside what the kernel keeps free, stays for everybody else; at
    /// most half of it.
    #[serde(default)]
    pub memory_spare: Option<String>,
    /// `memory.swap.max`: swap space beyond `memory-max`.
    #[serde(default)]
    pub memory_swap_max: Option<String>,
    /// `memory.oom.group`: for want of memory all processes are killed, or none.
    #[serde(default)]
    pub oom_group: bool,
    /// `pids.max`.
    #[serde(default)]
    pub pids_max: Option<u64>,
    /// In place of `pids-max`: so many of the kernel's `threads-max` stay for everybody else; at most half of them.
    #[serde(default)]
    pub pids_spare: Option<u64>,
    /// `cpu.weight`, 1 to 10000, default 100.
    #[serde(default)]
    pub cpu_weight: Option<u64>,
    /// `cpu.weight` from the start of the service until it is ready, the same range.
    #[serde(default)]
    pub startup_cpu_weight: Option<u64>,
    /// `cpu.max`: percent of one processor, so that 150 is one and a half.
    #[serde(default)]
    pub cpu_max: Option<u64>,
    /// `io.weight`, 1 to 10000, default 100.
    #[serde(default)]
    pub io_weight: Option<u64>,
    /// `io.max`, one entry a disk.
    #[serde(default)]
    pub io_max: Vec<IoMax>,
    /// `RLIMIT_NOFILE`, soft and hard.
    #[serde(default)]
    pub open_files: Option<u64>,
}

/// The most a service may read and write on one disk, each a second; what is missing is not limited.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct IoMax {
    /// Node of a whole disk below `/dev`, or `system-disk`.
    pub device: String,
    /// `rbps`: a size.
    #[serde(default)]
    pub read_bytes: Option<String>,
    /// `wbps`: a size.
    #[serde(default)]
    pub write_bytes: Option<String>,
    /// `riops`.
    #[serde(default)]
    pub read_operations: Option<u64>,
    /// `wiops`.
    #[serde(default)]
    pub write_operations: Option<u64>,
}
