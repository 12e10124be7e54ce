//! The disk that is written, and a part of it that is to become a slot.

use super::table::SECTOR;
use crate::delta::Storage;
use anyhow::{Context, Result, ensure};
use rustix::fs::{FileType, fstat, ioctl_blksszget};
use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// Bytes written or compared at once.
const PIECE: usize = 1 << 20;

/// A whole disk.
#[derive(Debug)]
pub(crate) struct Disk<S = File> {
    storage: S,
    /// Bytes.
    pub(crate) size: u64,
}

impl Disk {
    /// Opens it for this process alone: what is mounted, or a part of something else, is refused by the kernel.
    pub(crate) fn open(path: &Path) -> Result<Self> {
        let exclusive = i32::try_from(rustix::fs::OFlags::EXCL.bits()).unwrap_or_default();
        let opened = OpenOptions::new().read(true).write(true).custom_flags(exclusive).open(path);
        let file = match opened {
            Err(error) if error.raw_os_error() == Some(rustix::io::Errno::BUSY.raw_os_error()) => {
                anyhow::bail!("it is in use: something of it is mounted, swapped on, or part of a RAID or volume group")
            }
            opened => opened.context("cannot open it")?,
        };
        let sector = sector_bytes(&file)?;
        ensure!(
            sector == SECTOR,
            "its sectors have {sector} bytes, the image is for {SECTOR}; many NVMe disks can be set with nvme format --lbaf"
        );
        Self::new(file)
    }
}

impl<S: Storage> Disk<S> {
    pub(super) fn new(storage: S) -> Result<Self> {
        let size = storage.size().context("cannot find its size")?;
        Ok(Self { storage, size })
    }

    /// Writes zeros, as far as the disk reaches.
    pub(crate) fn zero(&self, start: u64, length: u64) -> Result<()> {
        let end = start.saturating_add(length).min(self.size);
        let zeros = vec![0; PIECE];
        let mut at = start;
        while at < end {
            let piece = &zeros[..usize::try_from(end - at).map_or(PIECE, |left| left.min(PIECE))];
            self.storage.write_at(piece, at).with_context(|| format!("cannot write byte {at}"))?;
            at += piece.len() as u64;
        }
        Ok(())
    }

    /// Writes `bytes`; when this returns they were read back from the disk.
    pub(crate) fn write(&self, bytes: &[u8], start: u64) -> Result<()> {
        self.storage.write_at(bytes, start).with_context(|| format!("cannot write byte {start}"))?;
        self.sync()?;
        self.storage.forget().context("cannot read back")?;
        let mut buffer = vec![0; PIECE];
        for (piece, at) in bytes.chunks(PIECE).zip((start..).step_by(PIECE)) {
            let found = &mut buffer[..piece.len()];
            self.storage.read_at(found, at).with_context(|| format!("cannot read back byte {at}"))?;
            ensure!(
                found == piece,
                "what was written at byte {at} reads back differently: the disk is faulty, replace it"
            );
        }
        Ok(())
    }

    /// Waits until everything is on the disk.
    pub(crate) fn sync(&self) -> Result<()> {
        self.storage.sync().context("cannot write everything")
    }

    /// The disk by itself.
    #[cfg(test)]
    pub(super) fn into_storage(self) -> S {
        self.storage
    }

    /// `length` bytes from `start` on.
    pub(crate) fn part(&self, start: u64, length: u64) -> Part<'_, S> {
        Part { storage: &self.storage, start, length }
    }
}

/// A file in the place of a disk has sectors like the image's.
fn sector_bytes(file: &File) -> Result<u64> {
    let kind = FileType::from_raw_mode(fstat(file).context("cannot look at it")?.st_mode);
    if kind == FileType::RegularFile {
        return Ok(SECTOR);
    }
    Ok(u64::from(ioctl_blksszget(file).context("it is no disk")?))
}

/// A part of a disk.
#[derive(Debug)]
pub(crate) struct Part<'a, S> {
    storage: &'a S,
    start: u64,
    length: u64,
}

impl<S> Part<'_, S> {
    /// Where on the disk, if it is in the part.
    fn place(&self, offset: u64, length: usize) -> io::Result<u64> {
        let end = offset.checked_add(length as u64).filter(|end| *end <= self.length);
        end.map(|_| self.start + offset).ok_or_else(|| io::ErrorKind::InvalidInput.into())
    }
}

impl<S: Storage> Storage for Part<'_, S> {
    fn size(&self) -> io::Result<u64> {
        Ok(self.length)
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        self.storage.read_at(buffer, self.place(offset, buffer.len())?)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.storage.write_at(bytes, self.place(offset, bytes.len())?)
    }

    fn sync(&self) -> io::Result<()> {
        self.storage.sync()
    }

    fn forget(&self) -> io::Result<()> {
        self.storage.forget()
    }
}
