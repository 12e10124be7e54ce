//! The thread between the services' pipes and their files: each pipe goes through a [`Spool`](super::spool::Spool) into the
//! log, so that a daemon killed at any instant loses no line and doubles none.
//!
//! Every turn serves each pipe that has something with one batch, so that a service which floods its log delays the
//! others by one batch; how much it may write in the long run says [`rate`](super::rate).
//!
//! | file | what |
//! |---|---|
//! | `handle.rs` | what the rest of the daemon asks for |
//! | `notes.rs` | what is known of a log beside its files, shared by both |
//! | `thread.rs` | the thread: its loop, pipes that come and go, the disk |
//! | `source.rs` | a pipe |
//! | `turn.rs` | which pipe is served when |
//! | `batch.rs` | from a pipe's spool to the log |
//! | `recovery.rs` | what a daemon before had begun |

mod batch;
mod handle;
mod notes;
mod recovery;
mod source;
mod thread;
mod turn;

pub use handle::Collector;

use super::BootId;
use std::path::PathBuf;

/// Where the thread works.
#[derive(Debug, Clone)]
pub struct Places {
    /// Folder of one folder a service.
    pub logs: PathBuf,
    /// Folder of one file a pipe, which outlives the daemon.
    pub spools: PathBuf,
    /// The running boot.
    pub boot: BootId,
}

#[cfg(test)]
mod tests;
