//! Whole files. One that is there in part is gone on with, so that a download that broke off is not begun anew.

use super::{Attempts, Client, ClientError};
use crate::digest::Digest;
use crate::trust::FileEntry;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::Path;

/// Bytes between two reports.
const STEP: usize = 64 << 10;

impl Client {
    /// Brings the file `to` to size and digest of `entry`, and onto the disk. `report` hears how many bytes came over the
    /// network so far.
    pub fn fetch_file(
        &self,
        path: &str,
        entry: &FileEntry,
        to: &Path,
        report: &mut dyn FnMut(u64),
    ) -> Result<(), ClientError> {
        let (mut attempts, mut fetched) = (Attempts::new(self.pause), 0);
        if length(to) > entry.size {
            remove(to)?;
        }
        while length(to) != entry.size || entry.size == 0 && !to.exists() {
            let before = length(to);
            let result = self.attempt(path, entry, to, &mut fetched, report);
            let error = match result {
                Ok(()) if length(to) == entry.size => break,
                Ok(()) => ClientError::Connection { url: path.into(), source: io::ErrorKind::UnexpectedEof.into() },
                Err(error) if error.is_transient() => error,
                Err(error) => return Err(error),
            };
            if !attempts.again(length(to).saturating_sub(before)) {
                return Err(error);
            }
        }
        let file = File::open(to).map_err(|source| fault(to, source))?;
        let found = Digest::of_reader(&file).map_err(|source| fault(to, source))?;
        if found != entry.sha256 {
            remove(to)?;
            return Err(ClientError::Digest { url: path.into(), found, expected: entry.sha256 });
        }
        file.sync_all().map_err(|source| fault(to, source))
    }

    fn attempt(
        &self,
        path: &str,
        entry: &FileEntry,
        to: &Path,
        fetched: &mut u64,
        report: &mut dyn FnMut(u64),
    ) -> Result<(), ClientError> {
        let mut have = length(to);
        let part = match self.fetch_part(path, have..u64::MAX) {
            // What is there is not a part of it.
            Err(ClientError::Status { status: 416, .. }) if have > 0 => {
                remove(to)?;
                return Ok(());
            }
            result => result?,
        };
        if part.is_whole {
            have = 0;
        }
        let file = OpenOptions::new().create(true).truncate(have == 0).append(have != 0).write(true).open(to);
        let mut file = file.map_err(|source| fault(to, source))?;
        // One byte more than allowed tells a body that is too long from one that just fits.
        let mut body = part.body.take(entry.size - have + 1);
        let mut buffer = vec![0; STEP];
        loop {
            let count =
                body.read(&mut buffer).map_err(|source| ClientError::Connection { url: path.into(), source })?;
            if count == 0 {
                break;
            }
            file.write_all(&buffer[..count]).map_err(|source| fault(to, source))?;
            *fetched += count as u64;
            report(*fetched);
        }
        if length(to) > entry.size {
            remove(to)?;
            return Err(ClientError::TooLong { url: path.into(), size: entry.size });
        }
        Ok(())
    }
}

fn length(path: &Path) -> u64 {
    path.metadata().map_or(0, |metadata| metadata.len())
}

fn remove(path: &Path) -> Result<(), ClientError> {
    fs::remove_file(path).map_err(|source| fault(path, source))
}

fn fault(path: &Path, source: io::Error) -> ClientError {
    ClientError::File { path: path.display().to_string(), source }
}
