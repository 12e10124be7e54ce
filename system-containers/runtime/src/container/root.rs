//! In the child: makes the root and its mounts.

use super::dev;
use super::sources::{Sources, new_file_system};
use crate::error::{StartError, Step};
use crate::plan::{Container, Mount, What};
use rustix::fs::CWD;
use rustix::io::Errno;
use rustix::mount::{
    MountAttrFlags, MountPropagationFlags, MoveMountFlags, UnmountFlags, mount_change, move_mount, unmount,
};
use rustix::process::{chdir, fchdir, pivot_root};
use std::fs;
use std::io::ErrorKind;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::Path;

/// Makes the planned root the process's root, with nothing of the host left, and mounts everything below it.
pub(super) fn enter(plan: &Container, sources: Sources) -> Result<(), StartError> {
    change_root(sources.root.as_fd(), &plan.rootfs)
        .map_err(|errno| StartError::at(Step::PivotRoot, &plan.rootfs, errno))?;
    for (mount, source) in plan.mounts.iter().zip(sources.mounts) {
        match source {
            Some(source) => attach(source.tree.as_fd(), &mount.target, source.directory)?,
            None => make(mount)?,
        }
        if matches!(mount.what, What::Dev { .. }) {
            dev::fill(&plan.nodes)?;
        }
    }
    Ok(())
}

fn change_root(root: BorrowedFd<'_>, rootfs: &Path) -> Result<(), Errno> {
    // First of all: this namespace is a copy of the host's, whose mounts are shared, and nothing below may reach it.
    mount_change("/", MountPropagationFlags::PRIVATE | MountPropagationFlags::REC)?;
    move_mount(root, "", CWD, rootfs, MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH)?;
    fchdir(root)?;
    // With both arguments the same the old root lies on top of the new one and is taken off (pivot_root(2), NOTES).
    pivot_root(".", ".")?;
    unmount(".", UnmountFlags::DETACH)?;
    chdir("/")
}

/// Makes and mounts a file system that belongs to the container's own namespaces.
fn make(mount: &Mount) -> Result<(), StartError> {
    let (kind, data) = match &mount.what {
        What::New { kind, data } => (kind.as_str(), data),
        What::Dev { data } => ("tmpfs", data),
        What::Bind { .. } | What::Overlay { .. } => return Ok(()),
    };
    let attributes = MountAttrFlags::from_bits_retain(mount.attributes);
    let tree =
        new_file_system(kind, data, attributes).map_err(|errno| StartError::at(Step::Mount, &mount.target, errno))?;
    attach(tree.as_fd(), &mount.target, true)
}

/// Moves a detached mount to its place.
pub(super) fn attach(tree: BorrowedFd<'_>, target: &Path, directory: bool) -> Result<(), StartError> {
    let unusable = |errno| StartError::at(Step::MountTarget, target, errno);
    match fs::metadata(target).map(|metadata| metadata.is_dir()) {
        Ok(found) if found == directory => {}
        Ok(found) => return Err(unusable(if found { Errno::ISDIR } else { Errno::NOTDIR })),
        Err(error) if error.kind() == ErrorKind::NotFound => {
            make_target(target, directory).map_err(|error| unusable(super::of_io(&error)))?;
        }
        Err(error) => return Err(unusable(super::of_io(&error))),
    }
    let flags = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH | MoveMountFlags::MOVE_MOUNT_T_SYMLINKS;
    move_mount(tree, "", CWD, target, flags).map_err(|errno| StartError::at(Step::Mount, target, errno))
}

/// Works on the writable file systems among the mounts made so far; the root answers `EROFS`.
fn make_target(target: &Path, directory: bool) -> std::io::Result<()> {
    // The umask is still zero, and these are seen by every user of the container.
    use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true).mode(0o755);
    if directory {
        return builder.create(target);
    }
    if let Some(parent) = target.parent() {
        builder.create(parent)?;
    }
    fs::OpenOptions::new().write(true).create_new(true).mode(0o644).open(target).map(drop)
}
