//! One service's files: append, rotate, and count what could not be kept.

use super::{Entry, FILE_SIZE, OLD_FILES, Stream};
use crate::clock::WallTime;
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

/// Name of the file that is written.
pub const CURRENT: &str = "current";

/// Appends records of one service.
#[derive(Debug)]
pub struct Writer {
    folder: PathBuf,
    file: Option<(File, u64)>,
    dropped: u64,
}

/// What became of a batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// Kept.
    Kept,
    /// Lost, the first of an outage.
    FirstLoss(String),
    /// Lost, as the batch before.
    Lost,
    /// Kept again after so many lost records.
    Recovered(u64),
}

impl Writer {
    /// Nothing is opened before the first record.
    pub fn new(folder: PathBuf) -> Self {
        Self { folder, file: None, dropped: 0 }
    }

    /// Appends a batch with one write. Never blocks on a full disk: what does not fit is dropped and counted.
    pub fn append(&mut self, entries: &[Entry]) -> Outcome {
        let mut bytes = Vec::new();
        if self.dropped > 0 {
            bytes = self.loss_record();
        }
        entries.iter().for_each(|entry| bytes.extend(entry.encode()));
        match self.write(&bytes) {
            Ok(()) => match std::mem::take(&mut self.dropped) {
                0 => Outcome::Kept,
                lost => Outcome::Recovered(lost),
            },
            Err(error) => {
                self.file = None;
                let first = self.dropped == 0;
                self.dropped += u64::try_from(entries.len()).unwrap_or(0);
                if first { Outcome::FirstLoss(format!("{}: {error}", self.folder.display())) } else { Outcome::Lost }
            }
        }
    }

    fn loss_record(&self) -> Vec<u8> {
        let text = format!("hull: {} lines before this one could not be written and are lost", self.dropped);
        Entry { text, complete: true, stream: Stream::Stderr, time: WallTime::now(), priority: 4 }.encode()
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        let length = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        if self.file.as_ref().is_some_and(|(_, size)| *size > 0 && size + length > FILE_SIZE) {
            self.file = None;
            rotate(&self.folder)?;
        }
        let (mut file, size) = match self.file.take() {
            Some(open) => open,
            None => open(&self.folder)?,
        };
        if let Err(error) = file.write_all(bytes) {
            // A record cut short by a full disk would glue itself to the next one.
            file.set_len(size)?;
            return Err(error);
        }
        self.file = Some((file, size + length));
        Ok(())
    }
}

fn open(folder: &Path) -> io::Result<(File, u64)> {
    std::fs::create_dir_all(folder)?;
    let mut file = OpenOptions::new().create(true).read(true).append(true).open(folder.join(CURRENT))?;
    let mut size = file.metadata()?.len();
    if size > 0 {
        let mut last = [0];
        file.seek(SeekFrom::End(-1))?;
        file.read_exact(&mut last)?;
        if last != *b"\n" {
            // Power failed inside a record.
            file.write_all(b"\n")?;
            size += 1;
        }
    }
    Ok((file, size))
}

fn rotate(folder: &Path) -> io::Result<()> {
    for number in (1..OLD_FILES).rev() {
        match std::fs::rename(folder.join(number.to_string()), folder.join((number + 1).to_string())) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    std::fs::rename(folder.join(CURRENT), folder.join("1"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(text: &str) -> Entry {
        Entry { text: text.into(), complete: true, stream: Stream::Stdout, time: WallTime::now(), priority: 6 }
    }

    #[test]
    fn files_rotate_and_stay_bounded() {
        let folder = tempfile::tempdir().unwrap();
        let mut writer = Writer::new(folder.path().join("s"));
        for number in 0..70 {
            assert_eq!(writer.append(&[entry(&format!("{number} {}", "x".repeat(100_000)))]), Outcome::Kept);
        }
        let mut names: Vec<_> = std::fs::read_dir(folder.path().join("s"))
            .unwrap()
            .map(|file| file.unwrap())
            .inspect(|file| assert!(file.metadata().unwrap().len() <= FILE_SIZE))
            .map(|file| file.file_name().into_string().unwrap())
            .collect();
        names.sort();
        assert_eq!(names, ["1", "2", "3", "current"]);
    }

    #[test]
    fn losses_are_counted_and_told() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("s");
        std::fs::write(&path, "a file where the folder should be").unwrap();
        let mut writer = Writer::new(path.clone());
        assert!(matches!(writer.append(&[entry("a")]), Outcome::FirstLoss(_)));
        assert_eq!(writer.append(&[entry("b")]), Outcome::Lost);
        std::fs::remove_file(&path).unwrap();
        assert_eq!(writer.append(&[entry("c")]), Outcome::Recovered(2));
        let text = std::fs::read_to_string(path.join(CURRENT)).unwrap();
        assert!(text.contains("2 lines before this one") && text.contains("\"c\\n\""), "{text}");
    }

    #[test]
    fn a_torn_tail_does_not_swallow_the_next_record() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join(CURRENT), "{\"log\":\"to").unwrap();
        let mut writer = Writer::new(folder.path().into());
        writer.append(&[entry("next")]);
        let text = std::fs::read_to_string(folder.path().join(CURRENT)).unwrap();
        assert!(Entry::decode(text.lines().nth(1).unwrap().as_bytes()).is_some(), "{text}");
    }
}
