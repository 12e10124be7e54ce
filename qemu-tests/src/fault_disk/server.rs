//! One connection's requests, and the disk all connections share.
//!
//! Requests that wait in the socket are taken together, up to [`BATCH`], and only then carried out and answered in order.
//! So the trace shows which were in flight at once: a flush covers what was answered before it arrived, no more.

use super::Counts;
use super::extents::Source;
use super::image::Image;
use super::nbd::{self, Command, Errno, REPLY, Request, handshake};
use super::trace::Writer;
use anyhow::Result;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::io::Write;
use std::ops::Range;
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Requests of a client in flight at once; QEMU's limit is the same.
const BATCH: usize = 16;
/// Bytes of data after which no further request is taken.
const BATCH_BYTES: usize = 32 << 20;
const NOW: Timespec = Timespec { tv_sec: 0, tv_nsec: 0 };

/// The disk behind the connections.
#[derive(Debug)]
pub(super) struct Store {
    pub(super) image: Image,
    pub(super) trace: Writer,
    pub(super) counts: Counts,
    /// The first failure to record something, after which the trace proves nothing.
    pub(super) failed: Option<String>,
}

/// The store is sound after each call, so another thread's panic does not spoil it.
pub(super) fn lock(store: &Mutex<Store>) -> MutexGuard<'_, Store> {
    store.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A request that is recorded and not yet answered.
struct Taken {
    cookie: u64,
    record: Option<usize>,
    step: Step,
}

enum Step {
    Read(Range<u64>),
    Put(Range<u64>, Source),
    Clear(Range<u64>),
    Nothing,
    Refuse(Errno),
}

/// Serves a client until it disconnects or its connection ends.
pub(super) fn serve(mut stream: &UnixStream, store: &Mutex<Store>) -> Result<()> {
    let size = lock(store).image.size();
    if !handshake(&mut stream, size)? {
        return Ok(());
    }
    let mut buffer = Vec::new();
    loop {
        let (batch, ended) = take(stream, store, size);
        for taken in batch {
            lock(store).carry_out(&taken, &mut buffer);
            stream.write_all(&buffer)?;
        }
        if let Some(end) = ended {
            return end;
        }
    }
}

/// Waits for a request and takes those behind it; the second value is there when no more will come.
fn take(mut stream: &UnixStream, store: &Mutex<Store>, size: u64) -> (Vec<Taken>, Option<Result<()>>) {
    let mut batch = Vec::new();
    let mut bytes = 0;
    loop {
        let request = match Request::read(&mut stream, size) {
            Ok(Request { command: Command::Disconnect, .. }) => return (batch, Some(Ok(()))),
            Ok(request) => request,
            Err(error) => return (batch, Some(Err(error))),
        };
        if let Command::Write(_, data) = &request.command {
            bytes += data.len();
        }
        batch.push(lock(store).record(request));
        if batch.len() >= BATCH || bytes >= BATCH_BYTES || !readable(stream) {
            return (batch, None);
        }
    }
}

fn readable(stream: &UnixStream) -> bool {
    let mut fds = [PollFd::new(stream, PollFlags::IN)];
    matches!(poll(&mut fds, Some(&NOW)), Ok(count) if count > 0)
}

impl Store {
    /// Writes a request's arrival to the trace.
    fn record(&mut self, request: Request) -> Taken {
        let Request { cookie, fua, command } = request;
        let recorded = match command {
            Command::Read(range) => Ok((None, Step::Read(range))),
            Command::Write(offset, data) => {
                self.counts.writes += 1;
                let range = offset..offset + data.len() as u64;
                self.trace.write(offset, &data, fua).map(|(number, at)| {
                    (Some(number), Step::Put(range, Source::File(Arc::clone(self.trace.file()), at)))
                })
            }
            Command::WriteZeroes(range) => {
                self.counts.zeroes += 1;
                self.trace.zeroes(range.clone(), fua).map(|number| (Some(number), Step::Clear(range)))
            }
            Command::Trim(range) => {
                self.counts.trims += 1;
                self.trace.trim(range.clone(), fua).map(|number| (Some(number), Step::Clear(range)))
            }
            Command::Flush => {
                self.counts.flushes += 1;
                self.trace.flush().map(|number| (Some(number), Step::Nothing))
            }
            Command::Bad(error) => Ok((None, Step::Refuse(error))),
            Command::Disconnect => Ok((None, Step::Nothing)),
        };
        let (record, step) = recorded.unwrap_or_else(|error| {
            self.fail(&error);
            (None, Step::Refuse(Errno::Io))
        });
        Taken { cookie, record, step }
    }

    /// Does what a request asks for and puts its reply in `buffer`.
    fn carry_out(&mut self, taken: &Taken, buffer: &mut Vec<u8>) {
        let mut answer = Ok(0);
        match &taken.step {
            Step::Read(range) => answer = usize::try_from(range.end - range.start).map_err(|_| Errno::Invalid),
            Step::Put(range, source) => self.image.put(range.clone(), source.clone()),
            Step::Clear(range) => self.image.clear(range.clone()),
            Step::Nothing => {}
            Step::Refuse(error) => answer = Err(*error),
        }
        if let Some(record) = taken.record
            && let Err(error) = self.trace.done(record)
        {
            self.fail(&error);
            answer = Err(Errno::Io);
        }
        nbd::reply(taken.cookie, answer, buffer);
        if let Step::Read(range) = &taken.step
            && let Err(error) = self.image.read(range.start, &mut buffer[REPLY..])
        {
            self.fail(&error.into());
            nbd::reply(taken.cookie, Err(Errno::Io), buffer);
        }
    }

    fn fail(&mut self, error: &anyhow::Error) {
        self.failed.get_or_insert_with(|| format!("{error:#}"));
    }
}
