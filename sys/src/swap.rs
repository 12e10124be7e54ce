//! swapoff(2).

use nix::errno::Errno;
use std::ffi::CStr;

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
    }
}
