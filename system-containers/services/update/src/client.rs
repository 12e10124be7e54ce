//! The server of releases: any HTTP server of static files. It is not trusted; what it says is checked by
//! [`crate::trust`], by digests and by the hash tree. Whether it has TLS matters for what others learn only.
//!
//! | module | what |
//! |---|---|
//! | `get` | requests, redirects, ranges |
//! | `file` | whole files, resumed where they broke off |
//! | `attempts` | how often |

mod attempts;
mod error;
mod file;
mod get;

pub(crate) use attempts::{ATTEMPTS, Attempts, PAUSE};
pub use error::ClientError;
pub use get::Part;

use crate::trust::{
    Channel, MAX_CHANNEL, MAX_MANIFEST, MAX_ROOT, Manifest, Release, Root, Seen, Time, TrustError, channel,
    channel_path, manifest, manifest_path, next_root, root_path,
};
use hull_http::{Connector, Limits, Rate, Url};
use std::io::Read;
use std::path::PathBuf;
use std::time::Duration;

/// Roots fetched in a row: a publisher that changes keys every month is followed for eighty years.
const MAX_ROOTS: u64 = 1024;
/// A server of releases.
#[derive(Debug)]
pub struct Client {
    base: Url,
    connector: Connector,
    pause: Duration,
}

impl Client {
    /// `base` is the URL of the folder with `1.root.json`; `roots` is a PEM file, or a folder of them, with the authorities
    /// trusted for TLS.
    pub fn new(base: &str, roots: PathBuf, limits: Limits) -> Result<Self, ClientError> {
        let base = base.parse().map_err(|reason| ClientError::Url { reason })?;
        Ok(Self { base, connector: Connector::new(roots, limits), pause: PAUSE })
    }

    /// Waits this long before a second attempt on a file, and doubles it from there.
    #[must_use]
    pub fn with_pause(self, pause: Duration) -> Self {
        Self { pause, ..self }
    }

    /// Limits for updates: nobody waits for one, but a server that drips shall not hold it for ever.
    #[must_use]
    pub fn limits() -> Limits {
        Limits { rate: Some(Rate::SLOWEST), ..Limits::default() }
    }

    /// Follows the roots behind `trusted` up to the newest. That one still has to be checked by
    /// [`crate::trust::check_root`]; it is not here, as one that expired may have a successor on another server.
    pub fn fetch_root_chain(&self, trusted: Root) -> Result<Root, ClientError> {
        let mut root = trusted;
        for _ in 0..MAX_ROOTS {
            match self.document(&root_path(root.version.saturating_add(1)), MAX_ROOT) {
                Ok(bytes) => root = next_root(&root, &bytes)?,
                Err(ClientError::Status { status: 404 | 410, .. }) => return Ok(root),
                Err(error) => return Err(error),
            }
        }
        Err(ClientError::Roots { url: self.base.to_string(), limit: MAX_ROOTS })
    }

    /// The channel `name`, checked.
    pub fn fetch_channel(&self, root: &Root, name: &str, time: Time, seen: &Seen) -> Result<Channel, ClientError> {
        crate::trust::check_name(name)?;
        let bytes = self.document(&channel_path(name), MAX_CHANNEL)?;
        Ok(channel(root, name, &bytes, time, seen)?)
    }

    /// The manifest of a release, checked.
    pub fn fetch_manifest(&self, release: &Release) -> Result<Manifest, ClientError> {
        let limit = release.manifest.size.min(MAX_MANIFEST);
        let bytes = self.document(&manifest_path(&release.version), limit)?;
        Ok(manifest(release, &bytes)?)
    }

    /// A document of at most `limit` bytes.
    fn document(&self, path: &str, limit: u64) -> Result<Vec<u8>, ClientError> {
        let oversized = || TrustError::Oversized { file: path.into(), limit };
        let (url, mut response) = self.ask(path, None)?;
        if response.status != 200 {
            return Err(ClientError::Status { url: url.to_string(), status: response.status });
        }
        let announced = response.header("content-length").and_then(|text| text.parse::<u64>().ok());
        if announced.is_some_and(|length| length > limit) {
            return Err(oversized().into());
        }
        let mut bytes = Vec::new();
        // One byte more than allowed tells a document that is too long from one that just fits.
        let read = response.by_ref().take(limit + 1).read_to_end(&mut bytes);
        read.map_err(|source| ClientError::Connection { url: url.to_string(), source })?;
        if bytes.len() as u64 > limit {
            return Err(oversized().into());
        }
        Ok(bytes)
    }
}
