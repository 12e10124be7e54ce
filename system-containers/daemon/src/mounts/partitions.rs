//! Partition tables that were changed: the kernel reads them again only for whoever holds `CAP_SYS_ADMIN`.

use super::{Ground, MountError, device, reason};
use hull_sys::blkpg;
use rustix::fs::{Mode, OFlags, open};
use rustix::io::Errno;

/// Has the kernel read the partition table of a disk again. May block.
///
/// # Errors
/// Name the disk and the reason.
pub fn rescan(disk: &str, ground: &Ground) -> Result<(), MountError> {
    let device = device::find(disk, &ground.own)?;
    let failed = |errno: Errno| match errno {
        Errno::BUSY => MountError::Conflict(format!(
            "{disk}: a partition of it is in use; unmount it (lsblk shows where) and try again"
        )),
        Errno::INVAL => MountError::Bad(format!("{disk} has no partitions: name the whole disk")),
        errno => MountError::new(errno, format!("{disk}: {}", reason(errno))),
    };
    let path = device::by_descriptor(&device.node);
    let opened = open(path, OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC, Mode::empty()).map_err(failed)?;
    blkpg::reread(opened).map_err(failed)
}
