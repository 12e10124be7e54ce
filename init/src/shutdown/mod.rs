//! The end: processes, swap, file systems, power. Nothing here may stop the machine from ending: errors are collected
//! and said, waiting has deadlines.

mod mounts;

use crate::boot::watchdog::Feeder;
use crate::clock::monotonic;
use crate::power::Power;
use mounts::Mount;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use rustix::io::Errno;
use rustix::mount::{MountFlags, UnmountFlags, mount_remount, unmount};
use rustix::process::{WaitOptions, wait};
use rustix::system::reboot;
use std::ffi::CString;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::time::Duration;
use thiserror::Error;

/// What is left after the services were stopped in order: strays and, when the daemon failed, everything.
const TERMINATE_DEADLINE: Duration = Duration::from_secs(5);
const KILL_DEADLINE: Duration = Duration::from_secs(3);
/// Swap, unmounting and sync together; a healthy disk needs far less, a dead one never answers.
const TEAR_DOWN_DEADLINE: Duration = Duration::from_secs(20);
/// Namespaces of killed containers let go of their mounts a moment after their last process.
const UNMOUNT_ROUNDS: u32 = 20;
const UNMOUNT_PAUSE: Duration = Duration::from_millis(50);
const POLL: Duration = Duration::from_millis(10);

/// What did not go as it should.
#[derive(Debug, Error)]
enum TearDownError {
    #[error("cannot stop swapping to {}: {errno}", area.display())]
    Swap { area: PathBuf, errno: nix::errno::Errno },
    #[error("cannot unmount {}: {errno}; it was made {left}", target.display())]
    Unmount { target: PathBuf, errno: Errno, left: &'static str },
    #[error("cannot read {path}: {source}")]
    Read { path: &'static str, source: std::io::Error },
}

/// Ends the machine. Every descriptor and process of the supervisor must be gone or expendable.
pub(crate) fn run(power: Power, feeder: &mut Feeder) -> ! {
    end_processes(feeder);
    // A file system can block for ever in unmount or sync, and then the machine must end all the same: the only second
    // thread of PID 1, started when there is no other process left.
    let (done, finished) = mpsc::channel();
    std::thread::spawn(move || done.send(tear_down()));
    match finished.recv_timeout(TEAR_DOWN_DEADLINE) {
        Ok(errors) if errors.is_empty() => log::info!("file systems are clean; {power}"),
        Ok(errors) => errors.iter().for_each(|error| log::error!("{error}")),
        Err(_) => log::error!("file systems did not come to rest within {} s", TEAR_DOWN_DEADLINE.as_secs()),
    }
    // For power off and reboot it stays on guard against firmware that hangs.
    if power == Power::Halt {
        feeder.disarm();
    }
    loop {
        if let Err(errno) = reboot(power.command()) {
            log::error!("the kernel refuses {power}: {errno}; switch the machine off");
        }
        feeder.tick();
        std::thread::sleep(Duration::from_secs(1));
    }
}

/// SIGTERM to all, then SIGKILL to what is left.
fn end_processes(feeder: &mut Feeder) {
    for (signal, deadline) in [(Signal::SIGTERM, TERMINATE_DEADLINE), (Signal::SIGKILL, KILL_DEADLINE)] {
        // ESRCH: there is none.
        if kill(Pid::from_raw(-1), signal).is_err() {
            return;
        }
        hang_up();
        if reap(deadline, feeder) {
            return;
        }
        log::info!("processes are left after {signal}");
    }
}

/// SIGHUP to what has a terminal: interactive shells pass over SIGTERM. To others it means to go on with new settings.
fn hang_up() {
    let processes = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    for process in processes {
        let Ok(stat) = std::fs::read_to_string(process.path().join("stat")) else { continue };
        let number = process.file_name().to_str().and_then(|name| name.parse().ok());
        if let Some(number) = number.filter(|number| *number > 1 && has_terminal(&stat)) {
            // It may be gone by now.
            kill(Pid::from_raw(number), Signal::SIGHUP).ok();
        }
    }
}

/// Field 7 of proc_pid_stat(5); the name in parentheses before it may hold anything.
fn has_terminal(stat: &str) -> bool {
    let behind_the_name = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
    behind_the_name.split_ascii_whitespace().nth(4).is_some_and(|terminal| terminal != "0")
}

/// Reaps until no child is left, which is when no process is: orphans become children. Says whether that was in time.
fn reap(deadline: Duration, feeder: &mut Feeder) -> bool {
    let end = monotonic() + deadline;
    loop {
        match wait(WaitOptions::NOHANG) {
            Ok(Some(_)) => continue,
            Ok(None) if monotonic() < end => std::thread::sleep(POLL),
            Ok(None) => return false,
            Err(_) => return true,
        }
        feeder.tick();
    }
}

fn tear_down() -> Vec<TearDownError> {
    let mut errors = Vec::new();
    swap_off(&mut errors);
    unmount_all(&mut errors);
    rustix::fs::sync();
    errors
}

fn swap_off(errors: &mut Vec<TearDownError>) {
    // No such file: a kernel without swap.
    let areas = std::fs::read_to_string("/proc/swaps").unwrap_or_default();
    for area in areas.lines().skip(1).filter_map(|line| line.split_whitespace().next()) {
        let Ok(path) = CString::new(area) else { continue };
        if let Err(errno) = hull_sys::swap::swapoff(&path) {
            errors.push(TearDownError::Swap { area: area.into(), errno });
        }
    }
}

fn unmount_all(errors: &mut Vec<TearDownError>) {
    for round in 1.. {
        let mounts = match std::fs::read("/proc/self/mountinfo") {
            Ok(text) => mounts::parse(&text),
            Err(source) => {
                errors.push(TearDownError::Read { path: "/proc/self/mountinfo", source });
                return;
            }
        };
        let busy: Vec<_> = mounts.iter().filter_map(|mount| Some((mount, try_unmount(mount).err()?))).collect();
        if busy.is_empty() {
            return;
        }
        if round == UNMOUNT_ROUNDS {
            errors.extend(busy.into_iter().map(|(mount, errno)| force(&mount.target, errno)));
            return;
        }
        std::thread::sleep(UNMOUNT_PAUSE);
    }
}

fn try_unmount(mount: &Mount) -> Result<(), Errno> {
    let forced = if mount.remote { UnmountFlags::FORCE | UnmountFlags::DETACH } else { UnmountFlags::empty() };
    match unmount(&mount.target, forced | UnmountFlags::NOFOLLOW) {
        // Gone with another one, by propagation.
        Err(Errno::INVAL | Errno::NOENT) => Ok(()),
        other => other,
    }
}

/// The last resort for a mount that stays busy: read-only is as good as unmounted for what is on the disk.
fn force(target: &Path, errno: Errno) -> TearDownError {
    let read_only = mount_remount(target, MountFlags::RDONLY, c"");
    let detached = unmount(target, UnmountFlags::DETACH | UnmountFlags::NOFOLLOW);
    let left = match (read_only, detached) {
        (Ok(()), _) => "read-only",
        (Err(_), Ok(())) => "invisible",
        (Err(_), Err(_)) => "no better",
    };
    log::debug!("forced {}", target.as_os_str().as_bytes().escape_ascii());
    TearDownError::Unmount { target: target.to_owned(), errno, left }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_has_a_terminal() {
        for (stat, expected) in [
            ("40 (sh) S 1 40 40 34816 40 4194304 0", true),
            ("41 (a) 1 (b) S 1 41 41 0 -1 4194560 0", false),
            ("42 (sh", false),
        ] {
            assert_eq!(has_terminal(stat), expected, "{stat}");
        }
    }
}
