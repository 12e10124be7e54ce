//! In the child: masked and read-only paths. A path that does not exist needs no hiding and is passed over.

use super::paths;
use super::root::put;
use super::sources::new_file_system;
use crate::error::{StartError, Step};
use hull_sys::mount::set_attributes;
use rustix::fs::ResolveFlags;
use rustix::io::Errno;
use rustix::mount::{MountAttrFlags, OpenTreeFlags, open_tree};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

/// Covers files with `/dev/null` and directories with an empty read-only tmpfs.
pub(super) fn mask(paths: &[PathBuf]) -> Result<(), StartError> {
    // One empty file system serves all directories: a clone costs a fraction of a new one, but before kernel 6.15 only
    // of a mount that is attached.
    let mut empty: Option<OwnedFd> = None;
    for path in paths {
        let failed = |errno| StartError::at(Step::HidePath, path, errno);
        let Some(place) = existing(path).map_err(failed)? else { continue };
        let directory = paths::is_directory(&place).map_err(failed)?;
        let cover = match (directory, &empty) {
            (true, Some(empty)) => clone(empty.as_fd(), false),
            (true, None) => {
                new_file_system("tmpfs", "tmpfs", &[("nr_inodes".into(), Some("1".into()))], empty_attributes())
            }
            (false, _) => paths::null().and_then(|null| clone(null.as_fd(), false)),
        };
        let cover = cover.map_err(failed)?;
        put(cover.as_fd(), place.as_fd(), path)?;
        if directory {
            empty = Some(cover);
        }
    }
    Ok(())
}

/// Mounts each path on itself, read-only with all that is mounted below it.
pub(super) fn make_read_only(paths: &[PathBuf]) -> Result<(), StartError> {
    for path in paths {
        let failed = |errno| StartError::at(Step::HidePath, path, errno);
        let Some(place) = existing(path).map_err(failed)? else { continue };
        let tree = clone(place.as_fd(), true).map_err(failed)?;
        set_attributes(tree.as_fd(), MountAttrFlags::MOUNT_ATTR_RDONLY, None)
            .map_err(|error| failed(super::of_io(&error)))?;
        put(tree.as_fd(), place.as_fd(), path)?;
    }
    Ok(())
}

/// `None` when there is nothing to hide; what cannot be looked at must not pass for that.
fn existing(path: &Path) -> Result<Option<OwnedFd>, Errno> {
    match paths::find(path, ResolveFlags::empty()) {
        Err(Errno::NOENT | Errno::NOTDIR) => Ok(None),
        found => found.map(Some),
    }
}

fn clone(place: BorrowedFd<'_>, recursive: bool) -> Result<OwnedFd, Errno> {
    let mut flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC | OpenTreeFlags::AT_EMPTY_PATH;
    flags.set(OpenTreeFlags::AT_RECURSIVE, recursive);
    open_tree(place, "", flags)
}

fn empty_attributes() -> MountAttrFlags {
    MountAttrFlags::MOUNT_ATTR_RDONLY
        | MountAttrFlags::MOUNT_ATTR_NOSUID
        | MountAttrFlags::MOUNT_ATTR_NODEV
        | MountAttrFlags::MOUNT_ATTR_NOEXEC
}
