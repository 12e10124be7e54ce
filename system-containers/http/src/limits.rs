//! How long a server may take.

use std::time::Duration;

/// Limits of one request with its answer. The default is for registries: patient, as layers are large.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// For one address of the server.
    pub connect: Duration,
    /// Without a byte from the server.
    pub read: Duration,
    /// From the connection to the end of the body, so that a server that trickles ends some time.
    pub answer: Duration,
    /// The least a server has to send.
    pub rate: Option<Rate>,
}

/// An average rate. Only the time spent waiting for the server counts: a slow disk on this side is not its fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    /// Bytes that have to arrive …
    pub bytes: u64,
    /// … in this time of waiting.
    pub window: Duration,
}

impl Rate {
    /// 1 KiB/s over a minute: slower than any line worth updating by, faster than a server that means to hold us.
    pub const SLOWEST: Self = Self { bytes: 60 << 10, window: Duration::from_secs(60) };
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(10),
            read: Duration::from_secs(30),
            answer: Duration::from_secs(3600),
            rate: None,
        }
    }
}
