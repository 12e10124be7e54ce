//! A disk with a volatile write cache whose power can be cut: *record once, cut anywhere*.
//!
//! | module | what |
//! |---|---|
//! | [`nbd`] | the NBD protocol as bytes |
//! | `server` | a connection's requests, carried out and recorded |
//! | [`trace`] | what arrived and when it was answered, as a file |
//! | [`cut`] | which unflushed sectors survive: a pure plan by seed |
//! | [`image`] | a disk's content: base file and extents over it; carries plans out, exports files |
//! | [`extents`] | the map of an image |
//! | [`random`] | the generator of a seed |
//!
//! A [`FaultDisk`] serves an [`Image`] to QEMU and records. Afterwards `base.after(&trace, &cut::plan(...))` is the image
//! as it is after a cut at any record, which can be served again at once: nothing is copied.
//!
//! Trimmed sectors read as zeros, though a real disk may return anything there.

pub mod cut;
pub mod extents;
pub mod image;
pub mod nbd;
pub mod random;
mod server;
pub mod trace;

#[cfg(test)]
#[expect(clippy::cast_possible_truncation, reason = "numbers of these tests are small")]
mod tests;

pub use image::Image;
pub use trace::Trace;

use anyhow::{Context, Result, ensure};
use server::{Store, lock};
use std::io::ErrorKind;
use std::net::Shutdown;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use trace::Writer;

/// Requests so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    /// WRITE.
    pub writes: u64,
    /// `WRITE_ZEROES`.
    pub zeroes: u64,
    /// TRIM.
    pub trims: u64,
    /// FLUSH.
    pub flushes: u64,
}

/// A disk being served; ends when dropped.
#[derive(Debug)]
pub struct FaultDisk {
    socket: PathBuf,
    store: Arc<Mutex<Store>>,
    stopping: Arc<AtomicBool>,
    listener: Option<JoinHandle<()>>,
}

impl FaultDisk {
    /// Serves `image` at `socket` by threads of this process, and records to a new file `trace`.
    pub fn serve(image: Image, socket: &Path, trace: &Path) -> Result<Self> {
        match std::fs::remove_file(socket) {
            Err(error) if error.kind() != ErrorKind::NotFound => Err(error)?,
            _ => {}
        }
        let writer = Writer::create(trace, image.size())?;
        let listener = UnixListener::bind(socket).with_context(|| format!("NBD socket {}", socket.display()))?;
        let store = Store { image, trace: writer, counts: Counts::default(), failed: None };
        let store = Arc::new(Mutex::new(store));
        let stopping = Arc::new(AtomicBool::new(false));
        let listener = {
            let (store, stopping) = (Arc::clone(&store), Arc::clone(&stopping));
            std::thread::Builder::new().name("nbd".into()).spawn(move || accept(&listener, &store, &stopping))?
        };
        Ok(Self { socket: socket.into(), store, stopping, listener: Some(listener) })
    }

    /// Where it is served.
    pub fn socket(&self) -> &Path {
        &self.socket
    }

    /// Puts a mark in the trace; returns its record's number.
    pub fn mark(&self, text: &str) -> Result<usize> {
        lock(&self.store).trace.mark(text)
    }

    /// Requests so far.
    pub fn counts(&self) -> Counts {
        lock(&self.store).counts
    }

    /// The content as a client reads it now: nothing is lost.
    pub fn image(&self) -> Image {
        lock(&self.store).image.clone()
    }

    /// Ends all connections; an error when something could not be recorded.
    pub fn stop(mut self) -> Result<Counts> {
        self.end();
        let store = lock(&self.store);
        ensure!(store.failed.is_none(), "the trace is not complete: {}", store.failed.as_deref().unwrap_or_default());
        Ok(store.counts)
    }

    fn end(&mut self) {
        let Some(listener) = self.listener.take() else { return };
        self.stopping.store(true, Ordering::SeqCst);
        // Wakes the listener, which looks at the flag. An error means that it has ended.
        drop(UnixStream::connect(&self.socket));
        drop(listener.join());
        drop(std::fs::remove_file(&self.socket));
    }
}

impl Drop for FaultDisk {
    fn drop(&mut self) {
        self.end();
    }
}

fn accept(listener: &UnixListener, store: &Arc<Mutex<Store>>, stopping: &AtomicBool) {
    let mut clients = Vec::new();
    while let Ok((stream, _)) = listener.accept() {
        if stopping.load(Ordering::SeqCst) {
            break;
        }
        let Ok(other) = stream.try_clone() else { continue };
        let store = Arc::clone(store);
        let thread = std::thread::spawn(move || {
            // A client that was killed leaves in the middle of a request: that is what this disk is for.
            drop(server::serve(&stream, &store));
            drop(stream.shutdown(Shutdown::Both));
        });
        clients.push((other, thread));
    }
    for (stream, thread) in clients {
        // Ended already when the client is gone.
        drop(stream.shutdown(Shutdown::Both));
        drop(thread.join());
    }
}
