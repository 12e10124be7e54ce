//! Loop devices: a file as a read-only block device (`include/uapi/linux/loop.h`, LOOP_CONFIGURE of Linux 5.8).
//!
//! ```text
//! struct loop_config    0 fd u32 | 4 block_size u32 | 8 loop_info64 | 240 reserved[8] u64
//! struct loop_info64    … 52 lo_flags u32 | 56 lo_file_name[64] …
//! ```

use rustix::fs::{Mode, OFlags, open};
use rustix::io::Errno;
use rustix::ioctl::{NoArg, Opcode, Setter, ioctl};
use std::ffi::c_int;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};

/// Where the kernel gives out free devices.
const CONTROL: &str = "/dev/loop-control";
const GET_FREE: Opcode = 0x4c82;
const CONFIGURE: Opcode = 0x4c0a;
const SIZE: usize = 304;
const BLOCK_SIZE: u32 = 4096;
const FLAGS: usize = 8 + 52;
const READ_ONLY: u32 = 1;

/// The number of the device, which shows `file` from now on; it stays until the machine ends.
///
/// Errors: `ENOENT` without loop devices in the kernel; `EINVAL` for a file that can be none.
pub fn attach(file: impl AsFd) -> Result<c_int, Errno> {
    let control = open(CONTROL, OFlags::RDWR | OFlags::CLOEXEC, Mode::empty())?;
    let number = free(control.as_fd())?;
    let device = open(format!("/dev/loop{number}"), OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?;
    let mut config = [0; SIZE];
    let descriptor = u32::try_from(file.as_fd().as_raw_fd()).map_err(|_| Errno::BADF)?;
    config[..4].copy_from_slice(&descriptor.to_ne_bytes());
    config[4..8].copy_from_slice(&BLOCK_SIZE.to_ne_bytes());
    config[FLAGS..FLAGS + 4].copy_from_slice(&READ_ONLY.to_ne_bytes());
    // SAFETY: LOOP_CONFIGURE reads a `struct loop_config`, which has SIZE bytes.
    unsafe { ioctl(device, Setter::<CONFIGURE, [u8; SIZE]>::new(config)) }?;
    Ok(number)
}

/// Number of a device that nobody uses; its node exists when this returns.
fn free(control: BorrowedFd<'_>) -> Result<c_int, Errno> {
    /// An ioctl whose answer is its return value.
    struct Ask(NoArg<GET_FREE>);
    // SAFETY: LOOP_CTL_GET_FREE takes no argument and writes no memory; the kernel returns a number or an error.
    unsafe impl rustix::ioctl::Ioctl for Ask {
        type Output = c_int;
        const IS_MUTATING: bool = false;
        fn opcode(&self) -> Opcode {
            self.0.opcode()
        }
        fn as_ptr(&mut self) -> *mut std::ffi::c_void {
            self.0.as_ptr()
        }
        unsafe fn output_from_ptr(out: rustix::ioctl::IoctlOutput, _: *mut std::ffi::c_void) -> Result<c_int, Errno> {
            Ok(out)
        }
    }
    // SAFETY: see the implementation above; `control` is the control device.
    unsafe { ioctl(control, Ask(NoArg::new())) }
}
