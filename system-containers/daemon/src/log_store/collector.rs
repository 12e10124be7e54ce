//! The thread between the services' pipes and their files.
//!
//! Bytes are duplicated out of a pipe with tee(2), written to the file, and only then taken off the pipe. A daemon
//! killed at any instant therefore loses nothing: what it had not written is still in the pipe, whose read end PID 1
//! keeps. At worst the last batch is written twice.

use super::split::{Piece, Splitter};
use super::writer::{Outcome, Writer};
use super::{Entry, Stream};
use crate::clock::WallTime;
use crate::console_output::{Console, ECHO_PRIORITY};
use rustix::event::{EventfdFlags, epoll, eventfd};
use rustix::fd::OwnedFd;
use rustix::io::Errno;
use rustix::pipe::{PipeFlags, SpliceFlags};
use std::collections::HashMap;
use std::io;
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::{oneshot, watch};

/// Bytes handled at once: a pipe's default capacity.
const BATCH: usize = 64 << 10;

/// Event of the wake-up descriptor; sources count up from 1.
const WAKE: u64 = 0;

enum Command {
    Add { service: String, stream: Stream, pipe: OwnedFd },
    Close { service: String, done: oneshot::Sender<()> },
}

/// What is known about one service's log beside its files.
#[derive(Debug)]
struct Notes {
    written: watch::Sender<u64>,
    last_line: Option<String>,
    problem: Option<String>,
}

type Shared = Arc<Mutex<HashMap<String, Notes>>>;

/// Handle of the thread.
#[derive(Debug, Clone)]
pub struct Collector {
    folder: PathBuf,
    commands: Sender<Command>,
    wake: Arc<OwnedFd>,
    notes: Shared,
}

impl Collector {
    /// Starts the thread; logs go below `folder`.
    pub fn start(folder: PathBuf, console: Console) -> io::Result<Self> {
        let (commands, received) = channel();
        let wake = Arc::new(eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?);
        let notes = Shared::default();
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        epoll::add(&epoll, &wake, epoll::EventData::new_u64(WAKE), epoll::EventFlags::IN)?;
        let mut thread = Thread {
            folder: folder.clone(),
            console,
            notes: Arc::clone(&notes),
            wake: Arc::clone(&wake),
            commands: received,
            epoll,
            scratch: rustix::pipe::pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK)?,
            sources: HashMap::new(),
            writers: HashMap::new(),
            next: WAKE + 1,
        };
        std::thread::Builder::new().name("logs".into()).spawn(move || thread.run())?;
        Ok(Self { folder, commands, wake, notes })
    }

    /// Collects from a pipe until its last writer is gone.
    pub fn add(&self, service: &str, stream: Stream, pipe: OwnedFd) {
        self.command(Command::Add { service: service.into(), stream, pipe });
    }

    /// Writes what the service's pipes still hold and closes them.
    pub async fn close(&self, service: &str) {
        let (done, closed) = oneshot::channel();
        self.command(Command::Close { service: service.into(), done });
        closed.await.ok();
    }

    /// Changes whenever records of the service were written.
    pub fn watch(&self, service: &str) -> watch::Receiver<u64> {
        with_notes(&self.notes, service, |notes| notes.written.subscribe())
    }

    /// Folder of one service's files.
    pub fn folder(&self, service: &str) -> PathBuf {
        self.folder.join(service)
    }

    /// Last line of the service that looked like an error: urgent by its prefix, or on standard error.
    pub fn last_line(&self, service: &str) -> Option<String> {
        with_notes(&self.notes, service, |notes| notes.last_line.clone())
    }

    /// Services whose log cannot be written just now, and why.
    pub fn problems(&self) -> Vec<(String, String)> {
        let notes = self.notes.lock().unwrap_or_else(PoisonError::into_inner);
        notes.iter().filter_map(|(name, notes)| Some((name.clone(), notes.problem.clone()?))).collect()
    }

    fn command(&self, command: Command) {
        // The thread lives as long as this process; a full counter still wakes it.
        self.commands.send(command).ok();
        rustix::io::write(&self.wake, &1_u64.to_ne_bytes()).ok();
    }
}

fn with_notes<T>(shared: &Shared, service: &str, act: impl FnOnce(&mut Notes) -> T) -> T {
    let mut all = shared.lock().unwrap_or_else(PoisonError::into_inner);
    let new = || Notes { written: watch::Sender::new(0), last_line: None, problem: None };
    act(all.entry(service.into()).or_insert_with(new))
}

struct Source {
    service: String,
    stream: Stream,
    pipe: OwnedFd,
    splitter: Splitter,
}

struct Thread {
    folder: PathBuf,
    console: Console,
    notes: Shared,
    wake: Arc<OwnedFd>,
    commands: Receiver<Command>,
    epoll: OwnedFd,
    scratch: (OwnedFd, OwnedFd),
    sources: HashMap<u64, Source>,
    writers: HashMap<String, Writer>,
    next: u64,
}

impl Thread {
    fn run(&mut self) {
        loop {
            let mut events = Vec::with_capacity(16);
            match epoll::wait(&self.epoll, rustix::buffer::spare_capacity(&mut events), None) {
                Ok(_) | Err(Errno::INTR) => {}
                Err(errno) => return log::error!("logs are no longer collected: epoll: {errno}"),
            }
            for event in events {
                let (data, flags) = (event.data, event.flags);
                match data.u64() {
                    WAKE => self.obey(),
                    id => self.drain(id, flags.contains(epoll::EventFlags::HUP)),
                }
            }
        }
    }

    fn obey(&mut self) {
        let mut counter = [0; 8];
        rustix::io::read(&self.wake, &mut counter).ok();
        while let Ok(command) = self.commands.try_recv() {
            match command {
                Command::Add { service, stream, pipe } => self.add(service, stream, pipe),
                Command::Close { service, done } => {
                    let ids: Vec<u64> = self
                        .sources
                        .iter()
                        .filter(|(_, source)| source.service == service)
                        .map(|(id, _)| *id)
                        .collect();
                    ids.into_iter().for_each(|id| self.drain(id, true));
                    self.writers.remove(&service);
                    done.send(()).ok();
                }
            }
        }
    }

    fn add(&mut self, service: String, stream: Stream, pipe: OwnedFd) {
        let id = self.next;
        self.next += 1;
        // Edge triggered: an unfinished line stays in the pipe without waking the thread again and again.
        let flags = epoll::EventFlags::IN | epoll::EventFlags::ET;
        let added = rustix::io::ioctl_fionbio(&pipe, true)
            .and_then(|()| epoll::add(&self.epoll, &pipe, epoll::EventData::new_u64(id), flags));
        match added {
            Ok(()) => drop(self.sources.insert(id, Source { service, stream, pipe, splitter: Splitter::default() })),
            Err(errno) => log::error!("{service}: its {} is not collected: {errno}", stream.name()),
        }
    }

    /// Moves all finished lines of a source to its file; at the end of the stream the unfinished one too.
    fn drain(&mut self, id: u64, at_end: bool) {
        let Some(mut source) = self.sources.remove(&id) else { return };
        loop {
            match self.batch(&mut source, at_end) {
                Ok(0) => break,
                Ok(_) => {}
                Err(errno) => {
                    log::error!("{}: its {} is no longer collected: {errno}", source.service, source.stream.name());
                    return;
                }
            }
        }
        if !at_end {
            self.sources.insert(id, source);
        }
    }

    /// One batch; the number of bytes taken off the pipe.
    fn batch(&mut self, source: &mut Source, at_end: bool) -> Result<usize, Errno> {
        let (read_end, write_end) = &self.scratch;
        match rustix::pipe::tee(&source.pipe, write_end, BATCH, SpliceFlags::NONBLOCK) {
            Ok(0) | Err(Errno::AGAIN) => return Ok(0),
            Err(Errno::INTR) => {}
            Err(errno) => return Err(errno),
            Ok(_) => {}
        }
        let mut bytes = Vec::with_capacity(BATCH);
        loop {
            match rustix::io::read(read_end, rustix::buffer::spare_capacity(&mut bytes)) {
                Ok(0) | Err(Errno::AGAIN) => break,
                Ok(_) if bytes.len() == bytes.capacity() => break,
                Ok(_) | Err(Errno::INTR) => {}
                Err(errno) => return Err(errno),
            }
        }
        let (pieces, consumed) = source.splitter.split(&bytes, at_end);
        if !pieces.is_empty() {
            self.keep(&source.service, source.stream, pieces);
        }
        bytes.truncate(consumed);
        let mut left = consumed;
        while left > 0 {
            match rustix::io::read(&source.pipe, &mut bytes[..left]) {
                Ok(0) => break,
                Ok(count) => left -= count,
                Err(Errno::INTR) => {}
                Err(errno) => return Err(errno),
            }
        }
        Ok(consumed)
    }

    fn keep(&mut self, service: &str, stream: Stream, pieces: Vec<Piece>) {
        let time = WallTime::now();
        let entries: Vec<Entry> = pieces
            .into_iter()
            .map(|Piece { text, complete, priority }| Entry { text, complete, stream, time, priority })
            .collect();
        let folder = self.folder.join(service);
        let writer = self.writers.entry(service.into()).or_insert_with(|| Writer::new(folder));
        let outcome = writer.append(&entries);
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
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Query, Reader};
    use super::*;

    fn texts(collector: &Collector, service: &str) -> Vec<String> {
        let query = Query { stdout: true, stderr: true, ..Query::default() };
        let entries = Reader::new(collector.folder(service), query).unwrap().read(10_000).unwrap();
        entries.into_iter().map(|entry| entry.text).collect()
    }

    fn collector(folder: &tempfile::TempDir) -> Collector {
        let console = folder.path().join("console");
        std::fs::write(&console, "").unwrap();
        Collector::start(folder.path().join("log"), Console::start(console).unwrap()).unwrap()
    }

    #[tokio::test]
    async fn lines_reach_the_file_and_an_unfinished_one_stays_in_the_pipe() {
        let folder = tempfile::tempdir().unwrap();
        let collector = collector(&folder);
        let (read_end, write_end) = rustix::pipe::pipe().unwrap();
        let kept = read_end.try_clone().unwrap();
        let mut written = collector.watch("a");
        collector.add("a", Stream::Stderr, read_end);
        rustix::io::write(&write_end, b"one\ntwo\nthr").unwrap();
        written.changed().await.unwrap();
        assert_eq!(texts(&collector, "a"), ["one", "two"]);
        assert_eq!(collector.last_line("a").as_deref(), Some("two"));
        // Written comes before taken off the pipe.
        let deadline = std::time::Instant::now() + std::time::Duration::from_secs(10);
        while rustix::io::ioctl_fionread(&kept).unwrap() != 3 {
            assert!(std::time::Instant::now() < deadline, "the written lines stay in the pipe");
            tokio::task::yield_now().await;
        }
        // As if the daemon died here: a second collector takes over the kept descriptor.
        let mut rest = [0; 16];
        let length = rustix::io::read(&kept, &mut rest).unwrap();
        assert_eq!(&rest[..length], b"thr");
    }

    #[tokio::test]
    async fn close_takes_everything_and_the_end_of_the_stream_too() {
        let folder = tempfile::tempdir().unwrap();
        let collector = collector(&folder);
        let (read_end, write_end) = rustix::pipe::pipe().unwrap();
        collector.add("a", Stream::Stdout, read_end);
        let many: String = (0..8000).map(|number| format!("{number}\n")).collect();
        let text = format!("{many}tail");
        let writing = std::thread::spawn(move || {
            let mut bytes = text.as_bytes();
            while !bytes.is_empty() {
                bytes = &bytes[rustix::io::write(&write_end, bytes).unwrap()..];
            }
        });
        writing.join().unwrap();
        collector.close("a").await;
        let texts = texts(&collector, "a");
        assert_eq!((texts.len(), texts[7999].as_str(), texts[8000].as_str()), (8001, "7999", "tail"));
    }
}
