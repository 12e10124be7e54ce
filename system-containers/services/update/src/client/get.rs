//! Requests, redirects, ranges.

use super::{Client, ClientError};
use hull_http::{Response, Url};
use std::fmt;
use std::io::Read;
use std::ops::Range;

/// Redirects in a row: a mirror's and a content network's.
const REDIRECTS: usize = 3;

/// The part of a file that was asked for, or the whole file from a server that does not know ranges.
pub struct Part {
    /// The whole file.
    pub is_whole: bool,
    /// The bytes; may break off.
    pub body: Box<dyn Read>,
}

impl fmt::Debug for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Part").field("is_whole", &self.is_whole).finish_non_exhaustive()
    }
}

impl Client {
    /// Bytes of a file below the base URL; the range is not empty. With `u64::MAX` as its end it goes to the file's.
    pub fn fetch_part(&self, path: &str, range: Range<u64>) -> Result<Part, ClientError> {
        let (url, response) = self.ask(path, Some(range.clone()))?;
        let starts_there = |text: &str| text.starts_with(&format!("bytes {}-", range.start));
        match response.status {
            206 if response.header("content-range").is_some_and(starts_there) => {
                Ok(Part { is_whole: false, body: Box::new(response) })
            }
            200 => Ok(Part { is_whole: true, body: Box::new(response) }),
            206 => Err(ClientError::Range { url: url.to_string() }),
            status => Err(ClientError::Status { url: url.to_string(), status }),
        }
    }

    /// The answer of whoever redirects lead to, and its URL.
    pub(super) fn ask(&self, path: &str, range: Option<Range<u64>>) -> Result<(Url, Response), ClientError> {
        let range = range.map(|range| match range.end {
            u64::MAX => format!("bytes={}-", range.start),
            end => format!("bytes={}-{}", range.start, end.saturating_sub(1)),
        });
        let headers: Vec<(&str, &str)> = range.iter().map(|range| ("Range", range.as_str())).collect();
        let mut at = self.base.clone();
        at.path = format!("{}/{path}", at.path.trim_end_matches('/'));
        for _ in 0..=REDIRECTS {
            let response = self.connector.get(&at, &headers);
            let response = response.map_err(|source| ClientError::Connection { url: at.to_string(), source })?;
            if !matches!(response.status, 301 | 302 | 303 | 307 | 308) {
                return Ok((at, response));
            }
            let refused = |reason: String| ClientError::Redirect { url: at.to_string(), reason };
            let target = response.header("location").ok_or_else(|| refused("it redirects to nowhere".into()))?;
            let next = at.join(target).map_err(|reason| refused(format!("it redirects elsewhere: {reason}")))?;
            if at.tls && !next.tls {
                return Err(refused(format!("it redirects from TLS to {next}")));
            }
            at = next;
        }
        Err(ClientError::Redirect { url: at.to_string(), reason: format!("more than {REDIRECTS} redirects in a row") })
    }
}
