//! A part of a file as a reader of its own: a blob inside an archive, or a whole downloaded blob.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileExt;
use std::sync::Arc;

/// Reads `length` bytes from `offset`; copies read independently of each other.
#[derive(Debug, Clone)]
pub(crate) struct Section {
    file: Arc<File>,
    offset: u64,
    length: u64,
}

impl Section {
    pub(crate) fn new(file: &Arc<File>, offset: u64, length: u64) -> Self {
        Self { file: Arc::clone(file), offset, length }
    }

    pub(crate) fn length(&self) -> u64 {
        self.length
    }
}

impl Read for Section {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let wanted = buffer.len().min(usize::try_from(self.length).unwrap_or(usize::MAX));
        let count = self.file.read_at(&mut buffer[..wanted], self.offset)?;
        if count == 0 && wanted > 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.offset += count as u64;
        self.length -= count as u64;
        Ok(count)
    }
}
