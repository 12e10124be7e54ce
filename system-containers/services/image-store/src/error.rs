//! Why an image was not taken.

use std::io;

/// Every error names its subject: the entry, the blob, the file.
#[derive(Debug, thiserror::Error)]
pub enum ImageError {
    /// The image is broken or hostile; trying again changes nothing.
    #[error("the image is refused: {subject}: {reason}")]
    Refused {
        /// Entry, blob or document.
        subject: String,
        /// What is wrong with it.
        reason: String,
    },
    /// It does not fit.
    #[error("not enough space: at least {needed} bytes are needed, {available} may be used")]
    Space {
        /// Bytes known to be needed.
        needed: u64,
        /// Bytes free beyond the reserve.
        available: u64,
    },
    /// The registry cannot be reached, or went away; what has come is kept for the next attempt.
    #[error("{server}: {reason}")]
    Registry {
        /// Server.
        server: String,
        /// What happened.
        reason: String,
    },
    /// The machine's own files.
    #[error("{what}: {source}")]
    Io {
        /// What was being done, on what.
        what: String,
        /// Why not.
        source: io::Error,
    },
}

impl ImageError {
    /// A refusal.
    pub fn refused(subject: impl Into<String>, reason: impl Into<String>) -> Self {
        Self::Refused { subject: subject.into(), reason: reason.into() }
    }

    /// For `map_err`.
    pub fn io<E: Into<io::Error>>(what: impl Into<String>) -> impl FnOnce(E) -> Self {
        let what = what.into();
        move |error| Self::Io { what, source: error.into() }
    }
}
