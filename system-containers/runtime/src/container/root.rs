//! In the child: makes the root and its mounts.

use super::sources::{Source, Sources, new_file_system, system_propagation};
use super::{dev, paths};
use crate::error::{StartError, Step};
use crate::plan::{Container, Extras, Mount, Propagation, What};
use hull_sys::mount::{set_attributes, set_attributes_of_one};
use rustix::fs::{CWD, Mode, OFlags, ResolveFlags};
use rustix::io::Errno;
use rustix::mount::{
    MountAttrFlags, MountPropagationFlags, MoveMountFlags, UnmountFlags, mount_change, move_mount, unmount,
};
use rustix::process::{chdir, chroot, fchdir, pivot_root};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

/// Detached mounts in the order of the plan's, and the host's nodes if those are used.
#[derive(Debug)]
pub(super) struct Mounted {
    root: OwnedFd,
    mounts: Vec<Source>,
    nodes: Option<Vec<Source>>,
}

/// Attaches the planned root where the host has it, and makes the container's own file systems, detached.
pub(super) fn place(plan: &Container, sources: Sources) -> Result<Mounted, StartError> {
    // Made now: in a user namespace proc and sysfs can only be mounted while the host's are in sight.
    let pairs = plan.mounts.iter().zip(sources.mounts);
    let mounts = pairs.map(|(mount, source)| source.map_or_else(|| make(mount), Ok)).collect::<Result<_, _>>()?;
    let attach = || {
        // First of all: this namespace is a copy of the host's, whose mounts are shared, and nothing below may reach it.
        // One that is joined is somebody else's, and stays as it is.
        if !shares_mounts(plan) {
            mount_change("/", MountPropagationFlags::PRIVATE | MountPropagationFlags::REC)?;
        }
        move_mount(&sources.root, "", CWD, &plan.rootfs, MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH)
    };
    attach().map_err(|errno| StartError::at(Step::PivotRoot, &plan.rootfs, errno))?;
    Ok(Mounted { root: sources.root, mounts, nodes: sources.nodes })
}

/// Makes the placed root the process's root, with nothing of the host left, and mounts everything below it.
pub(super) fn enter(plan: &Container, mounted: Mounted) -> Result<(), StartError> {
    let Mounted { root, mounts, mut nodes } = mounted;
    let change = if shares_mounts(plan) { change_own_root } else { change_root };
    change(root.as_fd()).map_err(|errno| StartError::at(Step::PivotRoot, &plan.rootfs, errno))?;
    for (mount, source) in plan.mounts.iter().zip(mounts) {
        attach(&source, &mount.target, rules(&mount.what))?;
        if matches!(mount.what, What::Dev { .. }) {
            dev::fill(&plan.nodes, nodes.take())?;
        }
    }
    // A bundle without a /dev of its own gets its nodes in the root file system's.
    let has_dev = plan.mounts.iter().any(|mount| mount.target == Path::new("/dev"));
    match &plan.extras {
        Some(extras) if !extras.foreign_dev && !has_dev => {
            paths::find_or_make(Path::new("/dev"), true, ResolveFlags::NO_SYMLINKS)
                .map_err(|errno| StartError::at(Step::DeviceNode, "/dev", errno))?;
            dev::fill(&plan.nodes, nodes)
        }
        _ => Ok(()),
    }
}

/// Last, when nothing more is mounted or made: the root's own properties.
pub(super) fn finish(extras: &Extras) -> Result<(), StartError> {
    let failed = |error: std::io::Error| StartError::at(Step::Mount, "/", super::of_io(&error));
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let root = rustix::fs::open("/", flags, Mode::empty()).map_err(|errno| failed(errno.into()))?;
    if extras.readonly_root {
        set_attributes_of_one(root.as_fd(), MountAttrFlags::MOUNT_ATTR_RDONLY).map_err(failed)?;
    }
    match extras.propagation.unwrap_or(Propagation::Private) {
        // As it is, from the beginning.
        Propagation::Slave => Ok(()),
        other => {
            let flags = match other {
                Propagation::Shared => MountPropagationFlags::SHARED,
                Propagation::Unbindable => MountPropagationFlags::UNBINDABLE,
                _ => MountPropagationFlags::PRIVATE,
            };
            mount_change("/", flags).map_err(|errno| failed(errno.into()))
        }
    }
}

fn change_root(root: BorrowedFd<'_>) -> Result<(), Errno> {
    fchdir(root)?;
    // With both arguments the same the old root lies on top of the new one and is taken off (pivot_root(2), NOTES).
    pivot_root(".", ".")?;
    unmount(".", UnmountFlags::DETACH)?;
    chdir("/")
}

/// In a joined mount namespace, whose root is that of others as well: the process's alone. It lies where the host has it
/// in the namespace, for as long as that lives.
fn change_own_root(root: BorrowedFd<'_>) -> Result<(), Errno> {
    fchdir(root)?;
    chroot(".")
}

fn shares_mounts(plan: &Container) -> bool {
    plan.extras.as_ref().is_some_and(Extras::shares_mounts)
}

/// Makes a file system that belongs to the container's own namespaces.
fn make(mount: &Mount) -> Result<Source, StartError> {
    let failed = |errno| StartError::at(Step::Mount, &mount.target, errno);
    let (kind, source, propagation, data) = match &mount.what {
        What::New { kind, source, propagation, data } => (kind.as_str(), source.as_deref(), *propagation, data),
        What::Dev { data } => ("tmpfs", None, None, data),
        What::Bind { .. } | What::Overlay { .. } => return Err(failed(Errno::INVAL)),
    };
    let source = source.and_then(Path::to_str).unwrap_or(kind);
    let attributes = MountAttrFlags::from_bits_retain(mount.attributes | mount.tree_attributes);
    let tree = new_file_system(kind, source, data, attributes).map_err(failed)?;
    if let Some(propagation) = propagation {
        set_attributes(tree.as_fd(), MountAttrFlags::empty(), Some(system_propagation(propagation)))
            .map_err(|error| failed(super::of_io(&error)))?;
    }
    Ok(Source { tree, directory: true })
}

/// Names the kernel's file systems go by have to be where they are expected, not where a link leads.
fn rules(what: &What) -> ResolveFlags {
    match what {
        What::New { kind, .. } if kind != "tmpfs" => ResolveFlags::NO_SYMLINKS,
        What::Dev { .. } => ResolveFlags::NO_SYMLINKS,
        _ => ResolveFlags::empty(),
    }
}

/// Moves a detached mount of the plan to its place, which is made on the writable file systems among the mounts made so
/// far.
pub(super) fn attach(source: &Source, target: &Path, rules: ResolveFlags) -> Result<(), StartError> {
    let unusable = |errno| StartError::at(Step::MountTarget, target, errno);
    // The umask is still zero, and what is made is seen by every user of the container.
    let place = paths::find_or_make(target, source.directory, rules).map_err(unusable)?;
    match paths::is_directory(&place).map_err(unusable)? {
        found if found == source.directory => {}
        true => return Err(unusable(Errno::ISDIR)),
        false => return Err(unusable(Errno::NOTDIR)),
    }
    // Whoever reads or writes /proc, such as the steps that hide parts of it, means the kernel's.
    if paths::is_on_procfs(&place).map_err(unusable)? {
        return Err(unusable(Errno::PERM));
    }
    put(source.tree.as_fd(), place.as_fd(), target)
}

/// Moves a detached mount onto `place`, found at `path`.
pub(super) fn put(tree: BorrowedFd<'_>, place: BorrowedFd<'_>, path: &Path) -> Result<(), StartError> {
    let flags = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH | MoveMountFlags::MOVE_MOUNT_T_EMPTY_PATH;
    move_mount(tree, "", place, "", flags).map_err(|errno| StartError::at(Step::Mount, path, errno))
}
