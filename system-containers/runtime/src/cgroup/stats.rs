//! Figures out of the kernel's files.

use super::{CgroupError, failed};
use std::fs;
use std::path::Path;

/// Figures of a cgroup and everything below it; `None` where the controller is not enabled.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Stats {
    /// `memory.current`, bytes.
    pub memory: Option<u64>,
    /// `memory.peak`, bytes.
    pub memory_peak: Option<u64>,
    /// `memory.max`, bytes; `None` also when unlimited.
    pub memory_max: Option<u64>,
    /// `oom_kill` of `memory.events`: processes killed for memory.
    pub oom_kills: Option<u64>,
    /// `pids.current`.
    pub pids: Option<u64>,
    /// `usage_usec` of `cpu.stat`, microseconds.
    pub cpu_us: Option<u64>,
    /// `user_usec` of `cpu.stat`, microseconds.
    pub cpu_user_us: Option<u64>,
    /// `system_usec` of `cpu.stat`, microseconds.
    pub cpu_system_us: Option<u64>,
}

/// Reads the figures of the cgroup.
///
/// # Errors
/// When the directory is missing; a file that is missing leaves its figures `None`.
pub fn stats(path: &Path) -> Result<Stats, CgroupError> {
    let read = |file: &str| fs::read_to_string(path.join(file)).ok();
    let number = |file: &str| read(file)?.trim().parse().ok();
    let cpu = fs::read_to_string(path.join("cpu.stat")).map_err(failed("read", &path.join("cpu.stat")))?;
    Ok(Stats {
        memory: number("memory.current"),
        memory_peak: number("memory.peak"),
        memory_max: number("memory.max"),
        oom_kills: read("memory.events").and_then(|text| key(&text, "oom_kill")),
        pids: number("pids.current"),
        cpu_us: key(&cpu, "usage_usec"),
        cpu_user_us: key(&cpu, "user_usec"),
        cpu_system_us: key(&cpu, "system_usec"),
    })
}

/// Value of a `key value` line.
pub(super) fn key(text: &str, name: &str) -> Option<u64> {
    text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')?.trim().parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_whole_words() {
        let text = "low 0\noom 1\noom_kill 7\noom_group_kill 2\n";
        for (name, want) in [("oom", Some(1)), ("oom_kill", Some(7)), ("kill", None), ("populated", None)] {
            assert_eq!(key(text, name), want, "{name}");
        }
    }
}
