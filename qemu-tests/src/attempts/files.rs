//! The root file system, the state of others, settings of the kernel, mounts, and sockets of others.

use super::Attempt;
use rustix::fs::{Mode, OFlags, open};
use rustix::io::{Errno, Result};
use rustix::mount::{MountFlags, UnmountFlags, mount, unmount};
use std::os::unix::net::UnixStream;

/// A mount that is read-only says `EROFS`; a user who is not the owner hears `EACCES` first.
const CLOSED: &[Errno] = &[Errno::ROFS, Errno::ACCESS];
const ABSENT: &[Errno] = &[Errno::NOENT];

pub(super) const ATTEMPTS: &[Attempt] = &[
    Attempt {
        name: "write_to_the_root_file_system",
        call: "openat",
        refusals: CLOSED,
        // For nobody: the machine's own root is the same.
        free: Some(Errno::ROFS),
        may: &[],
        act: |_| open("/usr/hull-check", write() | OFlags::CREATE, Mode::RUSR).map(drop),
    },
    Attempt {
        name: "read_the_state_of_other_services",
        call: "openat",
        refusals: ABSENT,
        free: None,
        may: &[],
        act: |_| list("/state/services"),
    },
    Attempt {
        name: "read_the_log_store",
        call: "openat",
        refusals: ABSENT,
        free: None,
        may: &[],
        act: |_| list("/state/log"),
    },
    Attempt {
        name: "change_a_setting_in_proc",
        call: "openat",
        refusals: CLOSED,
        free: None,
        may: &["docker", "network"],
        act: |_| open("/proc/sys/kernel/panic", write(), Mode::empty()).map(drop),
    },
    Attempt {
        name: "change_a_setting_in_sys",
        call: "openat",
        refusals: CLOSED,
        free: None,
        may: &["udev"],
        act: |disk| open(format!("/sys/class/block/{disk}/uevent"), write(), Mode::empty()).map(drop),
    },
    Attempt {
        name: "move_processes_to_another_cgroup",
        call: "openat",
        refusals: CLOSED,
        free: None,
        may: &["docker"],
        act: |_| open("/sys/fs/cgroup/cgroup.procs", write(), Mode::empty()).map(drop),
    },
    Attempt {
        name: "mount_a_file_system",
        call: "mount",
        refusals: &[Errno::PERM],
        free: None,
        may: &["docker"],
        act: mount_and_unmount,
    },
    Attempt {
        name: "reach_the_system_api",
        call: "connect",
        refusals: ABSENT,
        // The machine has the daemon's socket under another name; the daemon puts this one into containers.
        free: None,
        may: &["acpi", "console"],
        act: |_| connect(&["/run/hull/hull.sock", "/run/system-docker.sock"]),
    },
    Attempt {
        name: "reach_the_user_engine",
        call: "connect",
        refusals: ABSENT,
        free: None,
        may: &["console", "docker"],
        act: |_| connect(&["/run/engine/docker.sock"]),
    },
];

const fn write() -> OFlags {
    OFlags::WRONLY.union(OFlags::CLOEXEC)
}

fn list(path: &str) -> Result<()> {
    open(path, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty()).map(drop)
}

fn mount_and_unmount(_: &str) -> Result<()> {
    mount("none", "/tmp", "tmpfs", MountFlags::NOSUID | MountFlags::NODEV, None)?;
    unmount("/tmp", UnmountFlags::DETACH)
}

/// The first socket that exists.
fn connect(paths: &[&str]) -> Result<()> {
    let path = paths.iter().find(|path| std::fs::symlink_metadata(path).is_ok()).ok_or(Errno::NOENT)?;
    UnixStream::connect(path).map(drop).map_err(|error| Errno::from_io_error(&error).unwrap_or(Errno::IO))
}
