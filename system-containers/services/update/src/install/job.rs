//! What the system daemon asks of the install service; the answer is `crate::job::Line`, done is nothing more to say.

use crate::digest::Digest;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::path::PathBuf;

/// The service that carries out jobs.
pub const SERVICE: &str = "install";
/// Bytes a disk has at least: partitions of the image, a second slot of 1 GiB, 1 GiB for state.
pub const LEAST_BYTES: u64 = 3600 << 20;

/// One job.
#[derive(Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Request {
    /// Node of the whole disk that is written.
    pub disk: PathBuf,
    /// Node with the running root, its hash tree, and [`super::head`] behind them.
    pub root: PathBuf,
    /// Digest of the top of the tree.
    pub root_hash: Digest,
    /// Length of the root in 4096-byte blocks.
    pub data_blocks: u64,
    /// For the first boot.
    pub user_data: Option<String>,
}

impl fmt::Debug for Request {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        // User data may hold secrets.
        let Self { disk, root, root_hash, data_blocks, user_data } = self;
        let bytes = user_data.as_ref().map_or(0, String::len);
        write!(formatter, "Request({disk:?} from {root:?}, {root_hash:?}, {data_blocks} blocks, {bytes} bytes)")
    }
}
