//! Turns: every pipe that has something is served, unless it or its service has to wait.

use super::batch::Found;
use super::source::{Share, Source};
use super::thread::Thread;
use crate::log_store::rate::{Bucket, RATE};
use std::time::{Duration, Instant};

/// Time until a pipe whose spool cannot be written, because `/run` is full, is tried again; its writer waits.
const STUCK: Duration = Duration::from_secs(1);
/// A service that is slowed down is told so once in this time.
const NOTE_PERIOD: Duration = Duration::from_secs(60);

impl Thread {
    /// Serves every pipe that has something; says after what time there is more to do without an event.
    pub(super) fn turn(&mut self) -> Option<Duration> {
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
}
