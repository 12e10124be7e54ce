//! Records of several services in the order of their times.

use super::reader::{Query, Reader};
use super::{BootId, Entry};
use std::io;
use std::path::Path;

/// A record and where it is from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// Service.
    pub service: String,
    /// Boot, where it is known.
    pub boot: Option<BootId>,
    /// Record.
    pub entry: Entry,
}

#[derive(Debug)]
struct Source {
    service: String,
    reader: Reader,
    next: Option<Entry>,
}

/// A place in several logs.
#[derive(Debug)]
pub struct Merge {
    sources: Vec<Source>,
    skip: usize,
}

impl Merge {
    /// Opens the logs below `folder`, each service with its query; a tail counts over all of them together.
    pub fn new(folder: &Path, services: Vec<(String, Query)>) -> io::Result<Self> {
        let tail = services.first().and_then(|(_, query)| query.tail);
        let mut sources = Vec::new();
        for (service, query) in services {
            let reader = Reader::new(folder.join(&service), query)?;
            sources.push(Source { service, reader, next: None });
        }
        let found: usize = sources.iter().map(|source| source.reader.tail()).sum();
        Ok(Self { sources, skip: tail.map_or(0, |tail| found.saturating_sub(tail)) })
    }

    /// The next record; `None` when all has been read for now.
    pub fn advance(&mut self) -> io::Result<Option<Found>> {
        loop {
            for source in self.sources.iter_mut().filter(|source| source.next.is_none()) {
                source.next = source.reader.advance()?;
            }
            let waiting = self.sources.iter_mut().filter(|source| source.next.is_some());
            let Some(first) = waiting.min_by_key(|source| source.next.as_ref().map(|entry| entry.time)) else {
                return Ok(None);
            };
            let Some(entry) = first.next.take() else { return Ok(None) };
            if self.skip == 0 {
                return Ok(Some(Found { service: first.service.clone(), boot: first.reader.boot(), entry }));
            }
            self.skip -= 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Stream, writer::Writer};
    use super::*;
    use crate::clock::WallTime;

    #[test]
    fn services_are_merged_by_time() {
        let folder = tempfile::tempdir().unwrap();
        let write = |service: &str, seconds: &[i64]| {
            let mut writer = Writer::new(folder.path().join(service), BootId::NONE);
            for seconds in seconds {
                let time = WallTime { seconds: *seconds, nanoseconds: 0 };
                let text = seconds.to_string();
                writer.append(&[Entry { text, complete: true, stream: Stream::Stdout, time, priority: 6 }], |_| Ok(()));
            }
        };
        write("a", &[1, 4, 5]);
        write("b", &[2, 3, 6]);
        let all = |tail| {
            let query = Query { tail, stdout: true, stderr: true, ..Query::default() };
            ["a", "b", "none"].map(|name| (name.to_owned(), query)).to_vec()
        };
        let seen =
            |found: Vec<Found>| found.into_iter().map(|found| found.service + &found.entry.text).collect::<Vec<_>>();
        let read = |merge: &mut Merge, limit| -> Vec<Found> {
            std::iter::from_fn(|| merge.advance().unwrap()).take(limit).collect()
        };
        let mut merge = Merge::new(folder.path(), all(None)).unwrap();
        assert_eq!(seen(read(&mut merge, 4)), ["a1", "b2", "b3", "a4"]);
        assert_eq!(seen(read(&mut merge, 4)), ["a5", "b6"]);
        write("a", &[7]);
        assert_eq!(seen(read(&mut merge, 4)), ["a7"]);
        let mut merge = Merge::new(folder.path(), all(Some(3))).unwrap();
        assert_eq!(seen(read(&mut merge, 9)), ["a5", "b6", "a7"]);
        assert_eq!(seen(read(&mut Merge::new(folder.path(), all(Some(0))).unwrap(), 9)), [""; 0]);
    }
}
