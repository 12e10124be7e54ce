//! One service's files: append, rotate, and count what could not be kept.

use super::boots::{BootId, marker};
use super::spool::Mark;
use super::tail::{self, Tail};
use super::{Entry, FILE_SIZE, OLD_FILES, Stream};
use crate::clock::WallTime;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// Name of the file that is written.
pub const CURRENT: &str = "current";

/// A clock that went back by less is nudged, so that times of records increase; by more, it was set.
const NUDGE_SECONDS: i64 = 1;

/// Appends records of one service.
#[derive(Debug)]
pub struct Writer {
    folder: PathBuf,
    boot: BootId,
    file: Option<Current>,
    last: Option<WallTime>,
    dropped: u64,
    unsynced: Vec<File>,
}

#[derive(Debug)]
struct Current {
    file: File,
    size: u64,
    inode: u64,
    dirty: bool,
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
    pub fn new(folder: PathBuf, boot: BootId) -> Self {
        Self { folder, boot, file: None, last: None, dropped: 0, unsynced: Vec::new() }
    }

    /// Time for the first of `count` new records, a nanosecond apart: `now`, or behind the last record's.
    pub fn stamp(&mut self, now: WallTime, count: usize) -> WallTime {
        if self.last.is_none() {
            // A folder that cannot be written is reported by the append that follows.
            self.open().ok();
        }
        let behind = self.last.filter(|last| now <= *last && last.seconds - now.seconds <= NUDGE_SECONDS);
        let first = behind.map_or(now, |last| last.plus_nanos(1));
        self.last = Some(first.plus_nanos(u64::try_from(count).unwrap_or(0).saturating_sub(1)));
        first
    }

    /// Appends a batch with one write; `begin` is told where it will be. Never blocks on a full disk: what does not fit
    /// is dropped and counted.
    pub fn append(&mut self, entries: &[Entry], begin: impl FnOnce(Mark) -> io::Result<()>) -> Outcome {
        let loss = if self.dropped > 0 { self.loss_record() } else { Vec::new() };
        let bytes = entries.iter().fold(loss.clone(), |mut bytes, entry| {
            bytes.extend(entry.encode());
            bytes
        });
        match self.write(&bytes, loss.len(), begin) {
            Ok(()) => {
                self.last = entries.last().map(|entry| entry.time).or(self.last);
                match std::mem::take(&mut self.dropped) {
                    0 => Outcome::Kept,
                    lost => Outcome::Recovered(lost),
                }
            }
            Err(error) => {
                self.close();
                let first = self.dropped == 0;
                self.dropped += u64::try_from(entries.len()).unwrap_or(0);
                if first { Outcome::FirstLoss(format!("{}: {error}", self.folder.display())) } else { Outcome::Lost }
            }
        }
    }

    /// Takes back a batch that may have been written, in part or whole, before the daemon was killed.
    pub fn undo(&mut self, mark: Mark) -> io::Result<()> {
        let current = self.open()?;
        if current.inode == mark.inode && current.size > mark.size {
            current.file.set_len(mark.size)?;
        }
        // What was found at the end may be gone now.
        self.file = None;
        self.last = None;
        Ok(())
    }

    /// Whether it has losses to tell with the next record.
    pub fn has_lost(&self) -> bool {
        self.dropped > 0
    }

    /// A line of our own in the service's log.
    pub fn note(&mut self, text: String) -> Outcome {
        let time = self.stamp(WallTime::now(), 1);
        self.append(&[Entry { text, complete: true, stream: Stream::Stderr, time, priority: 4 }], |_| Ok(()))
    }

    /// Files and folders that were written since the last call.
    pub fn take_unsynced(&mut self) -> Vec<File> {
        let mut files = std::mem::take(&mut self.unsynced);
        if let Some(current) = self.file.as_mut().filter(|current| current.dirty) {
            match current.file.try_clone() {
                Ok(file) => {
                    files.push(file);
                    current.dirty = false;
                }
                Err(error) => log::warn!("{}: not synced yet: {error}", self.folder.display()),
            }
        }
        files
    }

    fn loss_record(&mut self) -> Vec<u8> {
        let text = format!("hull: {} lines before this one could not be written and are lost", self.dropped);
        Entry { text, complete: true, stream: Stream::Stderr, time: WallTime::now(), priority: 4 }.encode()
    }

    fn write(&mut self, bytes: &[u8], own: usize, begin: impl FnOnce(Mark) -> io::Result<()>) -> io::Result<()> {
        let length = bytes.len() as u64;
        let size = self.open()?.size;
        if size > 0 && size + length > FILE_SIZE {
            self.close();
            rotate(&self.folder)?;
        }
        let current = self.open()?;
        begin(Mark { inode: current.inode, size: current.size + own as u64 })?;
        if let Err(error) = current.file.write_all(bytes) {
            // A record cut short by a full disk would glue itself to the next one.
            current.file.set_len(current.size)?;
            return Err(error);
        }
        current.size += length;
        current.dirty = true;
        Ok(())
    }

    /// The open file; a new one, and one that another boot wrote, gets a marker first.
    fn open(&mut self) -> io::Result<&mut Current> {
        let current = match self.file.take() {
            Some(current) => current,
            None => {
                std::fs::create_dir_all(&self.folder)?;
                let path = self.folder.join(CURRENT);
                let mut file = OpenOptions::new().create(true).read(true).append(true).open(&path)?;
                let metadata = file.metadata()?;
                let Tail { sound, last, boot } = tail::look(&file)?;
                if sound < metadata.len() {
                    log::warn!("{}: {} torn bytes at its end are cut off", path.display(), metadata.len() - sound);
                    file.set_len(sound)?;
                }
                if metadata.len() == 0 {
                    self.unsynced.push(File::open(&self.folder)?);
                }
                self.last = self.last.or(last);
                let mut size = sound;
                if boot != Some(self.boot) {
                    let line = marker(self.boot, WallTime::now());
                    if let Err(error) = file.write_all(&line) {
                        file.set_len(size)?;
                        return Err(error);
                    }
                    size += line.len() as u64;
                }
                Current { file, size, inode: metadata.ino(), dirty: true }
            }
        };
        Ok(self.file.insert(current))
    }

    /// Closes the file; what was written to it is still to be synced.
    fn close(&mut self) {
        if let Some(current) = self.file.take().filter(|current| current.dirty) {
            // Files that rotation has removed meanwhile need no sync.
            let surplus = self.unsynced.len().saturating_sub(2 * OLD_FILES as usize);
            self.unsynced.drain(..surplus);
            self.unsynced.push(current.file);
        }
    }
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
    use super::super::Reader;
    use super::super::reader::Query;
    use super::*;

    const BOOT: BootId = BootId::NONE;

    fn append(writer: &mut Writer, entries: &[Entry]) -> Outcome {
        writer.append(entries, |_| Ok(()))
    }

    fn texts(folder: &Path) -> Vec<String> {
        let query = Query { stdout: true, stderr: true, ..Query::default() };
        let entries = Reader::new(folder.into(), query).unwrap().read(1000).unwrap();
        entries.into_iter().map(|entry| entry.text).collect()
    }

    fn entry(text: &str) -> Entry {
        Entry { text: text.into(), complete: true, stream: Stream::Stdout, time: WallTime::now(), priority: 6 }
    }

    #[test]
    fn files_rotate_and_stay_bounded() {
        let folder = tempfile::tempdir().unwrap();
        let mut writer = Writer::new(folder.path().join("s"), BOOT);
        for number in 0..70 {
            assert_eq!(append(&mut writer, &[entry(&format!("{number} {}", "x".repeat(100_000)))]), Outcome::Kept);
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
        let mut writer = Writer::new(path.clone(), BOOT);
        assert!(matches!(append(&mut writer, &[entry("a")]), Outcome::FirstLoss(_)));
        assert_eq!(append(&mut writer, &[entry("b")]), Outcome::Lost);
        std::fs::remove_file(&path).unwrap();
        assert_eq!(append(&mut writer, &[entry("c")]), Outcome::Recovered(2));
        let text = std::fs::read_to_string(path.join(CURRENT)).unwrap();
        assert!(text.contains("2 lines before this one") && text.contains("\"c\\n\""), "{text}");
    }

    /// Whatever a power cut leaves of the last record, those before it and after it are there.
    #[test]
    fn a_torn_tail_costs_one_record_wherever_it_is_torn() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(CURRENT);
        let mut writer = Writer::new(folder.path().into(), BOOT);
        append(&mut writer, &[entry("first"), entry("second")]);
        let second = std::fs::metadata(&path).unwrap().len();
        append(&mut writer, &[entry("torn \" ä")]);
        drop(writer);
        let whole = std::fs::read(&path).unwrap();
        for cut in usize::try_from(second).unwrap()..=whole.len() {
            for behind in [&b""[..], &[0; 100], b"\0\n\0"] {
                std::fs::write(&path, [&whole[..cut], behind].concat()).unwrap();
                append(&mut Writer::new(folder.path().into(), BOOT), &[entry("next")]);
                let expected: &[&str] = if cut == whole.len() {
                    &["first", "second", "torn \" ä", "next"]
                } else {
                    &["first", "second", "next"]
                };
                assert_eq!(texts(folder.path()), expected, "{cut} {behind:?}");
                let text = std::fs::read(&path).unwrap();
                assert!(!text.contains(&0) && text.starts_with(&whole[..usize::try_from(second).unwrap()]));
            }
        }
    }

    /// A daemon killed inside the write of a batch, at any byte, writes the batch again.
    #[test]
    fn a_batch_that_was_begun_is_taken_back() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(CURRENT);
        let mut writer = Writer::new(folder.path().into(), BOOT);
        append(&mut writer, &[entry("before")]);
        let batch = [entry("one"), entry("two"), entry("three")];
        let mut mark = None;
        writer.append(&batch, |place| {
            mark = Some(place);
            Ok(())
        });
        let whole = std::fs::read(&path).unwrap();
        for cut in usize::try_from(mark.unwrap().size).unwrap()..=whole.len() {
            std::fs::OpenOptions::new().write(true).open(&path).unwrap().set_len(cut as u64).unwrap();
            let mut writer = Writer::new(folder.path().into(), BOOT);
            writer.undo(mark.unwrap()).unwrap();
            append(&mut writer, &batch);
            assert_eq!(std::fs::read(&path).unwrap(), whole, "{cut}");
        }
    }

    #[test]
    fn times_increase_until_the_clock_is_set_back() {
        let folder = tempfile::tempdir().unwrap();
        let at = |seconds, nanoseconds| WallTime { seconds, nanoseconds };
        let mut writer = Writer::new(folder.path().into(), BOOT);
        assert_eq!(writer.stamp(at(100, 5), 3), at(100, 5));
        assert_eq!(writer.stamp(at(100, 6), 1), at(100, 8));
        append(&mut writer, &[Entry { time: at(100, 8), ..entry("a") }]);
        let mut writer = Writer::new(folder.path().into(), BOOT);
        assert_eq!(writer.stamp(at(99, 999), 1), at(100, 9), "known from the file");
        assert_eq!(writer.stamp(at(50, 0), 1), at(50, 0));
    }

    #[test]
    fn everything_written_is_to_be_synced_once() {
        let folder = tempfile::tempdir().unwrap();
        let mut writer = Writer::new(folder.path().into(), BOOT);
        append(&mut writer, &[entry("a")]);
        assert_eq!(writer.take_unsynced().len(), 2, "the file and its folder");
        assert!(writer.take_unsynced().is_empty());
        for _ in 0..11 {
            append(&mut writer, &[entry(&"x".repeat(100_000))]);
        }
        assert_eq!(writer.take_unsynced().len(), 3, "the rotated file, the new one and their folder");
        assert!(writer.take_unsynced().is_empty());
    }
}
