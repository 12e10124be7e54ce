//! The documents. Fields nobody knows are passed over: later releases may add some.

use super::key::PublicKey;
use crate::digest::Digest;
use crate::verity::{BLOCK_BYTES, Geometry};
use crate::version::Version;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Of all documents.
pub(super) const FORMAT: u64 = 1;
/// Files every release has.
pub const FILES: [&str; 6] = ["root.erofs", "root.verity", "hull.efi", "vmlinuz", "initrd", "cmdline"];
/// What a release was made of; nothing on the host reads it.
pub const SBOM: &str = "sbom.spdx.json";

/// Who signs.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
pub struct Root {
    /// 1.
    pub format: u64,
    /// `root`.
    pub kind: String,
    /// One more than the root before.
    pub version: u64,
    /// When it was signed, seconds since 1970.
    pub signed: u64,
    /// Seconds since 1970.
    pub expires: u64,
    /// How many of `keys` have to sign the next root.
    pub threshold: u64,
    /// Keys for roots.
    pub keys: Vec<PublicKey>,
    /// How many of `release_keys` have to sign a channel.
    pub release_threshold: u64,
    /// Keys for channels.
    pub release_keys: Vec<PublicKey>,
}

/// What is released.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
pub struct Channel {
    /// 1.
    pub format: u64,
    /// `channel`.
    pub kind: String,
    /// As in `channels/<name>.json`.
    pub name: String,
    /// Grows with every change.
    pub version: u64,
    /// When it was signed, seconds since 1970.
    pub signed: u64,
    /// Seconds since 1970.
    pub expires: u64,
    /// In no particular order.
    pub releases: Vec<Release>,
}

/// One release in a channel.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
pub struct Release {
    /// Folder below `releases/`.
    pub version: Version,
    /// Seconds since 1970; waves count from here.
    pub published: u64,
    /// The least version that may update to it directly.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub minimum_from: Option<Version>,
    /// `releases/<version>/manifest.json`.
    pub manifest: Pinned,
    /// Who may take it when; empty: everyone at once.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub waves: Vec<Wave>,
    /// For people.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub notes: String,
}

/// A step of a release's way to all hosts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
pub struct Wave {
    /// After `published`.
    pub after_seconds: u64,
    /// Of all hosts, those of earlier waves among them.
    pub percent: u64,
}

/// A file whose bytes are known beforehand.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
pub struct Pinned {
    /// Of the whole file.
    pub sha256: Digest,
    /// Bytes.
    pub size: u64,
}

/// A file of a release.
pub type FileEntry = Pinned;

/// What a release consists of. Not signed: the channel pins it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
pub struct Manifest {
    /// 1.
    pub format: u64,
    /// `manifest`.
    pub kind: String,
    /// The release's.
    pub version: Version,
    /// Verity parameters of `root.erofs`.
    pub root: Geometry,
    /// By name; [`FILES`] are always there.
    pub files: BTreeMap<String, FileEntry>,
}

impl Root {
    /// A first root.
    #[must_use]
    pub fn new(signed: u64, expires: u64, keys: Vec<PublicKey>, release_keys: Vec<PublicKey>) -> Self {
        let kind = "root".to_owned();
        Self {
            format: FORMAT,
            kind,
            version: 1,
            signed,
            expires,
            threshold: 1,
            keys,
            release_threshold: 1,
            release_keys,
        }
    }
}

impl Channel {
    /// One without releases; the first to publish has version 1.
    #[must_use]
    pub fn new(name: &str) -> Self {
        let kind = "channel".to_owned();
        Self { format: FORMAT, kind, name: name.into(), version: 0, signed: 0, expires: 0, releases: Vec::new() }
    }

    /// The release of a version.
    #[must_use]
    pub fn release(&self, version: &Version) -> Option<&Release> {
        self.releases.iter().find(|release| release.version == *version)
    }

    /// The release of the highest version.
    #[must_use]
    pub fn newest(&self) -> Option<&Release> {
        self.releases.iter().max_by(|a, b| a.version.cmp(&b.version))
    }
}

impl Manifest {
    /// A manifest of these files.
    #[must_use]
    pub fn new(version: Version, root: Geometry, files: BTreeMap<String, FileEntry>) -> Self {
        Self { format: FORMAT, kind: "manifest".into(), version, root, files }
    }

    /// What is missing or does not fit together, in words.
    pub(super) fn fault(&self) -> Option<String> {
        if let Err(error) = self.root.check() {
            return Some(error.to_string());
        }
        if let Some(name) = FILES.iter().find(|name| !self.files.contains_key(**name)) {
            return Some(format!("has no file {name}"));
        }
        if let Some(name) = self.files.keys().find(|name| !is_name(name)) {
            return Some(format!("has a file with the name {name:?}"));
        }
        let sizes = [("root.erofs", self.root.data_blocks), ("root.verity", self.root.tree_blocks())];
        sizes.into_iter().find_map(|(name, blocks)| {
            let (found, needed) = (self.files[name].size, blocks * BLOCK_BYTES);
            (found != needed).then(|| format!("gives {name} {found} bytes, by its verity parameters it has {needed}"))
        })
    }
}

/// Part of a URL and of a path on the ESP: letters, digits and what joins them, no hidden file, no way up.
pub(super) fn is_name(name: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    !name.is_empty() && name.len() <= 64 && !name.starts_with('.') && name.bytes().all(is_plain)
}
