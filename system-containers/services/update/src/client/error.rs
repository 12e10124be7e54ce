//! Why nothing came.

use crate::digest::Digest;
use crate::trust::TrustError;
use std::io;

/// A server that does not give what was asked for.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// Not a URL.
    #[error("the server of updates cannot be asked: {reason}")]
    Url {
        /// What is wrong with it.
        reason: String,
    },
    /// No connection, or one that broke off.
    #[error("{url}")]
    Connection {
        /// What was asked for.
        url: String,
        /// Why.
        source: io::Error,
    },
    /// Another answer than the file.
    #[error("{url}: the server answers {status}")]
    Status {
        /// What was asked for.
        url: String,
        /// Status code.
        status: u16,
    },
    /// A redirect that is not followed.
    #[error("{url}: {reason}; the server of updates is set up wrong")]
    Redirect {
        /// What was asked for.
        url: String,
        /// Why not.
        reason: String,
    },
    /// Other bytes than asked for.
    #[error("{url}: the server answers with another range than asked for; use another server")]
    Range {
        /// What was asked for.
        url: String,
    },
    /// More than the file has.
    #[error("{url}: the server sends more than the {size} bytes it should have; use another server")]
    TooLong {
        /// What was asked for.
        url: String,
        /// Bytes.
        size: u64,
    },
    /// Another file.
    #[error(
        "{url} has the digest {found}, the manifest says {expected}: the server has another file; use another server"
    )]
    Digest {
        /// What was asked for.
        url: String,
        /// Of what came.
        found: Digest,
        /// Of what should have come.
        expected: Digest,
    },
    /// A chain of roots without an end.
    #[error("{url}: the server has more than {limit} new roots; install a newer image instead")]
    Roots {
        /// The server.
        url: String,
        /// How many are followed.
        limit: u64,
    },
    /// Metadata that are refused.
    #[error(transparent)]
    Trust(#[from] TrustError),
    /// The file it was to be kept in.
    #[error("{path}")]
    File {
        /// Which.
        path: String,
        /// Why.
        source: io::Error,
    },
}

impl ClientError {
    /// Whether the same request may be answered later.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Connection { .. } | Self::Status { status: 429 | 500..=599, .. })
    }
}
