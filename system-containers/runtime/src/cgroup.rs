//! cgroup v2 directories of containers: make with limits, kill, wait until empty, remove, look inside.
//!
//! The caller names absolute directories below a cgroup2 mount; where that mount is, this module learns from the
//! directories themselves (each one of a hierarchy has `cgroup.controllers`). See the kernel's
//! `Documentation/admin-guide/cgroup-v2.rst`.
//!
//! | module | what |
//! |---|---|
//! | `limits` | limits as files |
//! | `stats` | figures of a cgroup |
//! | [`memory`] | pressure and kills for want of memory |

mod limits;
pub mod memory;
mod stats;

pub use limits::{IoMax, Limits};
use stats::key;
pub use stats::{Stats, stats};

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_cgroup_is_empty() {
        let path = Path::new("/nonexistent/cgroup");
        assert!(kill(path).is_ok() && remove(path).is_ok());
        assert!(wait_empty(path, Duration::ZERO).is_ok());
        assert_eq!(pids(path).expect("missing is empty"), []);
        assert!(stats(path).is_err());
    }
}
