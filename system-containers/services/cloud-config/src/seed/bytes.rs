//! Bytes of a device at an offset: all that the readers of foreign file systems need, in [`superblock`] and [`volume`].
//!
//! [`superblock`]: super::superblock
//! [`volume`]: super::volume

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

/// A device, or an image of one.
pub trait Bytes {
    /// Fills the buffer with the bytes from `offset`; fewer of them are an error.
    fn fill_from(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()>;

    /// `length` bytes from `offset`; the caller bounds the length.
    fn at(&self, offset: u64, length: usize) -> io::Result<Vec<u8>> {
        let mut buffer = vec![0; length];
        self.fill_from(offset, &mut buffer)?;
        Ok(buffer)
    }

    /// `N` bytes from `offset`.
    fn array<const N: usize>(&self, offset: u64) -> io::Result<[u8; N]> {
        let mut buffer = [0; N];
        self.fill_from(offset, &mut buffer)?;
        Ok(buffer)
    }
}

impl Bytes for File {
    fn fill_from(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        self.read_exact_at(buffer, offset).map_err(|error| match error.kind() {
            io::ErrorKind::UnexpectedEof => too_short(offset, buffer.len()),
            _ => error,
        })
    }
}

impl Bytes for [u8] {
    fn fill_from(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        let start = usize::try_from(offset).ok();
        let range = start.and_then(|start| self.get(start..start.checked_add(buffer.len())?));
        buffer.copy_from_slice(range.ok_or_else(|| too_short(offset, buffer.len()))?);
        Ok(())
    }
}

fn too_short(offset: u64, length: usize) -> io::Error {
    io::Error::new(io::ErrorKind::UnexpectedEof, format!("the device ends within {length} bytes from byte {offset}"))
}

/// The little-endian 16 bits at a place; 0 past the end, which callers exclude by reading as much as they look at.
pub(super) fn half(bytes: &[u8], at: usize) -> u16 {
    bytes.get(at..).and_then(<[u8]>::first_chunk).copied().map_or(0, u16::from_le_bytes)
}

/// The little-endian 32 bits at a place; 0 past the end.
pub(super) fn word(bytes: &[u8], at: usize) -> u32 {
    bytes.get(at..).and_then(<[u8]>::first_chunk).copied().map_or(0, u32::from_le_bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_lies_beyond_the_end_is_an_error_that_says_so() {
        let file = tempfile::tempfile().unwrap();
        file.set_len(8).unwrap();
        let slice = &[0; 8][..];
        assert_eq!(file.array::<8>(0).unwrap(), slice.array::<8>(0).unwrap());
        for offset in [1, 8, 9, 1 << 62, u64::MAX] {
            slice.at(offset, 8).unwrap_err();
            file.at(offset, 8).unwrap_err();
        }
        let want = "the device ends within 8 bytes from byte 1";
        assert_eq!(file.at(1, 8).unwrap_err().to_string(), want);
        assert_eq!(slice.at(1, 8).unwrap_err().to_string(), want);
    }

    #[test]
    fn fields_are_little_endian() {
        let bytes = [1, 2, 3, 4, 5];
        assert_eq!((half(&bytes, 1), word(&bytes, 1)), (0x0302, 0x0504_0302));
        assert_eq!((half(&bytes, 4), word(&bytes, 2)), (0, 0));
    }
}
