//! Installs a compiled seccomp filter.

use nix::libc;
use std::io;
use std::os::fd::{FromRawFd, OwnedFd};

/// Bytes of a `struct sock_filter`: code, two jumps, constant.
const INSTRUCTION_SIZE: usize = 8;

/// `BPF_MAXINSNS`: longest program the kernel takes.
const MAX_INSTRUCTIONS: usize = 4096;

/// `SECCOMP_FILTER_FLAG_LOG`: what the filter does is logged, unless it allows the call (kernel 4.14).
pub const LOG: u32 = 1 << 1;
/// `SECCOMP_FILTER_FLAG_SPEC_ALLOW`: no mitigation of speculative store bypass (kernel 4.17).
pub const SPEC_ALLOW: u32 = 1 << 2;
/// `SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV`: once received, a notification is only interrupted by a fatal signal (kernel
/// 5.19; of a filter with a listener alone).
pub const WAIT_KILLABLE_RECV: u32 = 1 << 5;

/// `SECCOMP_FILTER_FLAG_NEW_LISTENER`.
const NEW_LISTENER: u32 = 1 << 3;

/// A classic BPF program for `SECCOMP_SET_MODE_FILTER`.
#[derive(Clone)]
pub struct Filter(Vec<libc::sock_filter>);

impl std::fmt::Debug for Filter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Filter").field("instructions", &self.0.len()).finish()
    }
}

impl Filter {
    /// Reads an array of `struct sock_filter`, little endian.
    ///
    /// # Errors
    /// `InvalidData` when the length is not that of 1 to 4096 instructions.
    pub fn from_bytes(bytes: &[u8]) -> io::Result<Self> {
        let instructions = bytes.chunks_exact(INSTRUCTION_SIZE);
        if !instructions.remainder().is_empty() || !(1..=MAX_INSTRUCTIONS).contains(&instructions.len()) {
            return Err(io::ErrorKind::InvalidData.into());
        }
        let decode = |b: &[u8]| libc::sock_filter {
            code: u16::from_le_bytes([b[0], b[1]]),
            jt: b[2],
            jf: b[3],
            k: u32::from_le_bytes([b[4], b[5], b[6], b[7]]),
        };
        Ok(Self(instructions.map(decode).collect()))
    }

    /// Puts the filter on the calling thread and everything it will start, with the flags above. It cannot be taken off.
    /// Needs `PR_SET_NO_NEW_PRIVS` or an effective `CAP_SYS_ADMIN`.
    ///
    /// # Errors
    /// `EACCES` without either, `EINVAL` for a malformed program; see seccomp(2).
    pub fn install(&self, flags: u32) -> io::Result<()> {
        self.load(flags & !NEW_LISTENER).map(drop)
    }

    /// As [`Filter::install`]; returns the descriptor notifications of `SECCOMP_RET_USER_NOTIF` are received from
    /// (kernel 5.0), close-on-exec.
    ///
    /// # Errors
    /// As [`Filter::install`]; `EBUSY` when a filter of the thread has a listener already.
    pub fn install_with_listener(&self, flags: u32) -> io::Result<OwnedFd> {
        let fd = self.load(flags | NEW_LISTENER)?;
        // SAFETY: with NEW_LISTENER the call returns a new descriptor, owned by nobody else.
        Ok(unsafe { OwnedFd::from_raw_fd(fd) })
    }

    fn load(&self, flags: u32) -> io::Result<i32> {
        let program = libc::sock_fprog {
            len: self.0.len().try_into().map_err(|_| io::ErrorKind::InvalidData)?,
            filter: self.0.as_ptr().cast_mut(),
        };
        // SAFETY: the kernel copies `len` instructions from `filter`, both alive during the call, and writes to neither.
        let result =
            unsafe { libc::syscall(libc::SYS_seccomp, libc::SECCOMP_SET_MODE_FILTER, flags, &raw const program) };
        i32::try_from(result).ok().filter(|result| *result >= 0).ok_or_else(io::Error::last_os_error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decodes_little_endian_instructions() {
        let filter = Filter::from_bytes(&[0x06, 0x00, 0x01, 0x02, 0x00, 0x00, 0xff, 0x7f]).expect("one instruction");
        let first = filter.0[0];
        assert_eq!((first.code, first.jt, first.jf, first.k), (6, 1, 2, 0x7fff_0000));
    }

    #[test]
    fn refuses_lengths_that_are_no_program() {
        for length in [0, 7, 9, (MAX_INSTRUCTIONS + 1) * INSTRUCTION_SIZE] {
            assert!(Filter::from_bytes(&vec![0; length]).is_err(), "{length}");
        }
    }
}
