//! Reads records of one service, oldest first, across rotated files, and goes on where it was when more arrive.

use super::boots::{BootId, read_marker};
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
    /// Only of this priority or a more severe one, which is a lower number.
    pub priority: Option<u8>,
    /// Only of this boot.
    pub boot: Option<BootId>,
}

impl Query {
    fn matches(&self, entry: &Entry, boot: Option<BootId>) -> bool {
        let stream = match entry.stream {
            Stream::Stdout => self.stdout,
            Stream::Stderr => self.stderr,
        };
        stream
            && self.since.is_none_or(|since| entry.time >= since)
            && self.until.is_none_or(|until| entry.time <= until)
            && self.priority.is_none_or(|priority| entry.priority <= priority)
            && self.boot.is_none_or(|wanted| boot == Some(wanted))
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
    /// Boot of the record read last.
    boot: Option<BootId>,
    /// Records that match, when they had to be counted.
    count: usize,
    skip: usize,
}

impl Reader {
    /// Opens the log of one service; with a tail the records are counted first.
    pub fn new(folder: PathBuf, query: Query) -> io::Result<Self> {
        let mut reader = Self { folder, query, open: None, partial: Vec::new(), boot: None, count: 0, skip: 0 };
        if let Some(tail) = query.tail {
            while reader.next_entry()?.is_some() {
                reader.count += 1;
            }
            reader.open = None;
            reader.partial.clear();
            reader.boot = None;
            reader.skip = reader.count.saturating_sub(tail);
        }
        Ok(reader)
    }

    /// Records a tail left at the start.
    pub fn tail(&self) -> usize {
        self.count - self.count.saturating_sub(self.query.tail.unwrap_or(0))
    }

    /// Boot of the record read last, where it is known.
    pub fn boot(&self) -> Option<BootId> {
        self.boot
    }

    /// The next record; `None` when all has been read for now.
    pub fn advance(&mut self) -> io::Result<Option<Entry>> {
        loop {
            match self.next_entry()? {
                Some(_) if self.skip > 0 => self.skip -= 1,
                other => return Ok(other),
            }
        }
    }

    /// Up to `limit` further records; empty when all has been read for now.
    #[cfg(test)]
    pub(super) fn read(&mut self, limit: usize) -> io::Result<Vec<Entry>> {
        let mut entries = Vec::new();
        while entries.len() < limit {
            match self.advance()? {
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
            let mut taken = file.read_until(b'\n', &mut self.partial)?;
            if taken == 0 {
                let Some(newer) = newer_than(&self.folder, *inode)? else { return Ok(None) };
                // It may have grown between the end that was seen and the rotation that ended it.
                taken = file.read_until(b'\n', &mut self.partial)?;
                if taken == 0 {
                    self.partial.clear();
                    self.open = Some(newer);
                    continue;
                }
            }
            if self.partial.ends_with(b"\n") {
                let entry = Entry::decode(&self.partial);
                self.boot = read_marker(&self.partial).or(self.boot);
                self.partial.clear();
                if let Some(entry) = entry.filter(|entry| self.query.matches(entry, self.boot)) {
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

    const ALL: Query =
        Query { tail: None, since: None, until: None, stdout: true, stderr: true, priority: None, boot: None };

    fn write(writer: &mut Writer, number: usize, padding: usize) {
        let stream = if number % 2 == 0 { Stream::Stdout } else { Stream::Stderr };
        let time = WallTime { seconds: i64::try_from(number).unwrap(), nanoseconds: 0 };
        let text = format!("{number} {}", "x".repeat(padding));
        let priority = u8::try_from(number % 8).unwrap();
        writer.append(&[Entry { text, complete: true, stream, time, priority }], |_| Ok(()));
    }

    fn numbers(entries: &[Entry]) -> Vec<usize> {
        entries.iter().map(|entry| entry.text.split(' ').next().unwrap().parse().unwrap()).collect()
    }

    #[test]
    fn queries() {
        let folder = tempfile::tempdir().unwrap();
        let mut writer = Writer::new(folder.path().into(), BootId::NONE);
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
            (Query { priority: Some(2), ..ALL }, vec![0, 1, 2]),
            (Query { boot: Some(BootId::NONE), ..ALL }, vec![0, 1, 2, 3, 4, 5]),
            (Query { boot: BootId::parse(&"1".repeat(32)), ..ALL }, vec![]),
        ] {
            let entries = Reader::new(folder.path().into(), query).unwrap().read(100).unwrap();
            assert_eq!(numbers(&entries), expected, "{query:?}");
        }
    }

    #[test]
    fn following_survives_rotation_without_loss() {
        let folder = tempfile::tempdir().unwrap();
        let mut writer = Writer::new(folder.path().into(), BootId::NONE);
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
    fn boots_are_told_apart() {
        let folder = tempfile::tempdir().unwrap();
        let [old, new] = ["1", "2"].map(|digit| BootId::parse(&digit.repeat(32)).unwrap());
        write(&mut Writer::new(folder.path().into(), old), 0, 0);
        let mut writer = Writer::new(folder.path().into(), old);
        // The second file, too, begins with a marker.
        (1..4).for_each(|number| write(&mut writer, number, 600_000));
        (4..6).for_each(|number| write(&mut Writer::new(folder.path().into(), new), number, 0));
        for (boot, expected) in [(old, vec![0, 1, 2, 3]), (new, vec![4, 5])] {
            let mut reader = Reader::new(folder.path().into(), Query { boot: Some(boot), ..ALL }).unwrap();
            assert_eq!(numbers(&reader.read(100).unwrap()), expected);
        }
    }

    #[test]
    fn a_missing_log_is_empty() {
        let folder = tempfile::tempdir().unwrap();
        assert!(Reader::new(folder.path().join("none"), ALL).unwrap().read(1).unwrap().is_empty());
    }
}
