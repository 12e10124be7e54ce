//! Opens, in the host's mount namespace, everything of a container that comes from the host.
//!
//! A clone of a mount (open_tree(2)) stays in its source's peer group while it is attached nowhere. Taken here and moved
//! into the container later, a `shared` bind is therefore a peer of the host's mount and of every other container's bind
//! of it; from inside the container's own namespace it would only be a peer of that namespace's copy.

use super::idmap;
use crate::error::{StartError, Step};
use crate::plan::{Container, Extras, Mount, Node, Propagation, What};
use hull_sys::mount::{Propagation as SysPropagation, set_attributes, set_attributes_of_one};
use hull_sys::walk::walk;
use rustix::fs::{CWD, FileType, Mode, OFlags, ResolveFlags};
use rustix::io::Errno;
use rustix::mount::{
    FsMountFlags, FsOpenFlags, MountAttrFlags, OpenTreeFlags, fsconfig_create, fsconfig_set_flag, fsconfig_set_string,
    fsmount, fsopen, open_tree,
};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

/// Detached mounts, ready to be moved into the container.
#[derive(Debug)]
pub(super) struct Sources {
    pub(super) root: OwnedFd,
    /// In the order of the plan's mounts; `None` for those made in the container.
    pub(super) mounts: Vec<Option<Source>>,
    /// In a user namespace, where no nodes can be made: the host's, in the order of the plan's.
    pub(super) nodes: Option<Vec<Source>>,
}

/// One detached mount.
#[derive(Debug)]
pub(super) struct Source {
    pub(super) tree: OwnedFd,
    /// Else a file.
    pub(super) directory: bool,
}

/// Opens all sources of a plan.
pub(super) fn open(plan: &Container) -> Result<Sources, StartError> {
    let extras = plan.extras.as_ref();
    let root = root(&plan.rootfs, extras).map_err(|errno| StartError::at(Step::Root, &plan.rootfs, errno))?;
    let mounts = plan.mounts.iter().map(|mount| source(mount, &plan.rootfs)).collect::<Result<_, _>>()?;
    let node = |node: &Node| {
        bind(&node.path, false, Propagation::Private, MountAttrFlags::empty(), MountAttrFlags::empty())
            .map_err(|errno| StartError::at(Step::MountSource, &node.path, errno))
    };
    let nodes = extras.filter(|extras| extras.in_user_namespace() && !extras.foreign_dev);
    let nodes = nodes.map(|_| plan.nodes.iter().map(node).collect()).transpose()?;
    Ok(Sources { root, mounts, nodes })
}

/// The root file system: a private mount of the directory, for system services read-only and without what may be mounted
/// below it.
fn root(path: &Path, extras: Option<&Extras>) -> Result<OwnedFd, Errno> {
    if extras.is_some() {
        let flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC | OpenTreeFlags::AT_RECURSIVE;
        let tree = open_tree(CWD, path, flags)?;
        // Slave until the container's propagation is set: it may ask for that.
        set(tree.as_fd(), MountAttrFlags::empty(), SysPropagation::Slave)?;
        return Ok(tree);
    }
    let tree = open_tree(CWD, path, OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC)?;
    let attributes = MountAttrFlags::MOUNT_ATTR_RDONLY | MountAttrFlags::MOUNT_ATTR_NODEV;
    set(tree.as_fd(), attributes, SysPropagation::Private)?;
    Ok(tree)
}

fn source(mount: &Mount, rootfs: &Path) -> Result<Option<Source>, StartError> {
    let attributes = MountAttrFlags::from_bits_retain(mount.attributes);
    match &mount.what {
        What::New { .. } | What::Dev { .. } => Ok(None),
        What::Bind { source, recursive, propagation } => {
            let tree_attributes = MountAttrFlags::from_bits_retain(mount.tree_attributes);
            let bound = bind(source, *recursive, *propagation, tree_attributes, attributes)
                .map_err(|errno| StartError::at(Step::MountSource, source, errno))?;
            if let Some(mapped) = &mount.mapped {
                idmap::apply(bound.tree.as_fd(), mapped)
                    .map_err(|error| StartError::at(Step::IdMapping, source, super::of_io(&error)))?;
            }
            Ok(Some(bound))
        }
        What::Overlay { lower, upper, work, data } => {
            let lower = match lower {
                Some(lower) => lower.clone(),
                None => within(rootfs, &mount.target)
                    .map_err(|errno| StartError::at(Step::MountTarget, rootfs.join(relative(&mount.target)), errno))?,
            };
            let mut options = vec![("lowerdir+".to_owned(), Some(lower.to_string_lossy().into_owned()))];
            for (key, layer) in [("upperdir", upper), ("workdir", work)] {
                let missing = |error| StartError::at(Step::MountSource, layer, super::of_io(&error));
                std::fs::metadata(layer).map_err(missing)?;
                options.push((key.to_owned(), Some(layer.to_string_lossy().into_owned())));
            }
            options.extend(data.iter().cloned());
            let tree = new_file_system("overlay", "overlay", &options, attributes)
                .map_err(|errno| StartError::at(Step::Mount, &mount.target, errno))?;
            Ok(Some(Source { tree, directory: true }))
        }
    }
}

fn bind(
    source: &Path,
    recursive: bool,
    propagation: Propagation,
    tree_attributes: MountAttrFlags,
    attributes: MountAttrFlags,
) -> Result<Source, Errno> {
    let mut flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
    flags.set(OpenTreeFlags::AT_RECURSIVE, recursive);
    let tree = open_tree(CWD, source, flags)?;
    let directory = FileType::from_raw_mode(rustix::fs::fstat(&tree)?.st_mode) == FileType::Directory;
    set(tree.as_fd(), tree_attributes, system_propagation(propagation))?;
    set_attributes_of_one(tree.as_fd(), attributes).map_err(|error| super::of_io(&error))?;
    Ok(Source { tree, directory })
}

pub(super) fn system_propagation(propagation: Propagation) -> SysPropagation {
    match propagation {
        Propagation::Private => SysPropagation::Private,
        Propagation::Slave => SysPropagation::Slave,
        Propagation::Shared => SysPropagation::Shared,
        Propagation::Unbindable => SysPropagation::Unbindable,
    }
}

fn set(tree: BorrowedFd<'_>, attributes: MountAttrFlags, propagation: SysPropagation) -> Result<(), Errno> {
    set_attributes(tree, attributes, Some(propagation)).map_err(|error| super::of_io(&error))
}

/// Host path of `target` inside `rootfs`, with symbolic links resolved as in the container.
fn within(rootfs: &Path, target: &Path) -> Result<PathBuf, Errno> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    // Not the detached root: the path of what is found there would begin at that mount.
    let root = rustix::fs::open(rootfs, flags, Mode::empty())?;
    let found = walk(root, target, flags, ResolveFlags::IN_ROOT)?;
    let link = format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(&found));
    std::fs::read_link(link).map_err(|error| Errno::from_io_error(&error).unwrap_or(Errno::IO))
}

fn relative(target: &Path) -> &Path {
    target.strip_prefix("/").unwrap_or(target)
}

/// A new instance of a file system as a detached mount.
pub(super) fn new_file_system(
    kind: &str,
    source: &str,
    data: &[(String, Option<String>)],
    attributes: MountAttrFlags,
) -> Result<OwnedFd, Errno> {
    let context = fsopen(kind, FsOpenFlags::FSOPEN_CLOEXEC)?;
    fsconfig_set_string(&context, "source", source)?;
    for (key, value) in data {
        match value {
            Some(value) => fsconfig_set_string(&context, key, value)?,
            None => fsconfig_set_flag(&context, key)?,
        }
    }
    fsconfig_create(&context)?;
    fsmount(&context, FsMountFlags::FSMOUNT_CLOEXEC, attributes)
}
