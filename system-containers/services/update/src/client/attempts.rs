//! How often a transfer that breaks off is taken up again.

use std::time::Duration;

/// Attempts in a row that bring next to nothing.
pub(crate) const ATTEMPTS: u32 = 4;
/// Before the second attempt; doubles.
pub(crate) const PAUSE: Duration = Duration::from_secs(1);
/// Bytes that count as going on. A server that breaks off earlier each time would hold an update for hours.
const LEAST: u64 = 64 << 10;

/// The attempts at one transfer.
#[derive(Debug)]
pub(crate) struct Attempts {
    pause: Duration,
    failures: u32,
}

impl Attempts {
    /// None yet; `pause` is the first one.
    pub(crate) fn new(pause: Duration) -> Self {
        Self { pause, failures: 0 }
    }

    /// One did what it should.
    pub(crate) fn done(&mut self) {
        self.failures = 0;
    }

    /// One broke off after so many new bytes: whether there is another one, after a pause.
    pub(crate) fn again(&mut self, gained: u64) -> bool {
        self.failures = if gained >= LEAST { 1 } else { self.failures + 1 };
        let again = self.failures < ATTEMPTS;
        if again {
            std::thread::sleep(self.pause * (1 << self.failures) / 2);
        }
        again
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_attempts_that_bring_something_go_on_for_ever() {
        let mut attempts = Attempts::new(Duration::ZERO);
        assert!((0..100).all(|_| attempts.again(LEAST)));
        let more = (0..100).take_while(|_| attempts.again(LEAST - 1)).count();
        assert_eq!(more, 2);
        attempts.done();
        assert_eq!((0..100).take_while(|_| attempts.again(0)).count(), 3);
    }
}
