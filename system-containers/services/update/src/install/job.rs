//! What the system daemon asks of the install service; the answer is `crate::job::Line`, done is nothing more to say.

use crate::digest::Digest;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// The service that carries out jobs.
pub const SERVICE: &str = "install";
/// Bytes a disk has at least: partitions of the image, a second slot of 1 GiB, 1 GiB for state.
pub const LEAST_BYTES: u64 = 3600 << 20;

/// One job.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
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
}
