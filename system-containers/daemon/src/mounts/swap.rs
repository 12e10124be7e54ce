//! Swap areas: block devices, and files below the console's shared mounts.

use super::device::{self, by_descriptor};
use super::source::tag;
use super::{Ground, MountError, reason};
use hull_sys::swap;
use rustix::io::Errno;
use std::ffi::CString;
use std::os::fd::OwnedFd;

/// Starts swapping; an area with a higher priority is used first. May block.
///
/// # Errors
/// Name the area and the reason.
pub fn on(area: &str, priority: Option<u16>, ground: &Ground) -> Result<(), MountError> {
    let opened = find(area, ground)?;
    swap::swapon(&path(&opened), priority).map_err(|errno| error(area, errno))
}

/// Stops swapping, after everything there was read back. May block.
///
/// # Errors
/// Name the area and the reason.
pub fn off(area: &str, ground: &Ground) -> Result<(), MountError> {
    let opened = find(area, ground)?;
    swap::swapoff(&path(&opened)).map_err(|errno| error(area, errno))
}

fn find(area: &str, ground: &Ground) -> Result<OwnedFd, MountError> {
    if area.starts_with("/dev/") || tag(area).is_some() {
        return Ok(device::find(area, &ground.own)?.node);
    }
    ground.map.find(area)?.open()
}

fn path(area: &OwnedFd) -> CString {
    // Digits and slashes hold no NUL.
    CString::new(by_descriptor(area)).unwrap_or_default()
}

fn error(area: &str, errno: nix::errno::Errno) -> MountError {
    let errno = Errno::from_raw_os_error(errno as i32);
    let why = match errno {
        Errno::INVAL => {
            "no swap area, or not one in use; mkswap makes one, swapon without arguments lists those in use".into()
        }
        Errno::BUSY => "is in use".into(),
        Errno::NOMEM => "memory is too short to read it back".into(),
        errno => reason(errno),
    };
    MountError::new(errno, format!("{area}: {why}"))
}
