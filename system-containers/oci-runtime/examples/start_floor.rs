//! The least a runtime can do: clone3 into a cgroup and namespaces, mount, change the root, filter, execute, wait.
//!
//! `start_floor ROOTFS CGROUP PROGRAM`, as root; `bench_runtime` measures it beside real runtimes. It reads no
//! configuration, checks nothing, hides nothing and keeps no state.

use hull_sys::clone::{Forked, fork};
use hull_sys::seccomp::Filter;
use nix::sched::CloneFlags;
use rustix::fs::{CWD, Mode, OFlags, open};
use rustix::mount::{
    FsMountFlags, FsOpenFlags, MountAttrFlags, MountPropagationFlags, MoveMountFlags, OpenTreeFlags, UnmountFlags,
    fsconfig_create, fsmount, fsopen, mount_change, move_mount, open_tree, unmount,
};
use rustix::process::{WaitId, WaitIdOptions, chdir, fchdir, pivot_root, waitid};
use std::convert::Infallible;
use std::error::Error;
use std::ffi::{CString, OsString};
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStringExt;
use std::process::ExitCode;

/// What a container has at least.
const MOUNTS: [(&str, &str); 4] = [("proc", "proc"), ("tmpfs", "dev"), ("sysfs", "sys"), ("cgroup2", "sys/fs/cgroup")];

/// One instruction: everything is allowed.
const FILTER: [u8; 8] = [0x06, 0, 0, 0, 0, 0, 0xff, 0x7f];

fn main() -> ExitCode {
    let arguments: Vec<OsString> = std::env::args_os().skip(1).collect();
    let [rootfs, cgroup, program] = arguments.as_slice() else {
        eprintln!("usage: start_floor ROOTFS CGROUP PROGRAM");
        return ExitCode::from(2);
    };
    match start(rootfs, cgroup, program) {
        Ok(status) => ExitCode::from(status),
        Err(error) => {
            eprintln!("start_floor: {error}");
            ExitCode::FAILURE
        }
    }
}

fn start(rootfs: &OsString, cgroup: &OsString, program: &OsString) -> Result<u8, Box<dyn Error>> {
    std::fs::create_dir(cgroup)?;
    let directory = open(cgroup, OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
    let namespaces = CloneFlags::CLONE_NEWNS
        | CloneFlags::CLONE_NEWPID
        | CloneFlags::CLONE_NEWUTS
        | CloneFlags::CLONE_NEWIPC
        | CloneFlags::CLONE_NEWNET;
    let pidfd = match fork(namespaces, Some(directory.as_fd()))? {
        Forked::Child => {
            let Err(error) = inside(rootfs, program);
            eprintln!("start_floor: {error}");
            std::process::exit(1);
        }
        Forked::Parent { pidfd, .. } => pidfd,
    };
    let status = waitid(WaitId::PidFd(pidfd.as_fd()), WaitIdOptions::EXITED)?.ok_or("no status")?;
    std::fs::remove_dir(cgroup)?;
    Ok(u8::try_from(status.exit_status().unwrap_or(128))?)
}

fn inside(rootfs: &OsString, program: &OsString) -> Result<Infallible, Box<dyn Error>> {
    mount_change("/", MountPropagationFlags::PRIVATE | MountPropagationFlags::REC)?;
    let root = open_tree(CWD, rootfs, OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC)?;
    move_mount(&root, "", CWD, rootfs, MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH)?;
    fchdir(&root)?;
    for (kind, target) in MOUNTS {
        let context = fsopen(kind, FsOpenFlags::FSOPEN_CLOEXEC)?;
        fsconfig_create(&context)?;
        let mounted = fsmount(&context, FsMountFlags::FSMOUNT_CLOEXEC, MountAttrFlags::empty())?;
        move_mount(&mounted, "", &root, target, MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH)?;
    }
    pivot_root(".", ".")?;
    unmount(".", UnmountFlags::DETACH)?;
    chdir("/")?;
    rustix::thread::set_no_new_privs(true)?;
    Filter::from_bytes(&FILTER)?.install(0)?;
    let program = CString::new(program.clone().into_vec())?;
    Ok(nix::unistd::execve(&program, &[&program], &[] as &[CString])?)
}
