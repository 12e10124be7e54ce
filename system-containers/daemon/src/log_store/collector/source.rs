//! A pipe that is collected from, and what its service may still write.

use crate::log_store::Stream;
use crate::log_store::rate::Bucket;
use crate::log_store::spool::Spool;
use rustix::fd::OwnedFd;
use std::time::Instant;

/// A pipe.
pub(super) struct Source {
    pub(super) service: String,
    pub(super) stream: Stream,
    pub(super) pipe: OwnedFd,
    pub(super) spool: Spool,
    /// It may have something.
    pub(super) ready: bool,
    /// Not to be served before.
    pub(super) stuck: Option<Instant>,
}

/// What one service may still write.
pub(super) struct Share {
    pub(super) bucket: Bucket,
    pub(super) noted: Option<Instant>,
}
