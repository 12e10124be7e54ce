//! In the child: nodes and links of a private `/dev`.

use crate::error::{StartError, Step};
use crate::plan::{Node, STANDARD_LINKS};
use rustix::fs::{CWD, FileType, Mode, makedev, mknodat, symlink};
use rustix::process::{Gid, Uid};

/// Makes all nodes and links; the umask is zero, so modes are as planned.
pub(super) fn fill(nodes: &[Node]) -> Result<(), StartError> {
    for node in nodes {
        make(node).map_err(|errno| StartError::at(Step::DeviceNode, &node.path, errno))?;
    }
    for (path, target) in STANDARD_LINKS {
        symlink(target, path).map_err(|errno| StartError::at(Step::DeviceNode, path, errno))?;
    }
    Ok(())
}

fn make(node: &Node) -> rustix::io::Result<()> {
    let kind = if node.block { FileType::BlockDevice } else { FileType::CharacterDevice };
    let device = makedev(node.major, node.minor);
    mknodat(CWD, &node.path, kind, Mode::from_raw_mode(node.mode), device)?;
    if (node.uid, node.gid) != (0, 0) {
        rustix::fs::chown(&node.path, Some(Uid::from_raw(node.uid)), Some(Gid::from_raw(node.gid)))?;
    }
    Ok(())
}
