//! The trace: everything a disk was asked to change, in order of arrival, and when each request was answered.
//!
//! ```text
//! file    "HULLTRC1"  size of the disk u64   record*           numbers are little-endian
//! record  kind u8  flags u8 (1: FUA)  0 u16 u32  time u64 (ns since the start)  a u64  b u64   data
//!         0 write         a offset  b length   b bytes
//!         1 write zeroes  a offset  b length
//!         2 trim          a offset  b length
//!         3 flush
//!         4 done          a number of the record that was answered
//!         5 mark                    b length   b bytes of UTF-8
//! ```
//! The file is the store as well: images read the bytes that were written out of it. A record that is not there in full
//! ends the trace: its writer was killed.

use anyhow::{Context, Result, bail, ensure};
use std::fs::File;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

const MAGIC: [u8; 8] = *b"HULLTRC1";
const HEADER: u64 = 16;
/// Length of a record without its data.
const RECORD: usize = 32;
const FUA: u8 = 1;
/// Longest mark; longer ones say that the file is something else.
const MARK_LIMIT: u64 = 4096;

/// What a change puts on its range.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Content {
    /// Bytes from this position of the trace on.
    Data(u64),
    /// Zeros, asked for as such.
    Zeroes,
    /// Nothing in particular; reads as zeros.
    Trim,
}

/// One entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// A request that changes bytes arrived.
    Change {
        /// Bytes of the disk.
        range: Range<u64>,
        /// What they become.
        content: Content,
        /// The answer promises that they are on the medium.
        fua: bool,
    },
    /// A flush arrived.
    Flush,
    /// The request with this number is about to be answered.
    Done(usize),
    /// Something the test wanted to find again.
    Mark(String),
}

/// An entry and its time since the trace was begun.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// Since the trace was begun.
    pub time: Duration,
    /// What happened.
    pub event: Event,
}

/// Appends to a trace.
#[derive(Debug)]
pub struct Writer {
    file: Arc<File>,
    end: u64,
    count: usize,
    begun: Instant,
}

impl Writer {
    /// Makes the file, which is for a disk of `size` bytes.
    pub fn create(path: &Path, size: u64) -> Result<Self> {
        let mut options = File::options();
        let file = options.read(true).write(true).create(true).truncate(true).open(path);
        let file = file.with_context(|| format!("trace {}", path.display()))?;
        file.write_all_at(&MAGIC, 0)?;
        file.write_all_at(&size.to_le_bytes(), 8)?;
        Ok(Self { file: Arc::new(file), end: HEADER, count: 0, begun: Instant::now() })
    }

    /// The file, to read data from.
    pub fn file(&self) -> &Arc<File> {
        &self.file
    }

    /// A write; the record's number and where its data are.
    pub fn write(&mut self, offset: u64, data: &[u8], fua: bool) -> Result<(usize, u64)> {
        let at = self.end + RECORD as u64;
        Ok((self.append(0, fua, offset, data.len() as u64, data)?, at))
    }

    /// Zeros over a range.
    pub fn zeroes(&mut self, range: Range<u64>, fua: bool) -> Result<usize> {
        self.append(1, fua, range.start, range.end - range.start, &[])
    }

    /// A range that is not needed any more.
    pub fn trim(&mut self, range: Range<u64>, fua: bool) -> Result<usize> {
        self.append(2, fua, range.start, range.end - range.start, &[])
    }

    /// A flush.
    pub fn flush(&mut self) -> Result<usize> {
        self.append(3, false, 0, 0, &[])
    }

    /// Says that a request is about to be answered.
    pub fn done(&mut self, request: usize) -> Result<()> {
        self.append(4, false, request as u64, 0, &[]).map(drop)
    }

    /// A mark; returns its number.
    pub fn mark(&mut self, text: &str) -> Result<usize> {
        let length = text.len() as u64;
        ensure!(length <= MARK_LIMIT, "a mark of {length} bytes");
        self.append(5, false, 0, length, text.as_bytes())
    }

    fn append(&mut self, kind: u8, fua: bool, a: u64, b: u64, data: &[u8]) -> Result<usize> {
        let time = u64::try_from(self.begun.elapsed().as_nanos())?;
        let mut header = [0; RECORD];
        header[0] = kind;
        header[1] = if fua { FUA } else { 0 };
        for (index, word) in [time, a, b].into_iter().enumerate() {
            header[8 * (index + 1)..8 * (index + 2)].copy_from_slice(&word.to_le_bytes());
        }
        self.file.write_all_at(&header, self.end).context("trace")?;
        self.file.write_all_at(data, self.end + RECORD as u64).context("trace")?;
        self.end += (RECORD + data.len()) as u64;
        self.count += 1;
        Ok(self.count - 1)
    }
}

/// A trace that was read: its entries in memory, its data in the file.
#[derive(Debug)]
pub struct Trace {
    /// Size of the disk in bytes.
    pub size: u64,
    /// The entries.
    pub records: Vec<Record>,
    file: Arc<File>,
}

impl Trace {
    /// Reads a trace; one still being written is read as far as it goes.
    pub fn open(path: &Path) -> Result<Self> {
        let read = || -> Result<Self> {
            let file = Arc::new(File::open(path)?);
            let mut header = [0; 16];
            file.read_exact_at(&mut header, 0)?;
            ensure!(header[..8] == MAGIC, "not a trace");
            let size = word(&header, 1);
            let records = records(&file, file.metadata()?.len(), size)?;
            Ok(Self { size, records, file })
        };
        read().with_context(|| format!("trace {}", path.display()))
    }

    /// The file with the data.
    pub fn file(&self) -> &Arc<File> {
        &self.file
    }
}

fn word(bytes: &[u8], index: usize) -> u64 {
    let mut word = [0; 8];
    word.copy_from_slice(&bytes[8 * index..8 * (index + 1)]);
    u64::from_le_bytes(word)
}

fn records(file: &File, length: u64, size: u64) -> Result<Vec<Record>> {
    let mut records = Vec::new();
    let mut at = HEADER;
    while at + RECORD as u64 <= length {
        let mut header = [0; RECORD];
        file.read_exact_at(&mut header, at)?;
        at += RECORD as u64;
        let [time, a, b] = [1, 2, 3].map(|index| word(&header, index));
        let kind = header[0];
        let data = if matches!(kind, 0 | 5) { b } else { 0 };
        if data > length - at {
            break;
        }
        let event = match kind {
            0..=2 => {
                let end = a.checked_add(b).filter(|end| *end <= size);
                let end = end.with_context(|| format!("record {} ends behind the disk", records.len()))?;
                let content = [Content::Data(at), Content::Zeroes, Content::Trim][usize::from(kind)];
                Event::Change { range: a..end, content, fua: header[1] & FUA != 0 }
            }
            3 => Event::Flush,
            4 => {
                let request = usize::try_from(a)?;
                ensure!(request < records.len(), "record {} answers {request}", records.len());
                Event::Done(request)
            }
            5 => {
                ensure!(b <= MARK_LIMIT, "record {}: a mark of {b} bytes", records.len());
                let mut text = vec![0; usize::try_from(b)?];
                file.read_exact_at(&mut text, at)?;
                Event::Mark(String::from_utf8(text)?)
            }
            _ => bail!("record {} is of kind {kind}", records.len()),
        };
        at += data;
        records.push(Record { time: Duration::from_nanos(time), event });
    }
    Ok(records)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn events(path: &Path) -> Vec<Event> {
        Trace::open(path).unwrap().records.into_iter().map(|record| record.event).collect()
    }

    #[test]
    fn what_is_written_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("trace");
        let mut writer = Writer::create(&path, 4096).unwrap();
        let (number, at) = writer.write(512, &[7; 512], true).unwrap();
        assert_eq!((number, at), (0, 48));
        writer.mark("update writing begins").unwrap();
        writer.zeroes(0..1024, false).unwrap();
        writer.trim(1024..4096, false).unwrap();
        writer.flush().unwrap();
        writer.done(0).unwrap();
        let expected = [
            Event::Change { range: 512..1024, content: Content::Data(48), fua: true },
            Event::Mark("update writing begins".into()),
            Event::Change { range: 0..1024, content: Content::Zeroes, fua: false },
            Event::Change { range: 1024..4096, content: Content::Trim, fua: false },
            Event::Flush,
            Event::Done(0),
        ];
        assert_eq!(events(&path), expected);
        // A writer that was killed: every shorter file is a shorter trace.
        let length = std::fs::metadata(&path).unwrap().len();
        let file = File::options().write(true).open(&path).unwrap();
        for cut in (HEADER..length).rev() {
            file.set_len(cut).unwrap();
            let got = events(&path);
            assert!(got.len() < expected.len() && got[..] == expected[..got.len()], "{cut}");
        }
    }

    #[test]
    fn foreign_files_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("trace");
        let record = |kind: u8, a: u64, b: u64| {
            let mut bytes = [&MAGIC[..], &4096_u64.to_le_bytes(), &[kind], &[0; 15]].concat();
            bytes.extend(a.to_le_bytes());
            bytes.extend(b.to_le_bytes());
            bytes
        };
        for (bytes, want) in [
            (b"QFI\xfb, and more of it".to_vec(), "not a trace"),
            (record(9, 0, 0), "kind 9"),
            (record(1, 4096, 1), "behind the disk"),
            (record(1, u64::MAX, 1), "behind the disk"),
            (record(4, 0, 0), "answers 0"),
        ] {
            std::fs::write(&path, bytes).unwrap();
            let error = format!("{:#}", Trace::open(&path).unwrap_err());
            assert!(error.contains(want), "{error}");
        }
    }
}
