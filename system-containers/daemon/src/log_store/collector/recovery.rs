//! What a daemon that was killed had begun is completed before the thread starts.

use super::batch::Taken;
use super::thread::Thread;
use crate::log_store::spool::Spool;
use crate::log_store::{Stream, boots};
use std::io;
use std::path::Path;

impl Thread {
    /// Before anything new is written: a batch that was begun is written behind the mark it was begun at.
    pub(super) fn recover(&mut self) {
        if let Err(error) = boots::remember(&self.places.logs, self.places.boot) {
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
