//! In the child: masked and read-only paths. A path that does not exist needs no hiding and is passed over.

use super::root::attach;
use super::sources::new_file_system;
use crate::error::{StartError, Step};
use hull_sys::mount::set_attributes;
use rustix::fs::CWD;
use rustix::io::Errno;
use rustix::mount::{MountAttrFlags, OpenTreeFlags, open_tree};
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

/// Covers files with `/dev/null` and directories with an empty read-only tmpfs.
pub(super) fn mask(paths: &[PathBuf]) -> Result<(), StartError> {
    // One empty file system serves all directories: a clone costs a fraction of a new one, but before kernel 6.15 only
    // of a mount that is attached.
    let mut empty: Option<&Path> = None;
    for path in paths {
        let Ok(metadata) = std::fs::metadata(path) else { continue };
        let cover = match (metadata.is_dir(), empty) {
            (true, Some(empty)) => clone(empty, false),
            (true, None) => {
                new_file_system("tmpfs", "tmpfs", &[("nr_inodes".into(), Some("1".into()))], empty_attributes())
            }
            (false, _) => clone(Path::new("/dev/null"), false),
        };
        let cover = cover.map_err(|errno| StartError::at(Step::HidePath, path, errno))?;
        attach(cover.as_fd(), path, metadata.is_dir())?;
        if metadata.is_dir() {
            empty = Some(path);
        }
    }
    Ok(())
}

/// Mounts each path on itself, read-only with all that is mounted below it.
pub(super) fn make_read_only(paths: &[PathBuf]) -> Result<(), StartError> {
    for path in paths {
        let Ok(metadata) = std::fs::metadata(path) else { continue };
        let failed = |errno| StartError::at(Step::HidePath, path, errno);
        let tree = clone(path, true).map_err(failed)?;
        set_attributes(tree.as_fd(), MountAttrFlags::MOUNT_ATTR_RDONLY, None)
            .map_err(|error| failed(super::of_io(&error)))?;
        attach(tree.as_fd(), path, metadata.is_dir())?;
    }
    Ok(())
}

fn clone(path: &Path, recursive: bool) -> Result<OwnedFd, Errno> {
    let mut flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
    flags.set(OpenTreeFlags::AT_RECURSIVE, recursive);
    open_tree(CWD, path, flags)
}

fn empty_attributes() -> MountAttrFlags {
    MountAttrFlags::MOUNT_ATTR_RDONLY
        | MountAttrFlags::MOUNT_ATTR_NOSUID
        | MountAttrFlags::MOUNT_ATTR_NODEV
        | MountAttrFlags::MOUNT_ATTR_NOEXEC
}
