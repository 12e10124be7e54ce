//! Hardware watchdog, after the kernel's `Documentation/watchdog/watchdog-api.rst`: opening starts it, every write feeds
//! it, and closing it without [`Watchdog::disarm`] lets it run out and reset the machine.

use rustix::io::{Errno, FdFlags, fcntl_setfd};
use rustix::ioctl::{Opcode, Updater, ioctl, opcode};
use std::ffi::c_int;
use std::fs::{File, OpenOptions};
use std::io::{Error, Write};
use std::os::fd::{IntoRawFd, OwnedFd};
use std::path::Path;

const SET_TIMEOUT: Opcode = opcode::read_write::<c_int>(b'W', 6);

/// A running watchdog.
#[derive(Debug)]
pub struct Watchdog(File);

impl Watchdog {
    /// Opens and so starts the watchdog. `NotFound` when the machine has none.
    pub fn open(device: &Path) -> Result<Self, Error> {
        OpenOptions::new().write(true).open(device).map(Self)
    }

    /// Lets the next program have it: returns the descriptor's number, which survives an exec.
    pub fn hand_over(self) -> Result<c_int, Errno> {
        fcntl_setfd(&self.0, FdFlags::empty())?;
        Ok(self.0.into_raw_fd())
    }

    /// One that a program before this one opened.
    pub fn from_open(descriptor: OwnedFd) -> Self {
        Self(descriptor.into())
    }

    /// Asks for a timeout in seconds; returns the one the hardware took, which may be rounded.
    pub fn set_timeout(&self, seconds: u16) -> Result<u32, Errno> {
        let mut value = c_int::from(seconds);
        // SAFETY: WDIOC_SETTIMEOUT reads and writes one int through the pointer.
        unsafe { ioctl(&self.0, Updater::<SET_TIMEOUT, c_int>::new(&mut value)) }?;
        u32::try_from(value).map_err(|_| Errno::RANGE)
    }

    /// Restarts the countdown.
    pub fn feed(&mut self) -> Result<(), Error> {
        self.0.write_all(b"\0")
    }

    /// Stops the countdown by the magic close, where the driver allows it.
    pub fn disarm(mut self) -> Result<(), Error> {
        self.0.write_all(b"V")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn opcode_equals_the_kernels() {
        assert_eq!(SET_TIMEOUT, 0xc004_5706);
    }

    #[test]
    fn no_watchdog_is_not_found() {
        let error = Watchdog::open(Path::new("/nonexistent/watchdog")).map(drop).map_err(|error| error.kind());
        assert_eq!(error, Err(std::io::ErrorKind::NotFound));
    }
}
