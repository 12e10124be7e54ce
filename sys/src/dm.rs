//! Device mapper over `/dev/mapper/control`: what a dm-verity root needs and nothing else (create, load one target,
//! resume, status, remove), after the kernel's `include/uapi/linux/dm-ioctl.h`, interface version 4.0.
//!
//! Every call carries one flat buffer, drawn here with byte offsets:
//!
//! ```text
//! 0 version[3] u32 | 12 data_size | 16 data_start | 20 target_count | 24 open_count | 28 flags | 32 event_nr
//! 40 dev u64 | 48 name[128] | 176 uuid[129] | 305 data[7] | 312 payload
//! payload = dm_target_spec: 0 sector_start u64 | 8 length u64 | 16 status i32 | 20 next u32 | 24 type[16] | 40 params
//! ```

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use rustix::ioctl::{Opcode, Updater, ioctl, opcode};
use std::os::fd::OwnedFd;
use thiserror::Error;

/// Where the kernel offers the control device.
pub const CONTROL: &str = "/dev/mapper/control";

/// Size of `struct dm_ioctl`; part of every opcode.
const HEADER: usize = 312;
/// Header, one target and its parameters or status line; a verity line is below 400 bytes.
const BUFFER: usize = 4096;
const NAME: std::ops::Range<usize> = 48..176;
const UUID: std::ops::Range<usize> = 176..305;
const TARGET_TYPE: std::ops::Range<usize> = HEADER + 24..HEADER + 40;
const PARAMETERS: usize = HEADER + 40;

const READ_ONLY: u32 = 1 << 0;
const BUFFER_FULL: u32 = 1 << 8;

type Buffer = [u8; BUFFER];

const fn dm(number: u8) -> Opcode {
    opcode::read_write::<[u8; HEADER]>(0xfd, number)
}
const DEV_CREATE: Opcode = dm(3);
const DEV_REMOVE: Opcode = dm(4);
const DEV_SUSPEND: Opcode = dm(6);
const TABLE_LOAD: Opcode = dm(9);
const TABLE_STATUS: Opcode = dm(12);

/// Why a device-mapper call failed.
#[derive(Debug, Error)]
pub enum Error {
    /// No control device: the kernel lacks device mapper, or devtmpfs is not mounted.
    #[error("cannot open {CONTROL}: {0}")]
    Control(Errno),
    /// A name or parameter line does not fit its field, or holds a NUL byte.
    #[error("device-mapper {field} of {length} bytes does not fit")]
    TooLong {
        /// Which field.
        field: &'static str,
        /// Its length in bytes.
        length: usize,
    },
    /// The kernel refused.
    #[error("device-mapper {step} of {device}: {errno}")]
    Ioctl {
        /// Which of the calls.
        step: &'static str,
        /// Name of the mapped device.
        device: String,
        /// The kernel's answer.
        errno: Errno,
    },
}

/// The open control device.
#[derive(Debug)]
pub struct Control(OwnedFd);

impl Control {
    /// Opens `/dev/mapper/control`.
    pub fn open() -> Result<Self, Error> {
        rustix::fs::open(CONTROL, OFlags::RDWR | OFlags::CLOEXEC, Mode::empty()).map(Self).map_err(Error::Control)
    }

    /// Creates an empty read-only device; returns its number in the kernel's `dev_t` encoding (see [`minor`]).
    pub fn create(&self, name: &str, uuid: &str) -> Result<u64, Error> {
        let mut buffer = request(name, READ_ONLY)?;
        put_string(&mut buffer[UUID], uuid, "uuid")?;
        self.call::<DEV_CREATE>("create", name, &mut buffer)?;
        Ok(number(&buffer))
    }

    /// Loads a read-only table of one target of `sectors` 512-byte sectors.
    pub fn load(&self, name: &str, sectors: u64, target: &str, parameters: &str) -> Result<(), Error> {
        let mut buffer = request(name, READ_ONLY)?;
        put_u32(&mut buffer, 20, 1);
        buffer[HEADER + 8..HEADER + 16].copy_from_slice(&sectors.to_ne_bytes());
        put_string(&mut buffer[TARGET_TYPE], target, "target type")?;
        put_string(&mut buffer[PARAMETERS..], parameters, "parameters")?;
        self.call::<TABLE_LOAD>("table load", name, &mut buffer)
    }

    /// Makes the loaded table live; the device node appears when this returns.
    pub fn resume(&self, name: &str) -> Result<(), Error> {
        self.call::<DEV_SUSPEND>("resume", name, &mut request(name, 0)?)
    }

    /// Status line of the first target; dm-verity answers `V` (all blocks read so far are valid) or `C` (corruption).
    pub fn status(&self, name: &str) -> Result<String, Error> {
        let mut buffer = request(name, 0)?;
        self.call::<TABLE_STATUS>("status", name, &mut buffer)?;
        if get_u32(&buffer, 28) & BUFFER_FULL != 0 {
            return Err(Error::TooLong { field: "status", length: BUFFER });
        }
        Ok(string(&buffer[PARAMETERS..]))
    }

    /// Removes the device; fails with `EBUSY` while it is open or mounted.
    pub fn remove(&self, name: &str) -> Result<(), Error> {
        self.call::<DEV_REMOVE>("remove", name, &mut request(name, 0)?)
    }

    fn call<const OPCODE: Opcode>(&self, step: &'static str, name: &str, buffer: &mut Buffer) -> Result<(), Error> {
        // SAFETY: every opcode passed here takes a `struct dm_ioctl` followed by payload; the buffer starts with one
        // whose data_size is the buffer's own length, and the kernel neither reads nor writes beyond data_size.
        let result = unsafe { ioctl(&self.0, Updater::<OPCODE, Buffer>::new(buffer)) };
        result.map_err(|errno| Error::Ioctl { step, device: name.to_owned(), errno })
    }
}

/// Minor number of a device number in the kernel's 32-bit encoding: the `N` of `/dev/dm-N`.
pub fn minor(dev: u64) -> u64 {
    (dev & 0xff) | ((dev >> 12) & 0xf_ff00)
}

fn request(name: &str, flags: u32) -> Result<Buffer, Error> {
    let mut buffer = [0; BUFFER];
    put_u32(&mut buffer, 0, 4); // version 4.0.0, understood by every kernel since 2.6
    put_u32(&mut buffer, 12, 4096);
    put_u32(&mut buffer, 16, 312);
    put_u32(&mut buffer, 28, flags);
    put_string(&mut buffer[NAME], name, "name")?;
    Ok(buffer)
}

fn put_u32(buffer: &mut Buffer, at: usize, value: u32) {
    buffer[at..at + 4].copy_from_slice(&value.to_ne_bytes());
}

fn get_u32(buffer: &Buffer, at: usize) -> u32 {
    u32::from_ne_bytes([buffer[at], buffer[at + 1], buffer[at + 2], buffer[at + 3]])
}

fn number(buffer: &Buffer) -> u64 {
    (40..48).rev().fold(0, |value, at| value << 8 | u64::from(buffer[at]))
}

/// Copies `text` and its terminating NUL; the field is zero before.
fn put_string(field: &mut [u8], text: &str, what: &'static str) -> Result<(), Error> {
    if text.len() >= field.len() || text.contains('\0') {
        return Err(Error::TooLong { field: what, length: text.len() });
    }
    field[..text.len()].copy_from_slice(text.as_bytes());
    Ok(())
}

fn string(field: &[u8]) -> String {
    let end = field.iter().position(|&byte| byte == 0).unwrap_or(field.len());
    String::from_utf8_lossy(&field[..end]).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn opcodes_equal_the_kernels() {
        assert_eq!(DEV_CREATE, 0xc138_fd03);
        assert_eq!(TABLE_STATUS, 0xc138_fd0c);
    }

    #[test]
    fn strings_must_fit_with_their_nul() {
        assert!(put_string(&mut [0; 4], "abc", "name").is_ok());
        assert!(put_string(&mut [0; 4], "abcd", "name").is_err());
        assert!(put_string(&mut [0; 9], "a\0b", "name").is_err());
    }

    #[test]
    fn minor_of_device_numbers() {
        for (dev, expected) in [(0xfd00, 0), (0xfd07, 7), (0x0010_fd01, 0x101)] {
            assert_eq!(minor(dev), expected, "{dev:#x}");
        }
    }
}
