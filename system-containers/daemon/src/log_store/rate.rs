//! How fast one service may write into its log: a token bucket, pure.
//!
//! A service that is faster waits in write(2), because nobody empties its pipe; nothing is dropped. journald drops
//! instead. Here a lost line is a broken promise, and the writer that is slowed down is the one that caused it; other
//! services have pipes of their own. The price is that a service which floods its log works no faster than it may log.

use std::time::{Duration, Instant};

/// Bytes of records a second for long: turns a whole store over in four seconds and keeps a flood from wearing the disk out.
pub const RATE: u64 = 1 << 20;
/// Bytes of records at once, such as at a start: a whole store.
pub const BURST: u64 = 4 << 20;
/// A bucket that was empty stays closed until it holds so many bytes, so that a flood is taken in whole batches.
const REOPEN: u64 = 64 << 10;

/// The bucket of one service.
#[derive(Debug, Clone, Copy)]
pub struct Bucket {
    /// Byte-microseconds divided by 1 s, so that short intervals do not round to nothing.
    micros: u64,
    filled: Instant,
    closed: bool,
}

const SECOND: u64 = 1_000_000;

impl Bucket {
    /// A full bucket.
    pub fn new(now: Instant) -> Self {
        Self { micros: BURST * SECOND, filled: now, closed: false }
    }

    /// Time until the service may be served; zero when it may now.
    pub fn wait(&mut self, now: Instant) -> Duration {
        let elapsed = u64::try_from(now.saturating_duration_since(self.filled).as_micros()).unwrap_or(u64::MAX);
        self.micros = elapsed.saturating_mul(RATE).saturating_add(self.micros).min(BURST * SECOND);
        self.filled = now;
        let needed = if self.closed { REOPEN * SECOND } else { 1 };
        let missing = needed.saturating_sub(self.micros);
        self.closed = missing > 0;
        Duration::from_micros(missing.div_ceil(RATE))
    }

    /// Counts bytes that were served.
    pub fn take(&mut self, bytes: usize) {
        let bytes = u64::try_from(bytes).unwrap_or(u64::MAX);
        self.micros = self.micros.saturating_sub(bytes.saturating_mul(SECOND));
        self.closed = self.micros == 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_then_the_rate() {
        let begin = Instant::now();
        let mut bucket = Bucket::new(begin);
        let (mut now, mut taken) = (begin, 0_u64);
        while now < begin + Duration::from_secs(10) {
            let wait = bucket.wait(now);
            if wait.is_zero() {
                bucket.take(64 << 10);
                taken += 64 << 10;
            }
            now += wait;
        }
        let allowed = BURST + 10 * RATE;
        assert!((allowed - RATE / 4..=allowed + RATE / 4).contains(&taken), "{taken} of {allowed}");
        assert!(bucket.wait(now + Duration::from_secs(100)).is_zero());
    }

    #[test]
    fn a_quiet_service_never_waits() {
        let mut now = Instant::now();
        let mut bucket = Bucket::new(now);
        for _ in 0..1000 {
            assert!(bucket.wait(now).is_zero());
            bucket.take(80);
            now += Duration::from_millis(1);
        }
    }
}
