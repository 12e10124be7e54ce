//! Batches: from a pipe's spool to the log.

use super::notes::with_notes;
use super::source::Source;
use super::thread::Thread;
use crate::clock::WallTime;
use crate::console_output::ECHO_PRIORITY;
use crate::log_store::split::{OVERHEAD, Piece};
use crate::log_store::spool::Spool;
use crate::log_store::writer::{Outcome, Writer};
use crate::log_store::{Entry, Stream};
use rustix::io::Errno;
use std::io;
use std::time::Instant;

/// Room of a batch as the splitter counts it. Even if JSON needs six bytes for each of its text, a record of 128 for
/// each line, the batch is smaller than a file.
const ROOM: usize = 256 << 10;

/// What a batch found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Found {
    /// Records of so many bytes; there may be more.
    Bytes(usize),
    /// Nothing, or an unfinished line.
    Nothing,
    /// The end of the stream.
    End,
}

/// A batch.
pub(super) struct Taken {
    pub(super) pieces: Vec<Piece>,
    /// Bytes of the spool it was made of.
    pub(super) taken: usize,
    /// Time of its first record; now when missing.
    pub(super) time: Option<WallTime>,
}

impl Thread {
    /// One batch from pipe to log.
    pub(super) fn batch(&mut self, source: &mut Source, closing: bool) -> io::Result<Found> {
        let filled = match source.spool.fill(&source.pipe) {
            Ok(bytes) => Some(bytes),
            Err(Errno::INTR) => Some(1),
            Err(Errno::AGAIN) => None,
            Err(errno) => return Err(errno.into()),
        };
        let at_end = filled == Some(0) || (closing && filled.is_none());
        let (bytes, mut splitter) = source.spool.rest()?;
        let (pieces, taken) = splitter.split(&bytes, at_end, ROOM);
        // What the disk gets counts: a short line is a small part of its record.
        let cost = taken + pieces.len() * OVERHEAD;
        if taken > 0 {
            let Source { service, stream, spool, .. } = source;
            self.keep(service, *stream, spool, Taken { pieces, taken, time: None });
            source.spool.finish(taken, splitter)?;
        }
        Ok(match (taken, filled) {
            (0, Some(0)) => Found::End,
            (0, None) => Found::Nothing,
            _ => Found::Bytes(cost),
        })
    }

    /// Writes a batch.
    pub(super) fn keep(&mut self, service: &str, stream: Stream, spool: &mut Spool, taken: Taken) {
        let Taken { pieces, taken, time } = taken;
        let writer = self.writer(service);
        let first = time.unwrap_or_else(|| writer.stamp(WallTime::now(), pieces.len()));
        let entries: Vec<Entry> = pieces
            .into_iter()
            .zip(0..)
            .map(|(Piece { text, complete, priority }, number)| Entry {
                text,
                complete,
                stream,
                time: first.plus_nanos(number),
                priority,
            })
            .collect();
        let outcome = writer.append(&entries, |mark| spool.begin(taken, first, mark));
        self.tell(service, &entries, outcome);
    }

    pub(super) fn writer(&mut self, service: &str) -> &mut Writer {
        self.unsynced_since.get_or_insert_with(Instant::now);
        let places = &self.places;
        self.writers.entry(service.into()).or_insert_with(|| Writer::new(places.logs.join(service), places.boot))
    }

    pub(super) fn tell(&self, service: &str, entries: &[Entry], outcome: Outcome) {
        match &outcome {
            Outcome::FirstLoss(reason) => log::warn!("{service}: log lines are lost: {reason}"),
            Outcome::Recovered(count) => log::warn!("{service}: logging again; {count} lines were lost"),
            Outcome::Kept | Outcome::Lost => {}
        }
        for entry in entries.iter().filter(|entry| entry.priority <= ECHO_PRIORITY) {
            self.console.line(service, &entry.text);
        }
        let telling = |entry: &&Entry| entry.priority <= ECHO_PRIORITY || entry.stream == Stream::Stderr;
        let last = entries.iter().rev().find(telling).map(|entry| entry.text.chars().take(300).collect());
        with_notes(&self.notes, service, |notes| {
            notes.written.send_modify(|count| *count += 1);
            notes.last_line = last.or(notes.last_line.take());
            match outcome {
                Outcome::FirstLoss(reason) => notes.problem = Some(reason),
                Outcome::Kept | Outcome::Recovered(_) => notes.problem = None,
                Outcome::Lost => {}
            }
        });
        self.written.send_modify(|count| *count += 1);
    }
}
