//! What was taken off one pipe and is not in the log yet: a file on `/run`, which outlives the daemon, not a power cut.
//!
//! ```text
//! 0            START                    done          size
//! │ position   │ in the log, given back │ to be split │ ← splice(2) from the pipe
//! ```
//! splice(2) takes a byte off the pipe by the same step that puts it into the file, so at any instant a byte is in one
//! of them and never in both; the size says exactly how much was taken. tee(2) with a later read cannot do that: after
//! a SIGKILL nobody knows whether the read took place, and the pipe cannot be asked, for its writer goes on writing.
//!
//! The second step, from here to the log, has an undo record: before a batch is written, the position names the
//! batch's end, its time, and the file and size it is written behind. A daemon that finds a batch begun cuts the log
//! back to that size and writes the same bytes again. A batch that was finished is not begun any more.
//!
//! A position is written with one write(2) inside one page, which a SIGKILL cannot divide.

use super::split::Splitter;
use crate::clock::WallTime;
use rustix::fd::{AsFd, OwnedFd};
use rustix::fs::{FallocateFlags, fallocate};
use rustix::io::Errno;
use rustix::pipe::{SpliceFlags, splice};
use serde::{Deserialize, Serialize};
use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

/// Bytes handled at once: a pipe's default capacity.
pub const BATCH: usize = 64 << 10;

/// Where the pipe's bytes begin; a position is padded to it.
const START: u64 = POSITION as u64;
/// Bytes of a position.
const POSITION: usize = 512;
/// Bytes in the log whose memory is given back at once.
const GIVE_BACK: u64 = 16 << 10;
const PAGE: u64 = 4096;

/// Where a batch is written: behind the first `size` bytes of the file with this inode number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mark {
    /// Inode number.
    pub inode: u64,
    /// Bytes.
    pub size: u64,
}

/// A batch on its way to the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Batch {
    /// Offset in the spool behind its last byte.
    pub end: u64,
    /// Time of its first record.
    pub time: WallTime,
    /// Its place.
    pub mark: Mark,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Position {
    /// Everything before this offset is in the log.
    done: u64,
    splitter: Splitter,
    begun: Option<Batch>,
}

/// The spool of one pipe.
#[derive(Debug)]
pub struct Spool {
    file: File,
    size: u64,
    given_back: u64,
    position: Position,
}

impl Spool {
    /// Opens the spool, or makes an empty one. A foreign file is taken as empty, for nothing in it can be trusted.
    pub fn open(path: &Path) -> io::Result<Self> {
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder)?;
        }
        let file = OpenOptions::new().create(true).truncate(false).read(true).write(true).open(path)?;
        let size = file.metadata()?.len();
        let fresh = Position { done: START, splitter: Splitter::default(), begun: None };
        let mut spool = Self { file, size, given_back: START, position: fresh };
        match spool.stored()? {
            Some(position) => spool.position = position,
            None => {
                spool.file.set_len(0)?;
                spool.size = START;
                spool.store(fresh)?;
            }
        }
        Ok(spool)
    }

    fn stored(&self) -> io::Result<Option<Position>> {
        if self.size < START {
            return Ok(None);
        }
        let mut text = [0; POSITION];
        self.file.read_exact_at(&mut text, 0)?;
        let position: Option<Position> = serde_json::from_slice(text.trim_ascii_end()).ok();
        Ok(position.filter(|position| (START..=self.size).contains(&position.done)))
    }

    fn store(&mut self, position: Position) -> io::Result<()> {
        let mut text = serde_json::to_vec(&position)?;
        text.resize(POSITION, b' ');
        self.file.write_all_at(&text, 0)?;
        self.position = position;
        Ok(())
    }

    /// Takes bytes off the pipe, at most to a [`BATCH`] in all; 0 at the end of the stream.
    pub fn fill(&mut self, pipe: &OwnedFd) -> Result<usize, Errno> {
        let room = BATCH.saturating_sub(usize::try_from(self.size - self.position.done).unwrap_or(BATCH));
        if room == 0 {
            return Err(Errno::AGAIN);
        }
        let mut offset = self.size;
        let flags = SpliceFlags::NONBLOCK | SpliceFlags::MOVE;
        let taken = splice(pipe, None, &self.file, Some(&mut offset), room, flags)?;
        self.size = offset;
        Ok(taken)
    }

    /// Bytes that are not in the log, and the splitter to use on them.
    pub fn rest(&self) -> io::Result<(Vec<u8>, Splitter)> {
        self.bytes(self.size)
    }

    /// The batch that was begun and not finished, with its bytes and the splitter to use on them.
    pub fn begun(&self) -> io::Result<Option<(Batch, Vec<u8>, Splitter)>> {
        let Some(batch) = self.position.begun else { return Ok(None) };
        let (bytes, splitter) = self.bytes(batch.end.min(self.size))?;
        Ok(Some((batch, bytes, splitter)))
    }

    fn bytes(&self, end: u64) -> io::Result<(Vec<u8>, Splitter)> {
        let length = usize::try_from(end.saturating_sub(self.position.done)).map_err(io::Error::other)?;
        let mut bytes = vec![0; length];
        self.file.read_exact_at(&mut bytes, self.position.done)?;
        Ok((bytes, self.position.splitter))
    }

    /// Says that the first `length` bytes of the rest are about to be written behind `mark`.
    pub fn begin(&mut self, length: usize, time: WallTime, mark: Mark) -> io::Result<()> {
        let end = self.position.done + u64::try_from(length).map_err(io::Error::other)?;
        self.store(Position { begun: Some(Batch { end, time, mark }), ..self.position })
    }

    /// Says that the first `length` bytes of the rest need no more care.
    pub fn finish(&mut self, length: usize, splitter: Splitter) -> io::Result<()> {
        let done = self.position.done + u64::try_from(length).map_err(io::Error::other)?;
        self.store(Position { done, splitter, begun: None })?;
        if done - self.given_back >= GIVE_BACK {
            let end = done / PAGE * PAGE;
            let flags = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
            // A file system that cannot is none of those /run is on; the bytes stay until the service's next start.
            fallocate(self.file.as_fd(), flags, self.given_back, end - self.given_back).ok();
            self.given_back = end;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::MetadataExt;

    const MARK: Mark = Mark { inode: 7, size: 100 };

    #[test]
    fn every_byte_is_in_the_pipe_or_in_the_spool() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("s/a");
        let (read_end, write_end) = rustix::pipe::pipe().unwrap();
        rustix::io::write(&write_end, b"one\ntwo\nthr").unwrap();
        let mut spool = Spool::open(&path).unwrap();
        assert_eq!(spool.fill(&read_end), Ok(11));
        assert_eq!(spool.fill(&read_end), Err(Errno::AGAIN));
        spool.begin(8, WallTime::default(), MARK).unwrap();
        drop(spool);
        let mut spool = Spool::open(&path).unwrap();
        let (batch, bytes, splitter) = spool.begun().unwrap().unwrap();
        assert_eq!((batch.mark, bytes.as_slice()), (MARK, &b"one\ntwo\n"[..]));
        spool.finish(bytes.len(), splitter).unwrap();
        drop(spool);
        rustix::io::write(&write_end, b"ee\n").unwrap();
        drop(write_end);
        let mut spool = Spool::open(&path).unwrap();
        assert!(spool.begun().unwrap().is_none());
        assert_eq!((spool.fill(&read_end), spool.fill(&read_end)), (Ok(3), Ok(0)));
        assert_eq!(spool.rest().unwrap().0, b"three\n");
    }

    #[test]
    fn memory_is_given_back() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        let (read_end, write_end) = rustix::pipe::pipe().unwrap();
        let mut spool = Spool::open(&path).unwrap();
        for _ in 0..64 {
            rustix::io::write(&write_end, &[b'x'; 32 << 10]).unwrap();
            let taken = spool.fill(&read_end).unwrap();
            spool.finish(taken, Splitter::default()).unwrap();
        }
        let metadata = path.metadata().unwrap();
        assert_eq!(metadata.len(), START + (2 << 20));
        assert!(metadata.blocks() * 512 < 64 << 10, "{} blocks", metadata.blocks());
    }

    #[test]
    fn a_foreign_file_is_empty() {
        let folder = tempfile::tempdir().unwrap();
        for text in [String::new(), "x".repeat(10), "x".repeat(5000)] {
            std::fs::write(folder.path().join("a"), &text).unwrap();
            assert!(Spool::open(&folder.path().join("a")).unwrap().rest().unwrap().0.is_empty(), "{}", text.len());
        }
    }
}
