//! The beginning of an installed disk: boot sector, partition table, GRUB's core image and the ESP, up to its last byte that
//! is not zero. A live root carries it behind its hash tree, at a multiple of 4096 bytes:
//!
//! ```text
//!    0   8  "hullhead"
//!    8   8  length of the content, little-endian
//!   16  32  its SHA-256
//! 4096      content, zeros up to a multiple of 4096
//! ```

use crate::digest::Digest;
use crate::verity::{BLOCK, BLOCK_BYTES};
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

const MAGIC: &[u8; 8] = b"hullhead";
/// Far more than boot loaders, kernel and initrd take up.
const LONGEST: u64 = 256 << 20;

/// Why there is nothing to install from.
#[derive(Debug, thiserror::Error)]
pub enum HeadError {
    /// The root came without it.
    #[error(
        "this system carries nothing to install: start the machine from the ISO image or the network files of make images"
    )]
    Missing,
    /// It cannot be read.
    #[error("cannot read the boot files behind the root")]
    Read(#[from] io::Error),
    /// It is not what it was.
    #[error("the boot files behind the root are damaged: memory or medium are faulty")]
    Damaged,
}

/// The content with its header, as it is put behind a root.
#[must_use]
pub fn wrap(content: &[u8]) -> Vec<u8> {
    let used = content.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
    let content = &content[..used];
    let mut wrapped = vec![0; BLOCK];
    wrapped[..8].copy_from_slice(MAGIC);
    wrapped[8..16].copy_from_slice(&(content.len() as u64).to_le_bytes());
    wrapped[16..48].copy_from_slice(&Digest::of(content).0);
    wrapped.extend(content);
    wrapped.resize(wrapped.len().next_multiple_of(BLOCK), 0);
    wrapped
}

/// Reads the content whose header is at `offset`.
///
/// # Errors
/// There is none, or it is damaged.
pub fn read(file: &File, offset: u64) -> Result<Vec<u8>, HeadError> {
    let mut header = [0; 48];
    match file.read_exact_at(&mut header, offset) {
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Err(HeadError::Missing),
        result => result?,
    }
    let (magic, rest) = header.split_at(8);
    let (length, digest) = rest.split_at(8);
    if magic != MAGIC {
        return Err(HeadError::Missing);
    }
    let length = length.try_into().map_or(u64::MAX, u64::from_le_bytes);
    let length = usize::try_from(length).ok().filter(|_| length <= LONGEST).ok_or(HeadError::Damaged)?;
    let mut content = vec![0; length];
    match file.read_exact_at(&mut content, offset + BLOCK_BYTES) {
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Err(HeadError::Damaged),
        result => result?,
    }
    if Digest::of(&content).0 == digest { Ok(content) } else { Err(HeadError::Damaged) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(content: &[u8]) -> File {
        let file = tempfile::tempfile().unwrap();
        file.write_all_at(content, 0).unwrap();
        file
    }

    #[test]
    fn zeros_at_the_end_are_left_out() {
        let wrapped = wrap(&[&[7; 5000][..], &[0; 100_000]].concat());
        assert_eq!(wrapped.len(), 3 * BLOCK);
        let behind = file(&[&[1; BLOCK][..], &wrapped].concat());
        assert_eq!(read(&behind, BLOCK_BYTES).unwrap(), [7; 5000]);
    }

    #[test]
    fn what_is_missing_or_damaged_is_told() {
        let mut wrapped = wrap(&[7; 5000]);
        assert!(matches!(read(&file(&[]), 0), Err(HeadError::Missing)));
        assert!(matches!(read(&file(&[0; 9000]), 0), Err(HeadError::Missing)));
        assert!(matches!(read(&file(&wrapped[..6000]), 0), Err(HeadError::Damaged)));
        for at in [9, 13, 20, 4096, 9000] {
            wrapped[at] ^= 1;
            assert!(matches!(read(&file(&wrapped), 0), Err(HeadError::Damaged)), "{at}");
            wrapped[at] ^= 1;
        }
        read(&file(&wrapped), 0).unwrap();
    }
}
