//! Room on the state partition.

use std::io;
use std::path::Path;

/// Part of the file system that stays for logs and data: one twentieth.
const RESERVE: u64 = 20;

/// Bytes that may be written: what is free, less the reserve.
///
/// # Errors
/// When the file system cannot be asked.
pub fn available(folder: &Path) -> io::Result<u64> {
    let found = rustix::fs::statvfs(folder)?;
    let reserve = found.f_blocks.saturating_mul(found.f_frsize) / RESERVE;
    Ok(found.f_bavail.saturating_mul(found.f_frsize).saturating_sub(reserve))
}
