//! The thread: its loop, pipes that come and go, and when the disk is told to keep what was written.

use super::Places;
use super::batch::Found;
use super::notes::Shared;
use super::source::{Share, Source};
use crate::console_output::Console;
use crate::log_store::Stream;
use crate::log_store::spool::Spool;
use crate::log_store::sync::{self, Syncer};
use crate::log_store::writer::Writer;
use rustix::event::{Timespec, epoll};
use rustix::fd::OwnedFd;
use rustix::io::Errno;
use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::Receiver;
use std::time::{Duration, Instant};
use tokio::sync::{oneshot, watch};

/// Time until a disk that is still syncing is asked again.
const SYNC_BUSY: Duration = Duration::from_millis(100);
/// Batches in which a pipe of any usual size is emptied.
const CLOSE_BATCHES: usize = 64;

/// Event of the wake-up descriptor; sources count up from 1.
const WAKE: u64 = 0;

/// What the handle asks for.
pub(super) enum Command {
    Add { service: String, stream: Stream, pipe: OwnedFd },
    Close { service: String, done: oneshot::Sender<()> },
}

/// All it has.
pub(super) struct Thread {
    pub(super) places: Places,
    pub(super) console: Console,
    pub(super) notes: Shared,
    pub(super) written: Arc<watch::Sender<u64>>,
    pub(super) wake: Arc<OwnedFd>,
    pub(super) commands: Receiver<Command>,
    pub(super) epoll: OwnedFd,
    pub(super) sources: BTreeMap<u64, Source>,
    pub(super) writers: HashMap<String, Writer>,
    pub(super) shares: HashMap<String, Share>,
    pub(super) syncer: Syncer,
    pub(super) unsynced: Vec<File>,
    pub(super) unsynced_since: Option<Instant>,
    pub(super) next: u64,
}

impl Thread {
    /// Ready to run; `wake` is written to when there are commands.
    pub(super) fn new(
        places: Places,
        console: Console,
        (notes, written): (Shared, Arc<watch::Sender<u64>>),
        wake: Arc<OwnedFd>,
        commands: Receiver<Command>,
    ) -> io::Result<Self> {
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        epoll::add(&epoll, &wake, epoll::EventData::new_u64(WAKE), epoll::EventFlags::IN)?;
        Ok(Self {
            places,
            console,
            notes,
            written,
            wake,
            commands,
            epoll,
            sources: BTreeMap::new(),
            writers: HashMap::new(),
            shares: HashMap::new(),
            syncer: Syncer::start()?,
            unsynced: Vec::new(),
            unsynced_since: None,
            next: WAKE + 1,
        })
    }

    pub(super) fn run(&mut self) {
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

    pub(super) fn end(&self, source: &Source, result: io::Result<()>) {
        let path = self.spool(&source.service, source.stream);
        if let Err(error) = result.and_then(|()| std::fs::remove_file(path)) {
            log::error!("{}: the end of its {}: {error}", source.service, source.stream.name());
        }
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

    pub(super) fn spool(&self, service: &str, stream: Stream) -> PathBuf {
        self.places.spools.join(format!("{service}.{}", stream.name()))
    }
}
