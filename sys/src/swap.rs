//! swapon(2), swapoff(2).

use nix::errno::Errno;
use std::ffi::{CStr, c_int};

/// `SWAP_FLAG_PREFER`: the low bits are a priority.
const PREFER: c_int = 0x8000;
/// `SWAP_FLAG_PRIO_MASK`.
const PRIORITY: u16 = 0x7fff;

/// Starts swapping to `area` (file or device), which mkswap(8) has prepared; areas of higher priority are used first, those
/// without one last. Of `priority` the kernel takes 15 bits.
pub fn swapon(area: &CStr, priority: Option<u16>) -> Result<(), Errno> {
    let flags = priority.map_or(0, |priority| PREFER | c_int::from(priority & PRIORITY));
    // SAFETY: the pointer is a NUL-terminated string that lives over the call.
    Errno::result(unsafe { nix::libc::swapon(area.as_ptr(), flags) }).map(drop)
}

/// Stops swapping to `area` (file or device) after reading everything back from it.
pub fn swapoff(area: &CStr) -> Result<(), Errno> {
    // SAFETY: the pointer is a NUL-terminated string that lives over the call.
    Errno::result(unsafe { nix::libc::swapoff(area.as_ptr()) }).map(drop)
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_path_that_is_no_swap_area_is_refused() {
        assert!(super::swapoff(c"/proc/self/exe").is_err());
        assert!(super::swapon(c"/proc/self/exe", Some(5)).is_err());
    }
}
