//! Work that is tried again, with growing pauses, for as long as somebody has patience.

use std::fmt;
use std::time::{Duration, Instant};

/// How long and how often things are tried.
#[derive(Debug, Clone, Copy)]
pub struct Patience {
    /// Everything together.
    pub whole: Duration,
    /// Pause after the first failure; doubled by each that follows.
    pub first: Duration,
    /// Longest pause.
    pub longest: Duration,
}

impl Patience {
    /// A machine that starts before its network or its cloud's service is not lost.
    pub const BOOT: Self =
        Self { whole: Duration::from_secs(600), first: Duration::from_millis(500), longest: Duration::from_secs(15) };
}

/// Time left of [`Patience`].
#[derive(Debug)]
pub struct Attempts {
    end: Instant,
    pause: Duration,
    patience: Patience,
}

impl Attempts {
    /// Begins now.
    pub fn new(patience: Patience) -> Self {
        Self { end: Instant::now() + patience.whole, pause: patience.first, patience }
    }

    /// Repeats `work` until it succeeds or time is over; the last error is the one that is told.
    pub fn until<T>(&mut self, what: &str, mut work: impl FnMut() -> anyhow::Result<T>) -> anyhow::Result<T> {
        self.pause = self.patience.first;
        let mut told = None;
        loop {
            let error = match work() {
                Ok(found) => return Ok(found),
                Err(error) => error,
            };
            let text = format!("{error:#}");
            if error.is::<Final>() || Instant::now() + self.pause >= self.end {
                return Err(error);
            }
            if told.as_ref() != Some(&text) {
                println!("<6>{what}: {text}; tried again");
                told = Some(text);
            }
            std::thread::sleep(self.pause);
            self.pause = (self.pause * 2).min(self.patience.longest);
        }
    }
}

/// An error that another attempt does not mend.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Final(pub String);

impl fmt::Display for Final {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Final {}
