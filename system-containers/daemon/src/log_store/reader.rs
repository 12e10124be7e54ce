//! Reads records of one service, oldest first, across rotated files, and goes on where it was when more arrive.

use super::writer::CURRENT;
use super::{Entry, OLD_FILES, Stream};
use crate::clock::WallTime;
use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// Which records are wanted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Query {
    /// Only the last so many of those that match.
    pub tail: Option<usize>,
    /// Not before this time.
    pub since: Option<WallTime>,
    /// Not after this time.
    pub until: Option<WallTime>,
    /// Standard output.
    pub stdout: bool,
    /// Standard error.
    pub stderr: bool,
}

impl Query {
    fn matches(&self, entry: &Entry) -> bool {
        let stream = match entry.stream {
            Stream::Stdout => self.stdout,
            Stream::Stderr => self.stderr,
        };
        stream
            && self.since.is_none_or(|since| entry.time >= since)
            && self.until.is_none_or(|until| entry.time <= until)
    }
}

/// A place in the log.
#[derive(Debug)]
pub struct Reader {
    folder: PathBuf,
    query: Query,
    open: Option<(BufReader<File>, u64)>,
    /// Bytes of a record whose end has not been written yet.
    partial: Vec<u8>,
    skip: usize,
}

impl Reader {
    /// Opens the log of one service; with a tail the records are counted first.
    pub fn new(folder: PathBuf, query: Query) -> io::Result<Self> {
        let mut reader = Self { folder, query, open: None, partial: Vec::new(), skip: 0 };
        if let Some(tail) = query.tail {
            let mut count = 0_usize;
            while reader.next_entry()?.is_some() {
                count += 1;
            }
            reader.open = None;
            reader.partial.clear();
            reader.skip = count.saturating_sub(tail);
        }
        Ok(reader)
    }

    /// Up to `limit` further records; empty when all has been read for now.
    pub fn read(&mut self, limit: usize) -> io::Result<Vec<Entry>> {
        let mut entries = Vec::new();
        while entries.len() < limit {
            match self.next_entry()? {
                Some(_) if self.skip > 0 => self.skip -= 1,
                Some(entry) => entries.push(entry),
                None => break,
            }
        }
        Ok(entries)
    }

    fn next_entry(&mut self) -> io::Result<Option<Entry>> {
        loop {
            let Some((file, inode)) = &mut self.open else {
                match oldest(&self.folder)? {
                    Some(open) => self.open = Some(open),
                    None => return Ok(None),
                }
                continue;
            };
            if file.read_until(b'\n', &mut self.partial)? == 0 {
                match newer_than(&self.folder, *inode)? {
                    Some(open) => {
                        self.partial.clear();
                        self.open = Some(open);
                    }
                    None => return Ok(None),
                }
            } else if self.partial.ends_with(b"\n") {
                let entry = Entry::decode(&self.partial);
                self.partial.clear();
                if let Some(entry) = entry.filter(|entry| self.query.matches(entry)) {
                    return Ok(Some(entry));
                }
            }
        }
    }
}

/// File names, newest first.
fn names() -> impl DoubleEndedIterator<Item = String> {
    std::iter::once(CURRENT.to_owned()).chain((1..=OLD_FILES).map(|number| number.to_string()))
}

fn open(path: &Path) -> io::Result<Option<(BufReader<File>, u64)>> {
    match File::open(path) {
        Ok(file) => {
            let inode = file.metadata()?.ino();
            Ok(Some((BufReader::new(file), inode)))
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

fn oldest(folder: &Path) -> io::Result<Option<(BufReader<File>, u64)>> {
    for name in names().rev() {
        if let Some(found) = open(&folder.join(name))? {
            return Ok(Some(found));
        }
    }
    Ok(None)
}

/// The file written after the one with this inode; when that one has been rotated away, the oldest.
fn newer_than(folder: &Path, inode: u64) -> io::Result<Option<(BufReader<File>, u64)>> {
    let mut newer = None;
    for name in names() {
        let found = open(&folder.join(name))?;
        match found {
            Some((_, other)) if other == inode => return Ok(newer),
            Some(found) => newer = Some(found),
            None => {}
        }
    }
    Ok(newer)
}

#[cfg(test)]
mod tests {
    use super::super::writer::Writer;
    use super::*;

    const ALL: Query = Query { tail: None, since: None, until: None, stdout: true, stderr: true };

    fn write(writer: &mut Writer, number: usize, padding: usize) {
        let stream = if number % 2 == 0 { Stream::Stdout } else { Stream::Stderr };
        let time = WallTime { seconds: i64::try_from(number).unwrap(), nanoseconds: 0 };
        let text = format!("{number} {}", "x".repeat(padding));
        writer.append(&[Entry { text, complete: true, stream, time, priority: 6 }]);
    }

    fn numbers(entries: &[Entry]) -> Vec<usize> {
        entries.iter().map(|entry| entry.text.split(' ').next().unwrap().parse().unwrap()).collect()
    }

    #[test]
    fn queries() {
        let folder = tempfile::tempdir().unwrap();
        let mut writer = Writer::new(folder.path().into());
        (0..6).for_each(|number| write(&mut writer, number, 0));
        let at = |seconds| Some(WallTime { seconds, nanoseconds: 0 });
        for (query, expected) in [
            (ALL, vec![0, 1, 2, 3, 4, 5]),
            (Query { tail: Some(2), ..ALL }, vec![4, 5]),
            (Query { tail: Some(0), ..ALL }, vec![]),
            (Query { tail: Some(99), ..ALL }, vec![0, 1, 2, 3, 4, 5]),
            (Query { since: at(4), ..ALL }, vec![4, 5]),
            (Query { until: at(1), ..ALL }, vec![0, 1]),
            (Query { stderr: false, tail: Some(2), ..ALL }, vec![2, 4]),
        ] {
            let entries = Reader::new(folder.path().into(), query).unwrap().read(100).unwrap();
            assert_eq!(numbers(&entries), expected, "{query:?}");
        }
    }

    #[test]
    fn following_survives_rotation_without_loss() {
        let folder = tempfile::tempdir().unwrap();
        let mut writer = Writer::new(folder.path().into());
        let mut reader = Reader::new(folder.path().into(), ALL).unwrap();
        let mut seen = vec![];
        for number in 0..40 {
            write(&mut writer, number, 200_000);
            if number % 7 == 0 {
                seen.extend(numbers(&reader.read(100).unwrap()));
            }
        }
        seen.extend(numbers(&reader.read(100).unwrap()));
        assert_eq!(seen, (0..40).collect::<Vec<_>>());
    }

    #[test]
    fn a_missing_log_is_empty() {
        let folder = tempfile::tempdir().unwrap();
        assert!(Reader::new(folder.path().join("none"), ALL).unwrap().read(1).unwrap().is_empty());
    }
}
