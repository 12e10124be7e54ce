//! One record of a log file.

use crate::clock::WallTime;
use serde::{Deserialize, Serialize};

/// Which pipe it came through.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Stream {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

impl Stream {
    /// The inverse of [`name`](Self::name).
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Stdout, Self::Stderr].into_iter().find(|stream| stream.name() == name)
    }

    /// As in the file.
    pub fn name(self) -> &'static str {
        match self {
            Self::Stdout => "stdout",
            Self::Stderr => "stderr",
        }
    }
}

/// A line, or a piece of a long one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Text without line break.
    pub text: String,
    /// A line break follows.
    pub complete: bool,
    /// Its pipe.
    pub stream: Stream,
    /// When the daemon read it.
    pub time: WallTime,
    /// syslog(3) level, 0 (emergency) to 7 (debug).
    pub priority: u8,
}

#[derive(Serialize, Deserialize)]
struct Record<'a> {
    #[serde(borrow)]
    log: std::borrow::Cow<'a, str>,
    stream: Stream,
    #[serde(borrow)]
    time: std::borrow::Cow<'a, str>,
    priority: u8,
}

impl Entry {
    /// The record with its line break.
    pub fn encode(&self) -> Vec<u8> {
        let log = if self.complete { format!("{}\n", self.text) } else { self.text.clone() };
        let record =
            Record { log: log.into(), stream: self.stream, time: self.time.rfc3339().into(), priority: self.priority };
        let mut bytes = serde_json::to_vec(&record).unwrap_or_default();
        bytes.push(b'\n');
        bytes
    }

    /// Reads a record; `None` for a torn one.
    pub fn decode(line: &[u8]) -> Option<Self> {
        let record: Record<'_> = serde_json::from_slice(line).ok()?;
        let time = WallTime::parse_rfc3339(&record.time)?;
        let (text, complete) = match record.log.strip_suffix('\n') {
            Some(text) => (text.to_owned(), true),
            None => (record.log.into_owned(), false),
        };
        Some(Self { text, complete, stream: record.stream, time, priority: record.priority })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_round_trip() {
        for (text, complete) in [("plain", true), ("quote \" and \u{1b} tab\t", true), ("", true), ("piece", false)] {
            let time = WallTime { seconds: 1_700_000_000, nanoseconds: 7 };
            let entry = Entry { text: text.into(), complete, stream: Stream::Stderr, time, priority: 3 };
            let bytes = entry.encode();
            assert_eq!(bytes.iter().filter(|byte| **byte == b'\n').count(), 1);
            assert_eq!(Entry::decode(&bytes), Some(entry));
        }
        assert_eq!(Entry::decode(b"{\"log\":\"torn"), None);
    }

    #[test]
    fn shape_is_the_documented_one() {
        let time = WallTime { seconds: 0, nanoseconds: 0 };
        let entry = Entry { text: "a".into(), complete: true, stream: Stream::Stdout, time, priority: 6 };
        assert_eq!(
            String::from_utf8(entry.encode()).unwrap(),
            "{\"log\":\"a\\n\",\"stream\":\"stdout\",\"time\":\"1970-01-01T00:00:00.000000000Z\",\"priority\":6}\n"
        );
    }
}
