//! Exits PID 1 has reported, in a file on `/run`. A report is written here before it is taken off the socket: a daemon
//! killed between the two finds it twice, one killed before it has acted on a report finds it here. To find one twice
//! does no harm, for a process is told from an earlier one of the same id by the time of its end.
//!
//! One `PID STATUS MICROSECONDS` a line, oldest first.

use super::FromInit;
use crate::replace::replace;
use std::cell::RefCell;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// Exits kept: as many as the daemon remembers while it does not know whose they are.
const KEPT: usize = 256;

/// The file.
#[derive(Debug)]
pub struct Exits {
    path: PathBuf,
    open: RefCell<Option<(File, usize)>>,
}

impl Exits {
    /// Opens nothing yet.
    pub fn new(path: PathBuf) -> Self {
        Self { path, open: RefCell::default() }
    }

    /// What is in the file; a torn last line is passed over.
    pub fn read(&self) -> Vec<FromInit> {
        let text = std::fs::read_to_string(&self.path).unwrap_or_default();
        text.split_inclusive('\n').filter_map(parse).collect()
    }

    /// Adds a report. A full `/run` costs its safety, not the report.
    pub fn add(&self, message: &FromInit) {
        if let Err(error) = self.try_add(message) {
            log::warn!("{}: {error}", self.path.display());
            self.open.take();
        }
    }

    fn try_add(&self, message: &FromInit) -> io::Result<()> {
        let mut open = self.open.borrow_mut();
        let (mut file, count) = match open.take() {
            Some((file, count)) if count < 2 * KEPT => (file, count),
            _ => self.compact()?,
        };
        file.write_all(line(message).as_bytes())?;
        *open = Some((file, count + 1));
        Ok(())
    }

    /// Replaces the file by one with the newest exits.
    fn compact(&self) -> io::Result<(File, usize)> {
        let known = self.read();
        let lines: String = known[known.len().saturating_sub(KEPT)..].iter().map(line).collect();
        replace(&self.path, lines.as_bytes())?;
        Ok((append(&self.path)?, known.len().min(KEPT)))
    }
}

fn append(path: &Path) -> io::Result<File> {
    OpenOptions::new().append(true).open(path)
}

fn line(message: &FromInit) -> String {
    match message {
        FromInit::Exit { pid, status, time_us } => format!("{pid} {status} {time_us}\n"),
        _ => String::new(),
    }
}

fn parse(line: &str) -> Option<FromInit> {
    let mut words = line.strip_suffix('\n')?.split(' ');
    let (pid, status, time_us) = (words.next()?, words.next()?, words.next()?);
    Some(FromInit::Exit { pid: pid.parse().ok()?, status: status.parse().ok()?, time_us: time_us.parse().ok()? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_exits_are_found_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("exits");
        let exit = |pid| FromInit::Exit { pid, status: 256, time_us: 5 };
        let exits = Exits::new(path.clone());
        assert_eq!(exits.read(), []);
        (0..2000).for_each(|pid| exits.add(&exit(pid)));
        std::fs::OpenOptions::new().append(true).open(&path).unwrap().write_all(b"2000 0").unwrap();
        let exits = Exits::new(path);
        let found = exits.read();
        assert!((KEPT..=2 * KEPT).contains(&found.len()), "{}", found.len());
        assert_eq!(found.last(), Some(&exit(1999)));
        exits.add(&exit(2001));
        assert_eq!(exits.read().last(), Some(&exit(2001)));
    }
}
