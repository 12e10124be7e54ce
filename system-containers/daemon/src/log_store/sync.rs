//! The thread that syncs logs: the one that writes them must not wait for a disk that may take seconds.

use std::fs::File;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::time::Duration;

/// Time between a write and its sync, half of what a power cut may cost; the rest is for the disk.
pub const DELAY: Duration = Duration::from_millis(500);

/// Handle of the thread.
#[derive(Debug)]
pub struct Syncer {
    files: Sender<Vec<File>>,
    busy: Arc<AtomicBool>,
}

impl Syncer {
    /// Starts the thread.
    pub fn start() -> io::Result<Self> {
        let (files, received) = channel::<Vec<File>>();
        let busy = Arc::new(AtomicBool::new(false));
        let shared = Arc::clone(&busy);
        std::thread::Builder::new().name("log-sync".into()).spawn(move || {
            for files in received {
                for file in files {
                    if let Err(error) = file.sync_all() {
                        log::warn!("logs are not synced: {error}");
                    }
                }
                shared.store(false, Ordering::Release);
            }
        })?;
        Ok(Self { files, busy })
    }

    /// Whether the disk is still at work on what it was given.
    pub fn is_busy(&self) -> bool {
        self.busy.load(Ordering::Acquire)
    }

    /// Syncs files and folders.
    pub fn sync(&self, files: Vec<File>) {
        self.busy.store(true, Ordering::Release);
        // The thread lives as long as this handle.
        self.files.send(files).ok();
    }
}
