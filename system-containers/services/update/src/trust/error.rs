//! Why metadata are refused. Every message names the document, the fact and what to do about it.

use crate::version::Version;
use std::fmt;

/// Metadata that are not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TrustError {
    /// Not the document it should be.
    #[error("{file} is no metadata of this format: {what}; the server's publisher has to look at it")]
    Malformed {
        /// Document.
        file: String,
        /// What is wrong with it.
        what: String,
    },
    /// Too few sound signatures.
    #[error(
        "{file} has {found} of {needed} signatures needed from the {keys} that are trusted: it is forged, or signed with \
         keys this host does not know; publish the roots in between, or install an image that trusts its keys"
    )]
    Signatures {
        /// Document.
        file: String,
        /// Keys that signed.
        found: u64,
        /// Keys that have to sign.
        needed: u64,
        /// Whose keys count.
        keys: &'static str,
    },
    /// Its time is over.
    #[error(
        "{file} expired at {expires}: {clock}; if the clock is right, the publisher has to sign it anew, or the server \
         is held back by someone; if it is wrong, set it (time servers are in user data, key ntp)"
    )]
    Expired {
        /// Document.
        file: String,
        /// When, in UTC.
        expires: Stamp,
        /// What is held against it.
        clock: Clock,
    },
    /// Older than one that was seen.
    #[error(
        "{file} has version {found}, this host has seen {seen} already: the server is out of date or replays old metadata; \
         use another server, or try again when it is up to date"
    )]
    Replayed {
        /// Document.
        file: String,
        /// Its version.
        found: u64,
        /// The highest seen.
        seen: u64,
    },
    /// A root that does not follow the one before.
    #[error(
        "{file} has version {found} where {expected} follows: the server mixes up its roots; its publisher has to look at it"
    )]
    RootVersion {
        /// Document.
        file: String,
        /// Its version.
        found: u64,
        /// The one that has to follow.
        expected: u64,
    },
    /// Another channel than asked for.
    #[error(
        "{file} is the channel \"{found}\", not \"{expected}\": the server mixes up its files; its publisher has to look at it"
    )]
    ChannelName {
        /// Document.
        file: String,
        /// Name inside.
        found: String,
        /// Name asked for.
        expected: String,
    },
    /// A release the channel does not have.
    #[error("channel \"{channel}\" has no release {version}; it has {known}")]
    NoRelease {
        /// Channel.
        channel: String,
        /// Wanted.
        version: Version,
        /// What there is.
        known: String,
    },
    /// Older than a version that ran well here.
    #[error(
        "release {version} is older than {blessed}, which has run well here: holes mended since are open in it; --force takes it nevertheless"
    )]
    Downgrade {
        /// Wanted.
        version: Version,
        /// The highest that passed its gate.
        blessed: Version,
    },
    /// Not from the version that runs.
    #[error("release {version} can be taken from {minimum} on, and {running} runs: update to {first} first")]
    MinimumFrom {
        /// Wanted.
        version: Version,
        /// The least that has to run.
        minimum: Version,
        /// What runs.
        running: Version,
        /// What to go to first.
        first: Version,
    },
    /// Not what the channel pins.
    #[error(
        "{file} {what}: the server mixes releases or forges them; its publisher has to look at it, or use another server"
    )]
    Mixed {
        /// Document.
        file: String,
        /// What differs.
        what: String,
    },
    /// Larger than a document may be.
    #[error("{file} has more than the {limit} bytes it may have: the server sends something else; use another server")]
    Oversized {
        /// Document.
        file: String,
        /// Bytes.
        limit: u64,
    },
}

/// Seconds since 1970, shown as a date in UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Stamp(pub u64);

/// What an expiry was held against.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Clock {
    /// Seconds since 1970 by the host's clock, where it has one.
    pub says: Option<u64>,
    /// The time of the newest signature seen, which is at least how late it is.
    pub signed: u64,
}

impl fmt::Display for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.says {
            Some(says) if says >= self.signed => write!(f, "the clock of this host says {}", Stamp(says)),
            Some(says) => write!(
                f,
                "the clock of this host says {}, but metadata seen before were signed at {}",
                Stamp(says),
                Stamp(self.signed)
            ),
            None => write!(f, "metadata seen before were signed at {}", Stamp(self.signed)),
        }
    }
}

impl Stamp {
    /// As ISO 8601 and RFC 3339 write it: `2027-01-15T08:00:00Z`.
    #[must_use]
    pub fn rfc3339(self) -> String {
        let seconds = self.0 % 86400;
        format!("{}T{:02}:{:02}:{:02}Z", self.date(), seconds / 3600, seconds / 60 % 60, seconds % 60)
    }

    /// Days to a date of the Gregorian calendar, eras of 400 years that begin on 1 March (Howard Hinnant,
    /// "chrono-Compatible Low-Level Date Algorithms").
    fn date(self) -> String {
        let shifted = self.0 / 86400 + 719_468;
        let (era, day) = (shifted / 146_097, shifted % 146_097);
        let year = (day - day / 1460 + day / 36524 - day / 146_096) / 365;
        let of_year = day - (365 * year + year / 4 - year / 100);
        let month = (5 * of_year + 2) / 153;
        let (of_month, month) = (of_year - (153 * month + 2) / 5 + 1, if month < 10 { month + 3 } else { month - 9 });
        let year = year + era * 400 + u64::from(month <= 2);
        format!("{year:04}-{month:02}-{of_month:02}")
    }
}

impl fmt::Display for Stamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.0 % 86400;
        write!(f, "{} {:02}:{:02} UTC", self.date(), seconds / 3600, seconds / 60 % 60)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stamps_are_dates() {
        for (seconds, text) in [
            (0, "1970-01-01 00:00 UTC"),
            (951_782_400, "2000-02-29 00:00 UTC"),
            (1_704_067_199, "2023-12-31 23:59 UTC"),
            (4_107_542_400, "2100-03-01 00:00 UTC"),
        ] {
            assert_eq!(Stamp(seconds).to_string(), text);
        }
        assert_eq!(Stamp(1_704_067_199).rfc3339(), "2023-12-31T23:59:59Z");
        // A number from a document, however large, is shown.
        assert!(Stamp(u64::MAX).to_string().ends_with("UTC"));
    }
}
