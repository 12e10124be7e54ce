//! pidfd_send_signal(2) with any signal: rustix's type has no real-time signals, which containers are stopped with.

use nix::libc;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

/// Sends signal `number` to the process.
///
/// # Errors
/// `ESRCH` when it has ended, `EINVAL` for a number that is no signal; see pidfd_send_signal(2).
pub fn send(pidfd: BorrowedFd<'_>, number: i32) -> io::Result<()> {
    let info = std::ptr::null::<libc::siginfo_t>();
    // SAFETY: without a siginfo the kernel reads no memory; the descriptor is open.
    let result = unsafe { libc::syscall(libc::SYS_pidfd_send_signal, pidfd.as_raw_fd(), number, info, 0) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}
