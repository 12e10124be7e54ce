//! Other processes, other users, namespaces, a new root, and more privileges than the service was given.

use super::kernel::at;
use super::{Attempt, inside};
use hull_sys::knock::Door;
use nix::sched::{CloneFlags, unshare};
use rustix::io::{Errno, Result};
use rustix::process::{Uid, chroot, geteuid};
use rustix::thread::{CapabilitySet, CapabilitySets, capabilities, set_capabilities, set_thread_res_uid};
use std::process::Command;

/// Owner of nothing.
const NOBODY: u32 = 65534;
/// The process every machine has, and no container's process may see.
const DAEMON: &str = "system-daemon";

pub(super) const ATTEMPTS: &[Attempt] = &[
    Attempt {
        name: "see_the_machines_processes",
        call: "openat",
        refusals: &[Errno::SRCH],
        free: None,
        may: &[],
        act: look_for_the_daemon,
    },
    Attempt {
        name: "trace_a_process",
        call: "ptrace",
        refusals: &[Errno::PERM],
        free: None,
        may: &["docker"],
        act: |_| at(Door::Trace),
    },
    Attempt {
        name: "become_another_user",
        call: "setresuid",
        refusals: &[Errno::PERM],
        free: None,
        may: &["console", "docker", "network"],
        act: |_| set_thread_res_uid(Uid::from_raw(NOBODY), Uid::from_raw(NOBODY), Uid::from_raw(NOBODY)),
    },
    Attempt {
        name: "gain_privileges_by_execve",
        call: "execve",
        refusals: &[Errno::PERM],
        free: None,
        may: &["console", "docker"],
        act: gain,
    },
    Attempt {
        name: "change_the_root_directory",
        call: "chroot",
        refusals: &[Errno::PERM],
        free: None,
        may: &["console", "docker"],
        act: |_| chroot("/"),
    },
    Attempt {
        name: "make_a_user_namespace",
        call: "unshare",
        refusals: &[],
        free: None,
        may: &["docker"],
        act: |_| make(CloneFlags::CLONE_NEWUSER),
    },
    Attempt {
        name: "make_a_mount_namespace",
        call: "unshare",
        refusals: &[Errno::PERM],
        free: None,
        may: &["docker"],
        act: |_| make(CloneFlags::CLONE_NEWNS),
    },
];

fn look_for_the_daemon(_: &str) -> Result<()> {
    let processes = std::fs::read_dir("/proc").map_err(|_| Errno::IO)?;
    let names = processes.flatten().filter_map(|entry| std::fs::read_to_string(entry.path().join("comm")).ok());
    let names: Vec<String> = names.collect();
    if names.is_empty() {
        // Not even this process: nothing was looked at.
        return Err(Errno::IO);
    }
    if names.iter().any(|name| name.trim() == DAEMON) { Ok(()) } else { Err(Errno::SRCH) }
}

/// Gives every capability up and executes a set-user-ID program of root's: itself.
fn gain(_: &str) -> Result<()> {
    let none = CapabilitySet::empty();
    set_capabilities(None, CapabilitySets { effective: none, permitted: none, inheritable: none })?;
    let before = privileges()?;
    let output = Command::new(std::env::current_exe().map_err(|_| Errno::NOENT)?)
        .arg(inside::PRIVILEGES)
        .output()
        .map_err(|error| Errno::from_io_error(&error).unwrap_or(Errno::IO))?;
    match String::from_utf8_lossy(&output.stdout).trim() {
        "" => Err(Errno::IO),
        after if after == before => Err(Errno::PERM),
        _ => Ok(()),
    }
}

/// Effective user and permitted capabilities of this process, as text.
pub(super) fn privileges() -> Result<String> {
    Ok(format!("{} {:x}", geteuid().as_raw(), capabilities(None)?.permitted.bits()))
}

fn make(namespace: CloneFlags) -> Result<()> {
    unshare(namespace).map_err(|errno| Errno::from_raw_os_error(errno as i32))
}
