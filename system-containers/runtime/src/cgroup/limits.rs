//! Limits in the kernel's files.

use super::{CgroupError, is_gone, write};
use std::path::Path;

const SWAP_MAX: &str = "memory.swap.max";
const IO_WEIGHT: &str = "io.weight";
/// Greatest weight of the BFQ scheduler, `Documentation/block/bfq-iosched.rst`.
const BFQ_WEIGHT_MAX: u64 = 1000;
/// Period of `cpu.max` in microseconds: the kernel's default.
const CPU_PERIOD_US: u64 = 100_000;

/// Limits of one container; `None` leaves the kernel's default. Sizes in bytes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Limits {
    /// `memory.max`: beyond it processes of the group are killed.
    pub memory_max: Option<u64>,
    /// `memory.high`: beyond it the group is throttled and reclaimed.
    pub memory_high: Option<u64>,
    /// `memory.low`: protected from reclaim.
    pub memory_low: Option<u64>,
    /// `pids.max`: processes and threads.
    pub pids_max: Option<u64>,
    /// `memory.swap.max`: swap space beside `memory_max`; without effect on a kernel without swap.
    pub memory_swap_max: Option<u64>,
    /// `memory.oom.group`: all processes are killed together, or none.
    pub oom_group: bool,
    /// `cpu.weight`: 1 to 10000, default 100.
    pub cpu_weight: Option<u64>,
    /// `cpu.max`: percent of one processor.
    pub cpu_max: Option<u64>,
    /// `io.weight`: 1 to 10000, default 100.
    pub io_weight: Option<u64>,
    /// `io.max`, one entry a disk.
    pub io_max: Vec<IoMax>,
}

/// The most a container may read and write on one disk, each a second.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct IoMax {
    /// Device number of the whole disk: major, minor.
    pub device: (u32, u32),
    /// Bytes read.
    pub read_bytes: Option<u64>,
    /// Bytes written.
    pub write_bytes: Option<u64>,
    /// Read operations.
    pub read_operations: Option<u64>,
    /// Write operations.
    pub write_operations: Option<u64>,
}

impl IoMax {
    fn line(&self) -> String {
        let (major, minor) = self.device;
        let keys = [
            ("rbps", self.read_bytes),
            ("wbps", self.write_bytes),
            ("riops", self.read_operations),
            ("wiops", self.write_operations),
        ];
        let set = keys.iter().filter_map(|(key, value)| value.map(|value| format!(" {key}={value}")));
        format!("{major}:{minor}{}", set.collect::<String>())
    }
}

impl Limits {
    /// Files and what is written to them, in order.
    pub(super) fn files(&self) -> Vec<(&'static str, String)> {
        let numbers = [
            ("memory.max", self.memory_max),
            ("memory.high", self.memory_high),
            ("memory.low", self.memory_low),
            (SWAP_MAX, self.memory_swap_max),
            ("memory.oom.group", self.oom_group.then_some(1)),
            ("pids.max", self.pids_max),
            ("cpu.weight", self.cpu_weight),
            (IO_WEIGHT, self.io_weight),
        ];
        let mut files: Vec<_> =
            numbers.into_iter().filter_map(|(file, value)| value.map(|value| (file, value.to_string()))).collect();
        if let Some(percent) = self.cpu_max {
            files.push(("cpu.max", format!("{} {CPU_PERIOD_US}", percent.saturating_mul(CPU_PERIOD_US / 100))));
        }
        files.extend(self.io_max.iter().map(|disk| ("io.max", disk.line())));
        files
    }

    pub(super) fn write(&self, path: &Path) -> Result<(), CgroupError> {
        self.files().into_iter().try_for_each(|(file, value)| match write(&path.join(file), &value) {
            // Where nothing can be swapped out there is nothing to limit.
            Err(error) if file == SWAP_MAX && is_gone(&error.source) => Ok(()),
            // The file of io.cost; the other scheduler with weights has its own, of a smaller range.
            Err(error) if file == IO_WEIGHT && is_gone(&error.source) => {
                let weight = self.io_weight.unwrap_or_default().min(BFQ_WEIGHT_MAX);
                write(&path.join("io.bfq.weight"), &weight.to_string()).map_err(|_| error)
            }
            other => other,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_given_limits_are_written() {
        let limits = Limits { memory_max: Some(1 << 20), cpu_weight: Some(50), ..Limits::default() };
        assert_eq!(limits.files(), [("memory.max", "1048576".to_owned()), ("cpu.weight", "50".to_owned())]);
    }

    #[test]
    fn limits_have_the_kernels_forms() {
        let disk = IoMax { device: (8, 0), read_bytes: Some(4096), write_operations: Some(7), ..IoMax::default() };
        let limits = Limits {
            memory_swap_max: Some(0),
            oom_group: true,
            cpu_max: Some(150),
            io_weight: Some(10),
            io_max: vec![disk],
            ..Limits::default()
        };
        let files = limits.files();
        let files: Vec<_> = files.iter().map(|(file, value)| (*file, value.as_str())).collect();
        let expected = [
            ("memory.swap.max", "0"),
            ("memory.oom.group", "1"),
            ("io.weight", "10"),
            ("cpu.max", "150000 100000"),
            ("io.max", "8:0 rbps=4096 wiops=7"),
        ];
        assert_eq!(files, expected);
    }

    #[test]
    fn what_the_kernel_lacks_is_got_around_where_that_is_right() {
        let folder = tempfile::tempdir().expect("temporary directory");
        std::fs::write(folder.path().join("io.bfq.weight"), "").expect("write");
        let limits = Limits { memory_swap_max: Some(0), io_weight: Some(5000), ..Limits::default() };
        limits.write(folder.path()).expect("written");
        assert_eq!(std::fs::read_to_string(folder.path().join("io.bfq.weight")).expect("read"), "1000");
        assert!(Limits { memory_max: Some(1), ..Limits::default() }.write(folder.path()).is_err());
    }
}
