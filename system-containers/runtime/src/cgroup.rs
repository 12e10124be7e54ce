//! cgroup v2 directories of containers: make with limits, kill, wait until empty, remove, look inside.
//!
//! The caller names absolute directories below a cgroup2 mount; where that mount is, this module learns from the
//! directories themselves (each one of a hierarchy has `cgroup.controllers`). See the kernel's
//! `Documentation/admin-guide/cgroup-v2.rst`.

pub mod memory;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::process::Pid;
use std::fs;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Controllers handed down to containers where the kernel offers them: those with a limit or figure here, and those
/// Docker hands on to application containers (`cpuset`).
const CONTROLLERS: [&str; 5] = ["cpu", "cpuset", "io", "memory", "pids"];

const SWAP_MAX: &str = "memory.swap.max";
const IO_WEIGHT: &str = "io.weight";
/// Greatest weight of the BFQ scheduler, `Documentation/block/bfq-iosched.rst`.
const BFQ_WEIGHT_MAX: u64 = 1000;
/// Period of `cpu.max` in microseconds: the kernel's default.
const CPU_PERIOD_US: u64 = 100_000;

/// The kernel's default `cpu.weight`.
const CPU_WEIGHT: u64 = 100;

/// Room for `cgroup.events`: today `populated 0\nfrozen 0\n`.
const EVENTS_SIZE: usize = 256;

/// A failed operation on a cgroup directory.
#[derive(Debug, thiserror::Error)]
#[error("{action} cgroup file {}: {source}", .path.display())]
pub struct CgroupError {
    /// `make`, `read`, `write`, `remove` or `wait for`.
    pub action: &'static str,
    /// The directory or file.
    pub path: PathBuf,
    /// What the kernel said: `EBUSY` for a populated directory.
    pub source: io::Error,
}

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
    fn files(&self) -> Vec<(&'static str, String)> {
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

    fn write(&self, path: &Path) -> Result<(), CgroupError> {
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

/// Makes the directory (and those above it) and sets its limits. An empty one left from an earlier run is replaced, so
/// that nothing of it, attached device programs included, lives on.
///
/// # Errors
/// `EBUSY` when processes still live in it; otherwise what making it or writing a limit gave. No directory is left.
pub fn create(path: &Path, limits: &Limits) -> Result<(), CgroupError> {
    let files = limits.files();
    make(path, files.iter().map(|(file, _)| *file), || limits.write(path))
}

/// Like [`create`], with the files of the directory to be written and their contents, in order. Controllers named by
/// the files are enabled above it as well.
///
/// # Errors
/// As [`create`].
pub fn create_with(path: &Path, files: &[(String, String)]) -> Result<(), CgroupError> {
    make(path, files.iter().map(|(file, _)| file.as_str()), || set(path, files))
}

/// Makes the directory with the controllers of `files`, which `fill` writes.
fn make<'a>(
    path: &Path,
    files: impl Iterator<Item = &'a str>,
    fill: impl FnOnce() -> Result<(), CgroupError>,
) -> Result<(), CgroupError> {
    if path.exists() {
        remove(path)?;
    }
    fs::create_dir_all(path).map_err(failed("make", path))?;
    let set_up = || {
        let mut above: Vec<_> = path.ancestors().skip(1).take_while(|dir| is_cgroup(dir)).collect();
        above.reverse();
        let named: Vec<&str> = files.filter_map(|file| Some(file.split_once('.')?.0)).collect();
        above.into_iter().try_for_each(|dir| enable_controllers(dir, &named))?;
        fill()
    };
    set_up().inspect_err(|_| drop(fs::remove_dir(path)))
}

/// Writes files of the directory, in order.
///
/// # Errors
/// What writing gave; the path is the file's.
pub fn set(path: &Path, files: &[(String, String)]) -> Result<(), CgroupError> {
    files.iter().try_for_each(|(file, value)| write(&path.join(file), value))
}

/// Freezes or thaws everything in the cgroup and below it, and waits until that is done.
///
/// # Errors
/// `ETIMEDOUT` when it takes longer than `timeout`; the request stays.
pub fn freeze(path: &Path, frozen: bool, timeout: Duration) -> Result<(), CgroupError> {
    ask_freeze(path, frozen)?;
    wait_for(path, "frozen", frozen.into(), timeout)
}

/// Whether the cgroup is frozen; a missing directory is not.
#[must_use]
pub fn is_frozen(path: &Path) -> bool {
    fs::read_to_string(path.join("cgroup.events")).is_ok_and(|text| key(&text, "frozen") == Some(1))
}

/// Sets `cpu.weight`, 1 to 10000; `None` is the kernel's default.
///
/// # Errors
/// `ERANGE` for a weight out of range; otherwise what writing gave.
pub fn set_cpu_weight(path: &Path, weight: Option<u64>) -> Result<(), CgroupError> {
    write(&path.join("cpu.weight"), &weight.unwrap_or(CPU_WEIGHT).to_string())
}

/// As [`freeze`], and does not wait: a process in an uninterruptible call follows at its end.
///
/// # Errors
/// What writing gave.
pub fn ask_freeze(path: &Path, frozen: bool) -> Result<(), CgroupError> {
    write(&path.join("cgroup.freeze"), if frozen { "1" } else { "0" })
}

/// Kills every process in the cgroup and below it, once and for all (`cgroup.kill`). A missing directory is empty.
///
/// # Errors
/// What writing gave.
pub fn kill(path: &Path) -> Result<(), CgroupError> {
    match write(&path.join("cgroup.kill"), "1") {
        Err(error) if is_gone(&error.source) => Ok(()),
        other => other,
    }
}

/// Waits until no process lives in the cgroup or below it; zombies do not count. A missing directory is empty.
///
/// # Errors
/// `ETIMEDOUT` when it is still populated after `timeout`.
pub fn wait_empty(path: &Path, timeout: Duration) -> Result<(), CgroupError> {
    wait_for(path, "populated", 0, timeout)
}

/// Waits until `name` of `cgroup.events` has the value. In a missing directory it has.
fn wait_for(path: &Path, name: &str, value: u64, timeout: Duration) -> Result<(), CgroupError> {
    let events = path.join("cgroup.events");
    let deadline = Instant::now() + timeout;
    let file = match fs::File::open(&events) {
        Err(error) if is_gone(&error) => return Ok(()),
        opened => opened.map_err(failed("wait for", &events))?,
    };
    loop {
        // Reading acknowledges earlier changes, so the poll below wakes for later ones only.
        let mut text = [0; EVENTS_SIZE];
        let length = match file.read_at(&mut text, 0) {
            Err(error) if is_gone(&error) => return Ok(()),
            read => read.map_err(failed("wait for", &events))?,
        };
        if key(&String::from_utf8_lossy(&text[..length]), name) == Some(value) {
            return Ok(());
        }
        let left = deadline.saturating_duration_since(Instant::now());
        let left = Timespec::try_from(left).unwrap_or(Timespec { tv_sec: i64::MAX, tv_nsec: 0 });
        let mut fds = [PollFd::new(&file, PollFlags::PRI)];
        match poll(&mut fds, Some(&left)) {
            Ok(0) => return Err(failed("wait for", path)(Errno::TIMEDOUT.into())),
            Ok(_) | Err(Errno::INTR) => {}
            Err(errno) => return Err(failed("wait for", path)(errno.into())),
        }
    }
}

/// Removes the cgroup and those below it. A missing directory is no error.
///
/// # Errors
/// `EBUSY` while processes live in it.
pub fn remove(path: &Path) -> Result<(), CgroupError> {
    for dir in children(path)? {
        remove(&dir)?;
    }
    match fs::remove_dir(path) {
        Err(error) if !is_gone(&error) => Err(failed("remove", path)(error)),
        _ => Ok(()),
    }
}

/// Processes in the cgroup and below it, in the reader's PID namespace, in no order.
///
/// # Errors
/// What reading gave; a missing directory has none.
pub fn pids(path: &Path) -> Result<Vec<Pid>, CgroupError> {
    let procs = path.join("cgroup.procs");
    let text = match fs::read_to_string(&procs) {
        Err(error) if is_gone(&error) => return Ok(Vec::new()),
        read => read.map_err(failed("read", &procs))?,
    };
    let mut pids: Vec<Pid> = text.lines().filter_map(|line| Pid::from_raw(line.parse().ok()?)).collect();
    for dir in children(path)? {
        pids.extend(self::pids(&dir)?);
    }
    Ok(pids)
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

/// Enables for the children of `dir` what it has and they lack.
fn enable_controllers(dir: &Path, named: &[&str]) -> Result<(), CgroupError> {
    let read = |file: &str| {
        let path = dir.join(file);
        fs::read_to_string(&path).map_err(failed("read", &path))
    };
    let (available, enabled) = (read("cgroup.controllers")?, read("cgroup.subtree_control")?);
    let missing: Vec<String> = CONTROLLERS
        .into_iter()
        .chain(named.iter().copied().filter(|name| !CONTROLLERS.contains(name)))
        .filter(|name| available.split_whitespace().any(|have| have == *name))
        .filter(|name| enabled.split_whitespace().all(|have| have != *name))
        .map(|name| format!("+{name}"))
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    write(&dir.join("cgroup.subtree_control"), &missing.join(" "))
}

fn children(path: &Path) -> Result<Vec<PathBuf>, CgroupError> {
    let entries = match fs::read_dir(path) {
        Err(error) if is_gone(&error) => return Ok(Vec::new()),
        read => read.map_err(failed("read", path))?,
    };
    let is_dir = |entry: &fs::DirEntry| entry.file_type().is_ok_and(|kind| kind.is_dir());
    Ok(entries.flatten().filter(is_dir).map(|entry| entry.path()).collect())
}

fn is_cgroup(dir: &Path) -> bool {
    dir.join("cgroup.controllers").exists()
}

/// A file that vanished: `ENOENT` on opening, `ENODEV` on an open file whose cgroup was removed.
fn is_gone(error: &io::Error) -> bool {
    matches!(Errno::from_io_error(error), Some(Errno::NOENT | Errno::NODEV))
}

fn write(path: &Path, text: &str) -> Result<(), CgroupError> {
    let open = fs::OpenOptions::new().write(true).open(path);
    open.and_then(|mut file| io::Write::write_all(&mut file, text.as_bytes())).map_err(failed("write", path))
}

fn failed(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> CgroupError {
    move |source| CgroupError { action, path: path.to_owned(), source }
}

/// Value of a `key value` line.
fn key(text: &str, name: &str) -> Option<u64> {
    text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')?.trim().parse().ok())
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

    #[test]
    fn keys_are_whole_words() {
        let text = "low 0\noom 1\noom_kill 7\noom_group_kill 2\n";
        for (name, want) in [("oom", Some(1)), ("oom_kill", Some(7)), ("kill", None), ("populated", None)] {
            assert_eq!(key(text, name), want, "{name}");
        }
    }

    #[test]
    fn a_missing_cgroup_is_empty() {
        let path = Path::new("/nonexistent/cgroup");
        assert!(kill(path).is_ok() && remove(path).is_ok());
        assert!(wait_empty(path, Duration::ZERO).is_ok());
        assert_eq!(pids(path).expect("missing is empty"), []);
        assert!(stats(path).is_err());
    }
}
