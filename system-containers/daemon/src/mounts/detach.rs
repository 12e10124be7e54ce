//! Unmounting.

use super::device::by_descriptor;
use super::{Ground, MountError, reason};
use rustix::io::Errno;
use rustix::mount::{UnmountFlags, unmount};
use std::path::Path;

/// Unmounts what was mounted last at a path of the console; with `lazy` it is out of sight at once and ends when nobody
/// uses it any more. May block.
///
/// # Errors
/// Name target and reason.
pub fn detach(target: &str, lazy: bool, ground: &Ground) -> Result<(), MountError> {
    let place = ground.map.find(target)?;
    // Not the mount itself: a descriptor of it would keep it in use, and a server that is gone would not answer.
    let (parent, name) = place.open_parent()?;
    let mut flags = UnmountFlags::NOFOLLOW;
    flags.set(UnmountFlags::DETACH, lazy);
    let path = place.path.display();
    unmount(Path::new(&by_descriptor(&parent)).join(name), flags).map_err(|errno| match errno {
        Errno::INVAL | Errno::NOENT => MountError::Missing(format!("{path}: nothing is mounted there")),
        Errno::BUSY => MountError::Conflict(format!(
            "{path} is in use, by a process or a container that has it mounted; end it, or unmount lazily (-l)"
        )),
        errno => MountError::new(errno, format!("{path}: {}", reason(errno))),
    })
}
