//! Why a slot could not be written.

use crate::client::ClientError;
use std::io;

/// A slot that is not written; what was written so far is used by the next run.
#[derive(Debug, thiserror::Error)]
pub enum DeltaError {
    /// The slot cannot hold the image.
    #[error(
        "the slot has {found} bytes, the release needs {needed}: install its image anew, on a larger disk if need be"
    )]
    TooSmall {
        /// Bytes of image and tree.
        needed: u64,
        /// Bytes of the slot.
        found: u64,
    },
    /// The slot cannot be written or read.
    #[error("cannot {action} block {block} of the slot")]
    Target {
        /// What was tried.
        action: &'static str,
        /// Of 4096 bytes.
        block: u64,
        /// Why.
        source: io::Error,
    },
    /// What is copied cannot be read.
    #[error("cannot read block {block} of the running root")]
    Source {
        /// Of 4096 bytes.
        block: u64,
        /// Why.
        source: io::Error,
    },
    /// What is copied is not what its root hash says.
    #[error("block {block} of the running root has other bytes than its root hash says: memory or medium are faulty")]
    Damaged {
        /// Of 4096 bytes.
        block: u64,
    },
    /// The server sent other bytes.
    #[error("the server sends block {block} of the image with other bytes than the release has; use another server")]
    Corrupt {
        /// Of 4096 bytes.
        block: u64,
    },
    /// The server sends nothing any more.
    #[error("the server broke off {attempts} times in a row; what came is kept, try again later")]
    BrokenOff {
        /// Attempts.
        attempts: u32,
        /// The last time.
        source: io::Error,
    },
    /// The server refuses.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// The disk lost what was written.
    #[error("block {block} of the slot reads back with other bytes than were written: the disk is faulty, replace it")]
    ReadBack {
        /// Of 4096 bytes.
        block: u64,
    },
}
