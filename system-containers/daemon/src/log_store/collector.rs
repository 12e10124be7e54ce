//! The thread between the services' pipes and their files: each pipe goes through a [`Spool`] into the log, so that a
//! daemon killed at any instant loses no line and doubles none.
//!
//! Every turn serves each pipe that has something with one batch, so that a service which floods its log delays the
//! others by one batch; how much it may write in the long run says [`rate`](super::rate).

use super::rate::{Bucket, RATE};
use super::split::{OVERHEAD, Piece};
use super::spool::Spool;
use super::sync::{self, Syncer};
use super::writer::{Outcome, Writer};
use super::{BootId, Entry, Stream};
use crate::clock::WallTime;
use crate::console_output::{Console, ECHO_PRIORITY};
use rustix::event::{EventfdFlags, Timespec, epoll, eventfd};
use rustix::fd::OwnedFd;
use rustix::io::Errno;
use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::{oneshot, watch};

/// Room of a batch as the splitter counts it. Even if JSON needs six bytes for each of its text, a record of 128 for
/// each line, the batch is smaller than a file.
const ROOM: usize = 256 << 10;
/// Time until a pipe whose spool cannot be written, because `/run` is full, is tried again; its writer waits.
const STUCK: Duration = Duration::from_secs(1);
/// Batches in which a pipe of any usual size is emptied.
const CLOSE_BATCHES: usize = 64;
/// Time until a disk that is still syncing is asked again.
const SYNC_BUSY: Duration = Duration::from_millis(100);
/// A service that is slowed down is told so once in this time.
const NOTE_PERIOD: Duration = Duration::from_secs(60);

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

/// Where the thread works.
#[derive(Debug, Clone)]
pub struct Places {
    /// Folder of one folder a service.
    pub logs: PathBuf,
    /// Folder of one file a pipe, which outlives the daemon.
    pub spools: PathBuf,
    /// The running boot.
    pub boot: BootId,
}

/// Handle of the thread.
#[derive(Debug, Clone)]
pub struct Collector {
    places: Places,
    commands: Sender<Command>,
    wake: Arc<OwnedFd>,
    notes: Shared,
    written: Arc<watch::Sender<u64>>,
}

impl Collector {
    /// Completes what a daemon that was killed had begun, then starts the thread.
    pub fn start(places: Places, console: Console) -> io::Result<Self> {
        let (commands, received) = channel();
        let wake = Arc::new(eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?);
        let notes = Shared::default();
        let written = Arc::new(watch::Sender::new(0));
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        epoll::add(&epoll, &wake, epoll::EventData::new_u64(WAKE), epoll::EventFlags::IN)?;
        let mut thread = Thread {
            places: places.clone(),
            console,
            notes: Arc::clone(&notes),
            written: Arc::clone(&written),
            wake: Arc::clone(&wake),
            commands: received,
            epoll,
            sources: BTreeMap::new(),
            writers: HashMap::new(),
            shares: HashMap::new(),
            syncer: Syncer::start()?,
            unsynced: Vec::new(),
            unsynced_since: None,
            next: WAKE + 1,
        };
        thread.recover();
        std::thread::Builder::new().name("logs".into()).spawn(move || thread.run())?;
        Ok(Self { places, commands, wake, notes, written })
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

    /// Changes whenever records of any service were written.
    pub fn watch_all(&self) -> watch::Receiver<u64> {
        self.written.subscribe()
    }

    /// Folder of one service's files.
    pub fn folder(&self, service: &str) -> PathBuf {
        self.places.logs.join(service)
    }

    /// Folder of all services' folders.
    pub fn logs(&self) -> &Path {
        &self.places.logs
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
    spool: Spool,
    /// It may have something.
    ready: bool,
    /// Not to be served before.
    stuck: Option<Instant>,
}

/// What one service may still write.
struct Share {
    bucket: Bucket,
    noted: Option<Instant>,
}

/// What a batch found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Found {
    /// Records of so many bytes; there may be more.
    Bytes(usize),
    /// Nothing, or an unfinished line.
    Nothing,
    /// The end of the stream.
    End,
}

/// A batch.
struct Taken {
    pieces: Vec<Piece>,
    /// Bytes of the spool it was made of.
    taken: usize,
    /// Time of its first record; now when missing.
    time: Option<WallTime>,
}

struct Thread {
    places: Places,
    console: Console,
    notes: Shared,
    written: Arc<watch::Sender<u64>>,
    wake: Arc<OwnedFd>,
    commands: Receiver<Command>,
    epoll: OwnedFd,
    sources: BTreeMap<u64, Source>,
    writers: HashMap<String, Writer>,
    shares: HashMap<String, Share>,
    syncer: Syncer,
    unsynced: Vec<File>,
    unsynced_since: Option<Instant>,
    next: u64,
}

impl Thread {
    fn run(&mut self) {
        let mut timeout = Some(Duration::ZERO);
        loop {
            let mut events = Vec::with_capacity(16);
            let wait = timeout.and_then(|timeout| Timespec::try_from(timeout).ok());
            match epoll::wait(&self.epoll, rustix::buffer::spare_capacity(&mut events), wait.as_ref()) {
                Ok(_) | Err(Errno::INTR) => {}
                Err(errno) => return log::error!("logs are no longer collected: epoll: {errno}"),
            }
            for event in events {
                match { event.data }.u64() {
                    WAKE => self.obey(),
                    id => self.sources.get_mut(&id).into_iter().for_each(|source| source.ready = true),
                }
            }
            let (pipes, disk) = (self.turn(), self.sync());
            timeout = pipes.into_iter().chain(disk).min();
        }
    }

    fn obey(&mut self) {
        let mut counter = [0; 8];
        rustix::io::read(&self.wake, &mut counter).ok();
        while let Ok(command) = self.commands.try_recv() {
            match command {
                Command::Add { service, stream, pipe } => self.add(service, stream, pipe),
                Command::Close { service, done } => {
                    self.close(&service);
                    done.send(()).ok();
                }
            }
        }
    }

    fn add(&mut self, service: String, stream: Stream, pipe: OwnedFd) {
        let id = self.next;
        self.next += 1;
        // Edge triggered: an unfinished line does not wake the thread again and again.
        let flags = epoll::EventFlags::IN | epoll::EventFlags::ET;
        let added = Spool::open(&self.spool(&service, stream)).and_then(|spool| {
            rustix::io::ioctl_fionbio(&pipe, true)?;
            epoll::add(&self.epoll, &pipe, epoll::EventData::new_u64(id), flags)?;
            Ok(spool)
        });
        match added {
            // A spool of the daemon before may hold whole lines while the pipe is empty.
            Ok(spool) => {
                drop(self.sources.insert(id, Source { service, stream, pipe, spool, ready: true, stuck: None }))
            }
            Err(error) => log::error!("{service}: its {} is not collected: {error}", stream.name()),
        }
    }

    /// Writes all that is left of a service, whatever its share.
    fn close(&mut self, service: &str) {
        let is_its = |(id, source): (&u64, &Source)| (source.service == service).then_some(*id);
        let ids: Vec<u64> = self.sources.iter().filter_map(is_its).collect();
        for mut source in ids.into_iter().filter_map(|id| self.sources.remove(&id)).collect::<Vec<_>>() {
            let mut result = Ok(());
            // Somebody outside the service may have got the pipe and write on: more than it holds is not the service's.
            for _ in 0..CLOSE_BATCHES {
                match self.batch(&mut source, true) {
                    Ok(Found::Bytes(_)) => {}
                    Ok(Found::Nothing | Found::End) => break,
                    Err(error) => {
                        result = Err(error);
                        break;
                    }
                }
            }
            self.end(&source, result);
        }
        if let Some(writer) = self.writers.get_mut(service) {
            self.unsynced.extend(writer.take_unsynced());
            if !writer.has_lost() {
                self.writers.remove(service);
            }
        }
    }

    fn end(&self, source: &Source, result: io::Result<()>) {
        let path = self.spool(&source.service, source.stream);
        if let Err(error) = result.and_then(|()| std::fs::remove_file(path)) {
            log::error!("{}: the end of its {}: {error}", source.service, source.stream.name());
        }
    }

    /// Serves every pipe that has something; says after what time there is more to do without an event.
    fn turn(&mut self) -> Option<Duration> {
        let now = Instant::now();
        let ready: Vec<u64> = self.sources.iter().filter(|(_, source)| source.ready).map(|(id, _)| *id).collect();
        ready.into_iter().filter_map(|id| self.serve(id, now)).min()
    }

    fn serve(&mut self, id: u64, now: Instant) -> Option<Duration> {
        let mut source = self.sources.remove(&id)?;
        let wait = self.wait(&mut source, now);
        if !wait.is_zero() {
            self.sources.insert(id, source);
            return Some(wait);
        }
        let again = match self.batch(&mut source, false) {
            Ok(Found::Bytes(bytes)) => {
                self.share(&source.service, now).bucket.take(bytes);
                Some(Duration::ZERO)
            }
            Ok(Found::Nothing) => {
                source.ready = false;
                None
            }
            Ok(Found::End) => {
                self.end(&source, Ok(()));
                return None;
            }
            Err(error) => {
                log::error!("{}: its {} waits: {error}", source.service, source.stream.name());
                source.stuck = Some(now + STUCK);
                Some(STUCK)
            }
        };
        self.sources.insert(id, source);
        again
    }

    fn share(&mut self, service: &str, now: Instant) -> &mut Share {
        self.shares.entry(service.into()).or_insert_with(|| Share { bucket: Bucket::new(now), noted: None })
    }

    fn wait(&mut self, source: &mut Source, now: Instant) -> Duration {
        if let Some(stuck) = source.stuck.filter(|stuck| *stuck > now) {
            return stuck - now;
        }
        source.stuck = None;
        let share = self.share(&source.service, now);
        let wait = share.bucket.wait(now);
        if !wait.is_zero() && share.noted.is_none_or(|noted| now - noted >= NOTE_PERIOD) {
            share.noted = Some(now);
            let text = format!("hull: it logs faster than {RATE} bytes a second and is slowed down; no line is lost");
            let outcome = self.writer(&source.service).note(text);
            self.tell(&source.service, &[], outcome);
        }
        wait
    }

    /// One batch from pipe to log.
    fn batch(&mut self, source: &mut Source, closing: bool) -> io::Result<Found> {
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
    fn keep(&mut self, service: &str, stream: Stream, spool: &mut Spool, taken: Taken) {
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

    fn writer(&mut self, service: &str) -> &mut Writer {
        self.unsynced_since.get_or_insert_with(Instant::now);
        let places = &self.places;
        self.writers.entry(service.into()).or_insert_with(|| Writer::new(places.logs.join(service), places.boot))
    }

    fn tell(&self, service: &str, entries: &[Entry], outcome: Outcome) {
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

    /// Hands over what is to be synced; says after what time to look again.
    fn sync(&mut self) -> Option<Duration> {
        let since = self.unsynced_since?;
        let left = sync::DELAY.saturating_sub(since.elapsed());
        if !left.is_zero() {
            return Some(left);
        }
        if self.syncer.is_busy() {
            return Some(SYNC_BUSY);
        }
        let mut files = std::mem::take(&mut self.unsynced);
        files.extend(self.writers.values_mut().flat_map(Writer::take_unsynced));
        self.syncer.sync(files);
        self.unsynced_since = None;
        None
    }

    fn spool(&self, service: &str, stream: Stream) -> PathBuf {
        self.places.spools.join(format!("{service}.{}", stream.name()))
    }

    /// Before anything new is written: a batch that was begun is written behind the mark it was begun at.
    fn recover(&mut self) {
        if let Err(error) = super::boots::remember(&self.places.logs, self.places.boot) {
            log::warn!("this boot is not listed in {}: {error}", self.places.logs.display());
        }
        for file in std::fs::read_dir(&self.places.spools).into_iter().flatten().flatten() {
            let name = file.file_name();
            let Some((service, stream)) = name.to_str().and_then(|name| name.rsplit_once('.')) else { continue };
            let Some(stream) = Stream::from_name(stream) else { continue };
            if let Err(error) = self.redo(&file.path(), service, stream) {
                log::error!("{service}: what was begun in its log: {error}");
            }
        }
    }

    fn redo(&mut self, path: &Path, service: &str, stream: Stream) -> io::Result<()> {
        let mut spool = Spool::open(path)?;
        let Some((batch, bytes, mut splitter)) = spool.begun()? else { return Ok(()) };
        if let Err(error) = self.writer(service).undo(batch.mark) {
            log::warn!("{service}: log lines may be doubled: {error}");
        }
        let (pieces, taken) = splitter.split(&bytes, true, usize::MAX);
        self.keep(service, stream, &mut spool, Taken { pieces, taken, time: Some(batch.time) });
        spool.finish(taken, splitter)
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Query, Reader};
    use super::*;

    struct Bed {
        folder: tempfile::TempDir,
    }

    impl Bed {
        fn new() -> Self {
            let folder = tempfile::tempdir().unwrap();
            std::fs::write(folder.path().join("console"), "").unwrap();
            Self { folder }
        }

        fn collector(&self) -> Collector {
            let path = |name: &str| self.folder.path().join(name);
            let places = Places { logs: path("log"), spools: path("spool"), boot: BootId::NONE };
            Collector::start(places, Console::start(path("console")).unwrap()).unwrap()
        }

        fn spool(&self, name: &str) -> PathBuf {
            self.folder.path().join("spool").join(name)
        }
    }

    fn texts(collector: &Collector, service: &str) -> Vec<String> {
        let query = Query { stdout: true, stderr: true, ..Query::default() };
        let entries = Reader::new(collector.folder(service), query).unwrap().read(100_000).unwrap();
        entries.into_iter().map(|entry| entry.text).collect()
    }

    #[tokio::test]
    async fn lines_reach_the_file_and_an_unfinished_one_the_next_daemon() {
        let bed = Bed::new();
        let first = bed.collector();
        let (read_end, write_end) = rustix::pipe::pipe().unwrap();
        let mut written = first.watch("a");
        first.add("a", Stream::Stderr, read_end);
        rustix::io::write(&write_end, b"one\ntwo\nthr").unwrap();
        written.changed().await.unwrap();
        assert_eq!(texts(&first, "a"), ["one", "two"]);
        assert_eq!(first.last_line("a").as_deref(), Some("two"));
        let deadline = Instant::now() + Duration::from_secs(10);
        while Spool::open(&bed.spool("a.stderr")).unwrap().rest().unwrap().0 != b"thr" {
            assert!(Instant::now() < deadline, "the written lines stay in the spool");
            tokio::task::yield_now().await;
        }
        // The next daemon, with a pipe of its own, for the first one's thread still looks at this one.
        let next = Bed::new();
        std::fs::create_dir(next.folder.path().join("spool")).unwrap();
        std::fs::copy(bed.spool("a.stderr"), next.spool("a.stderr")).unwrap();
        let second = next.collector();
        let (read_end, write_end) = rustix::pipe::pipe().unwrap();
        rustix::io::write(&write_end, b"ee\nfour").unwrap();
        drop(write_end);
        second.add("a", Stream::Stderr, read_end);
        second.close("a").await;
        assert_eq!(texts(&second, "a"), ["three", "four"]);
        assert!(!next.spool("a.stderr").exists());
    }

    #[tokio::test]
    async fn a_batch_that_was_begun_is_completed_by_the_next_daemon() {
        let bed = Bed::new();
        let (read_end, write_end) = rustix::pipe::pipe().unwrap();
        rustix::io::write(&write_end, b"<3>one\ntwo\n").unwrap();
        // As a daemon leaves it that dies after half the batch.
        let mut spool = Spool::open(&bed.spool("a.stdout")).unwrap();
        spool.fill(&read_end).unwrap();
        let mut writer = Writer::new(bed.folder.path().join("log/a"), BootId::NONE);
        let time = WallTime { seconds: 1_700_000_000, nanoseconds: 0 };
        let half = Entry { text: "one".into(), complete: true, stream: Stream::Stdout, time, priority: 3 };
        writer.append(&[half], |mark| spool.begin(11, time, mark));
        let collector = bed.collector();
        collector.add("a", Stream::Stdout, read_end);
        rustix::io::write(&write_end, b"three\n").unwrap();
        drop(write_end);
        collector.close("a").await;
        let query = Query { stdout: true, ..Query::default() };
        let entries = Reader::new(collector.folder("a"), query).unwrap().read(9).unwrap();
        let seen: Vec<_> = entries.iter().map(|entry| (entry.text.as_str(), entry.priority)).collect();
        assert_eq!(seen, [("one", 3), ("two", 6), ("three", 6)]);
        assert_eq!((entries[0].time, entries[1].time), (time, time.plus_nanos(1)));
    }

    #[tokio::test]
    async fn close_takes_everything_and_the_end_of_the_stream_too() {
        let bed = Bed::new();
        let collector = bed.collector();
        let (read_end, write_end) = rustix::pipe::pipe().unwrap();
        collector.add("a", Stream::Stdout, read_end);
        let many: String = (0..8000).map(|number| format!("{number}\n")).collect();
        let text = format!("{many}tail");
        let writing = std::thread::spawn(move || {
            let mut bytes = text.as_bytes();
            while !bytes.is_empty() {
                bytes = &bytes[rustix::io::write(&write_end, bytes).unwrap()..];
            }
            write_end
        });
        let _open = writing.join().unwrap();
        collector.close("a").await;
        let texts = texts(&collector, "a");
        assert_eq!((texts.len(), texts[7999].as_str(), texts[8000].as_str()), (8001, "7999", "tail"));
    }

    /// Nothing but line breaks is what takes the most room for its size.
    #[tokio::test]
    async fn no_file_is_larger_than_its_bound() {
        let bed = Bed::new();
        let collector = bed.collector();
        let (read_end, write_end) = rustix::pipe::pipe().unwrap();
        collector.add("a", Stream::Stdout, read_end);
        let writing = std::thread::spawn(move || {
            for byte in [b'\n', 1] {
                for _ in 0..8 {
                    rustix::io::write(&write_end, &[byte; 32 << 10]).unwrap();
                }
            }
        });
        writing.join().unwrap();
        collector.close("a").await;
        let files: Vec<u64> = std::fs::read_dir(collector.folder("a"))
            .unwrap()
            .map(|file| file.unwrap().metadata().unwrap().len())
            .collect();
        assert!(files.len() == 4 && files.iter().all(|size| *size <= super::super::FILE_SIZE), "{files:?}");
    }
}
