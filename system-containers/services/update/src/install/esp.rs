//! User data laid on the EFI system partition while that is still in memory, with the other boot files: what is written to
//! the disk has it already.

use super::table::{self, Extent};
use anyhow::{Context, Result, ensure};
use fatfs::{FileSystem, FsOptions};
use std::io::{self, ErrorKind, Read, Seek, SeekFrom, Write};

/// Name of the partition.
const ESP: &str = "esp";
/// What cloud-config reads there.
const USER_DATA: &str = "user-data";

/// Makes the file; `head` grows by what lies behind its end.
///
/// # Errors
/// There is no room for it. `head` is of no use then.
pub(super) fn lay(head: &mut Vec<u8>, text: &str) -> Result<()> {
    let extent = table::find(head, ESP)?;
    let failed = "cannot lay the user data on the EFI system partition";
    let files = FileSystem::new(Volume { head, extent, at: 0 }, FsOptions::new()).context(failed)?;
    let stats = files.stats().context(failed)?;
    let room = u64::from(stats.free_clusters()) * u64::from(stats.cluster_size());
    ensure!(
        text.len() as u64 <= room,
        "the user data has {} KiB, and the EFI system partition has room for {} KiB: have it include a URL",
        text.len().div_ceil(1024),
        room / 1024
    );
    write(&files, text).context(failed)?;
    files.unmount().context(failed)
}

fn write(files: &FileSystem<Volume<'_>>, text: &str) -> io::Result<()> {
    let mut file = files.root_dir().create_file(USER_DATA)?;
    file.truncate()?;
    file.write_all(text.as_bytes())?;
    // Dropped, it would keep an error of its directory entry to itself.
    file.flush()
}

/// The partition as fatfs wants it. The boot files end with their last byte that is not zero, the partition far behind
/// that: memory is for as much only as is written.
struct Volume<'a> {
    head: &'a mut Vec<u8>,
    extent: Extent,
    /// In the partition, and never behind its end.
    at: u64,
}

impl Volume<'_> {
    /// How much of `wanted` bytes is in the partition, and where they are in the boot files.
    fn here(&self, wanted: usize) -> io::Result<(usize, usize)> {
        let length = usize::try_from(self.extent.length - self.at).map_or(wanted, |left| left.min(wanted));
        let start = usize::try_from(self.extent.start + self.at);
        let start = start.ok().filter(|start| start.checked_add(length).is_some());
        Ok((start.ok_or(ErrorKind::FileTooLarge)?, length))
    }
}

impl Read for Volume<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let (start, length) = self.here(buffer.len())?;
        let there = self.head.get(start..).unwrap_or_default();
        let there = &there[..there.len().min(length)];
        buffer[..there.len()].copy_from_slice(there);
        buffer[there.len()..length].fill(0);
        self.at += length as u64;
        Ok(length)
    }
}

impl Write for Volume<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let (start, length) = self.here(bytes.len())?;
        if self.head.len() < start + length {
            self.head.resize(start + length, 0);
        }
        self.head[start..start + length].copy_from_slice(&bytes[..length]);
        self.at += length as u64;
        Ok(length)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Seek for Volume<'_> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let at = match to {
            SeekFrom::Start(at) => Some(at),
            SeekFrom::Current(by) => self.at.checked_add_signed(by),
            SeekFrom::End(by) => self.extent.length.checked_add_signed(by),
        };
        self.at = at.filter(|at| *at <= self.extent.length).ok_or(ErrorKind::InvalidInput)?;
        Ok(self.at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::install::testing::{boot_files, user_data};

    const MIB: u64 = 1 << 20;
    /// As on every disk.
    const PLACE: Extent = Extent { start: 2 * MIB, length: 512 * MIB };
    const SLOT: Extent = Extent { start: 514 * MIB, length: MIB };

    fn laid(head: &[u8], text: &str) -> Vec<u8> {
        let mut head = head.to_vec();
        lay(&mut head, text).unwrap();
        head
    }

    #[test]
    fn the_file_is_there_and_the_file_system_is_whole() {
        let head = boot_files(PLACE, 8, SLOT);
        let start = usize::try_from(PLACE.start).unwrap();
        // Nothing, less than a cluster, a cluster to the byte, what the API takes at most.
        for length in [0, 1, 4096, 4097, 256 << 10] {
            let text: String = ('a'..='z').cycle().take(length).collect();
            let with = laid(&head, &text);
            assert_eq!(user_data(&with[start..], PLACE.length), text.as_bytes(), "{length}");
            assert!(with[..start] == head[..start], "{length}: more than the partition was changed");
            assert!(with.len() < head.len() + length + (1 << 20), "{length}: {} bytes", with.len());
        }
    }

    #[test]
    fn what_was_laid_before_is_replaced() {
        let head = laid(&boot_files(PLACE, 8, SLOT), &"long ".repeat(5000));
        let head = laid(&head, "short");
        assert_eq!(user_data(&head[usize::try_from(PLACE.start).unwrap()..], PLACE.length), b"short");
    }

    #[test]
    fn a_table_without_the_partition_is_refused() {
        let mut head = boot_files(PLACE, 8, SLOT);
        head.truncate(1 << 20);
        let error = format!("{:#}", lay(&mut head, "text").unwrap_err());
        assert!(error.contains("cannot lay the user data"), "{error}");
        head.fill(0);
        let error = format!("{:#}", lay(&mut head, "text").unwrap_err());
        assert!(error.contains("no partition table"), "{error}");
    }
}
