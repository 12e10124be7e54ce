//! Where an unpacked image came from: a file of its directory.
//!
//! ```text
//! <directory>/
//!   service.toml     the definition
//!   origin.json      this
//!   inventory        list of rootfs/, see `inventory`
//!   seccomp.bpf      compiled system call filter
//!   seccomp.calls    names of the calls it lets through
//!   rootfs/
//! ```

use crate::digest::Digest;
use serde::{Deserialize, Serialize};

/// The definition's file.
pub const DEFINITION_FILE: &str = "service.toml";
/// The file of an [`Origin`].
pub const ORIGIN_FILE: &str = "origin.json";
/// The inventory's file.
pub const INVENTORY_FILE: &str = "inventory";
/// The compiled filter's file.
pub const FILTER_FILE: &str = "seccomp.bpf";
/// The unpacked image.
pub const ROOT: &str = "rootfs";

/// Where an image came from and what it is.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Origin {
    /// The reference, or the archive's file name.
    pub source: String,
    /// Digest of the image's manifest or index; none for archives of Docker before version 25.
    pub digest: Option<Digest>,
    /// Digest of the image's configuration, Docker's image id.
    pub id: Digest,
    /// Digest of the definition's text.
    pub definition: Digest,
    /// Digest of the compiled filter.
    pub filter: Digest,
    /// Digest of the inventory.
    pub inventory: Digest,
    /// Bytes on the disk, in blocks of 4 KiB.
    pub bytes: u64,
    /// Files, directories and links.
    pub entries: u64,
}
