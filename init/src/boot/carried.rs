//! A root that came with the initrd: network boot, live media. The file [`IMAGE`] is what a root slot holds, erofs and its
//! hash tree; it is verified like a slot, by the root hash of the command line alone.
//!
//! Such a system has no disk of its own: no slot to update and no state partition.

use super::disk::{Disk, Found, Partition};
use crate::error::BootError;
use rustix::io::Errno;
use std::fs::File;

/// Put into the initrd behind `/init`.
const IMAGE: &str = "/root.img";
/// Major number of loop devices, kernel documentation `admin-guide/devices.txt`.
const LOOP_MAJOR: u32 = 7;

/// The image as a block device, if there is one.
pub(crate) fn find() -> Result<Option<Found>, BootError> {
    let file = match File::open(IMAGE) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(source) => return Err(BootError::Read { path: IMAGE, source }),
    };
    let bytes = file.metadata().map_err(|source| BootError::Read { path: IMAGE, source })?.len();
    let attached = |errno: Errno| BootError::Carried { path: IMAGE, errno };
    let number = hull_sys::loop_device::attach(&file).map_err(attached)?;
    // Its name is not needed any more; its content is freed with the machine.
    std::fs::remove_file(IMAGE).ok();
    let partition = Partition { name: format!("loop{number}"), number: format!("{LOOP_MAJOR}:{number}"), bytes };
    Ok(Some(Found { disk: Disk(String::new()), number: 0, slot: String::new(), partition }))
}
