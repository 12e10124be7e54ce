//! In the child: nodes and links of a private `/dev`.

use super::paths;
use super::root::attach;
use super::sources::Source;
use crate::error::{StartError, Step};
use crate::plan::{Node, STANDARD_LINKS};
use rustix::fs::{AtFlags, FileType, Mode, ResolveFlags, makedev, mknodat, symlink};
use rustix::io::Errno;
use rustix::process::{Gid, Uid};

/// Makes all nodes and links; the umask is zero, so modes are as planned. In a user namespace the host's nodes, in the
/// same order, are mounted instead. What a root file system has already stays.
pub(super) fn fill(nodes: &[Node], from_host: Option<Vec<Source>>) -> Result<(), StartError> {
    match from_host {
        Some(sources) => {
            for (node, source) in nodes.iter().zip(sources) {
                attach(&source, &node.path, ResolveFlags::NO_SYMLINKS)?;
            }
        }
        None => {
            for node in nodes {
                existing(make(node)).map_err(|errno| StartError::at(Step::DeviceNode, &node.path, errno))?;
            }
        }
    }
    for (path, target) in STANDARD_LINKS {
        existing(symlink(target, path)).map_err(|errno| StartError::at(Step::DeviceNode, path, errno))?;
    }
    Ok(())
}

fn existing(made: rustix::io::Result<()>) -> rustix::io::Result<()> {
    if made == Err(Errno::EXIST) { Ok(()) } else { made }
}

fn make(node: &Node) -> rustix::io::Result<()> {
    let kind = if node.block { FileType::BlockDevice } else { FileType::CharacterDevice };
    let device = makedev(node.major, node.minor);
    let (Some(parent), Some(name)) = (node.path.parent(), node.path.file_name()) else { return Err(Errno::INVAL) };
    let parent = paths::find_or_make(parent, true, ResolveFlags::NO_SYMLINKS)?;
    mknodat(&parent, name, kind, Mode::from_raw_mode(node.mode), device)?;
    if (node.uid, node.gid) != (0, 0) {
        let (uid, gid) = (Uid::from_raw(node.uid), Gid::from_raw(node.gid));
        rustix::fs::chownat(&parent, name, Some(uid), Some(gid), AtFlags::SYMLINK_NOFOLLOW)?;
    }
    Ok(())
}
