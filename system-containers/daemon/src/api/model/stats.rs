//! Figures of a running container.

use serde::Serialize;
use std::collections::BTreeMap;

/// One sample.
#[derive(Debug, Serialize)]
pub struct Stats {
    /// RFC 3339.
    pub read: String,
    /// Time of the sample before.
    pub preread: String,
    /// With a leading slash.
    pub name: String,
    /// 64 hexadecimal digits.
    pub id: String,
    /// Processes and threads.
    pub pids_stats: Pids,
    /// Now.
    #[serde(rename = "cpu_stats")]
    pub cpu: Cpu,
    /// In the sample before.
    pub precpu_stats: Cpu,
    /// Memory.
    pub memory_stats: Memory,
    /// Disks.
    pub blkio_stats: BlockIo,
}

/// Processes and threads.
#[derive(Debug, Serialize)]
pub struct Pids {
    /// Now.
    pub current: u64,
    /// 0 is no limit.
    pub limit: u64,
}

/// Processor time.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Cpu {
    /// Of the container.
    pub cpu_usage: CpuUsage,
    /// Of the whole machine, idle time included, in nanoseconds.
    pub system_cpu_usage: u64,
    /// Processors.
    pub online_cpus: usize,
}

/// Processor time of the container, nanoseconds.
#[derive(Debug, Clone, Default, Serialize)]
pub struct CpuUsage {
    /// All.
    pub total_usage: u64,
    /// In the kernel.
    pub usage_in_kernelmode: u64,
    /// In programs.
    pub usage_in_usermode: u64,
}

/// Memory, bytes.
#[derive(Debug, Serialize)]
pub struct Memory {
    /// `memory.current`.
    pub usage: u64,
    /// `memory.max`, or the machine's memory.
    pub limit: u64,
    /// `memory.stat`.
    pub stats: BTreeMap<String, u64>,
}

/// Disks.
#[derive(Debug, Serialize)]
pub struct BlockIo {
    /// Bytes by device and direction.
    pub io_service_bytes_recursive: Vec<BlockIoEntry>,
}

/// One device and direction.
#[derive(Debug, Serialize)]
pub struct BlockIoEntry {
    /// Device number.
    pub major: u64,
    /// Device number.
    pub minor: u64,
    /// `read` or `write`.
    pub op: &'static str,
    /// Bytes.
    pub value: u64,
}
