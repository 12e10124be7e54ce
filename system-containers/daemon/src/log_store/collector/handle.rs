//! The handle of the collecting thread.

use super::Places;
use super::notes::{Shared, with_notes};
use super::thread::{Command, Thread};
use crate::console_output::Console;
use crate::log_store::Stream;
use rustix::event::{EventfdFlags, eventfd};
use rustix::fd::OwnedFd;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, PoisonError};
use tokio::sync::{oneshot, watch};

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
        let shared = (Arc::clone(&notes), Arc::clone(&written));
        let mut thread = Thread::new(places.clone(), console, shared, Arc::clone(&wake), received)?;
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
