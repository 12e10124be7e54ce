//! Metadata against what is trusted and what was seen. Pure; whoever calls keeps what was seen.

use super::document::{Channel, FORMAT, Manifest, Release, Root, is_name};
use super::envelope::{Envelope, Kind};
use super::error::{Clock, Stamp, TrustError};
use super::key::PublicKey;
use super::write::{channel_path, manifest_path, root_path};
use crate::digest::Digest;
use crate::version::Version;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// Bytes of a root: hundreds of keys.
pub const MAX_ROOT: u64 = 64 << 10;
/// Bytes of a channel: thousands of releases.
pub const MAX_CHANNEL: u64 = 1 << 20;
/// Bytes of a manifest.
pub const MAX_MANIFEST: u64 = 1 << 20;

/// What a host remembers of metadata it took, so that nobody shows it older ones.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default)]
pub struct Seen {
    /// Of the newest root.
    pub root_version: u64,
    /// Of the newest state of the channel.
    pub channel_version: u64,
    /// The highest version that passed its gate here.
    pub highest_blessed: Option<Version>,
    /// Of the newest document, seconds since 1970.
    pub last_signed_time: u64,
}

/// How late it is at least.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Time {
    clock: Clock,
}

/// The time by the host's clock, seconds since 1970, where it has one. It is never earlier than the newest signature that was
/// seen: a host whose battery is empty begins in 1970 and yet takes no metadata that expired before.
#[must_use]
pub fn time(now: Option<u64>, seen: &Seen) -> Time {
    Time { clock: Clock { says: now, signed: seen.last_signed_time } }
}

impl Time {
    /// Seconds since 1970.
    #[must_use]
    pub fn seconds(self) -> u64 {
        self.clock.says.unwrap_or(0).max(self.clock.signed)
    }

    fn check(self, file: &str, expires: u64) -> Result<(), TrustError> {
        if self.seconds() < expires {
            return Ok(());
        }
        Err(TrustError::Expired { file: file.into(), expires: Stamp(expires), clock: self.clock })
    }
}

impl Seen {
    /// Remembers a root and, where there is one, a channel.
    pub fn note(&mut self, root: &Root, channel: Option<&Channel>) {
        self.root_version = self.root_version.max(root.version);
        self.last_signed_time = self.last_signed_time.max(root.signed);
        if let Some(channel) = channel {
            self.channel_version = self.channel_version.max(channel.version);
            self.last_signed_time = self.last_signed_time.max(channel.signed);
        }
    }

    /// Remembers that a version ran well.
    pub fn bless(&mut self, version: &Version) {
        if self.highest_blessed.as_ref().is_none_or(|highest| highest < version) {
            self.highest_blessed = Some(version.clone());
        }
    }
}

/// The root that came with the image; believed, as the image is. Its expiry is that of the chain's end.
pub fn anchor(file: &str, bytes: &[u8]) -> Result<Root, TrustError> {
    let envelope = Envelope::parse(file, bytes, MAX_ROOT)?;
    let root = read_root(file, &envelope)?;
    signed(file, &envelope, Kind::Root, &root.keys, root.threshold, "root keys it names itself")?;
    Ok(root)
}

/// The root behind `trusted`: signed by the keys trusted so far, and by its own so that nobody publishes a root whose keys
/// are lost.
pub fn next_root(trusted: &Root, bytes: &[u8]) -> Result<Root, TrustError> {
    let expected = trusted.version.saturating_add(1);
    let file = root_path(expected);
    let envelope = Envelope::parse(&file, bytes, MAX_ROOT)?;
    signed(&file, &envelope, Kind::Root, &trusted.keys, trusted.threshold, "root keys")?;
    let root = read_root(&file, &envelope)?;
    if root.version != expected {
        return Err(TrustError::RootVersion { file, found: root.version, expected });
    }
    signed(&file, &envelope, Kind::Root, &root.keys, root.threshold, "root keys it names itself")?;
    Ok(root)
}

/// Whether the last root of a chain counts: not expired, and not older than one that was seen.
pub fn check_root(root: &Root, time: Time, seen: &Seen) -> Result<(), TrustError> {
    let file = root_path(root.version);
    if root.version < seen.root_version {
        return Err(TrustError::Replayed { file, found: root.version, seen: seen.root_version });
    }
    time.check(&file, root.expires)
}

/// The channel `name`.
pub fn channel(root: &Root, name: &str, bytes: &[u8], time: Time, seen: &Seen) -> Result<Channel, TrustError> {
    check_name(name)?;
    let file = channel_path(name);
    let envelope = Envelope::parse(&file, bytes, MAX_CHANNEL)?;
    signed(&file, &envelope, Kind::Channel, &root.release_keys, root.release_threshold, "release keys")?;
    let channel: Channel = read(&file, &envelope.payload, Kind::Channel.as_str())?;
    if channel.name != name {
        return Err(TrustError::ChannelName { file, found: channel.name, expected: name.into() });
    }
    let mut versions = BTreeSet::new();
    if let Some(twice) = channel.releases.iter().find(|release| !versions.insert(&release.version)) {
        return Err(malformed(&file, format!("release {} is in it twice", twice.version)));
    }
    if channel.version < seen.channel_version {
        return Err(TrustError::Replayed { file, found: channel.version, seen: seen.channel_version });
    }
    time.check(&file, channel.expires)?;
    Ok(channel)
}

/// The manifest of a release.
pub fn manifest(release: &Release, bytes: &[u8]) -> Result<Manifest, TrustError> {
    let file = manifest_path(&release.version);
    if bytes.len() as u64 > MAX_MANIFEST {
        return Err(TrustError::Oversized { file, limit: MAX_MANIFEST });
    }
    let mixed = |what: String| TrustError::Mixed { file: file.clone(), what };
    if bytes.len() as u64 != release.manifest.size {
        return Err(mixed(format!("has {} bytes, the channel says {}", bytes.len(), release.manifest.size)));
    }
    let digest = Digest::of(bytes);
    if digest != release.manifest.sha256 {
        return Err(mixed(format!("has the digest {digest}, the channel says {}", release.manifest.sha256)));
    }
    let text = std::str::from_utf8(bytes).map_err(|error| malformed(&file, error.to_string()))?;
    let manifest: Manifest = read(&file, text, "manifest")?;
    if manifest.version.as_str() != release.version.as_str() {
        return Err(mixed(format!("is that of {}, the channel says {}", manifest.version, release.version)));
    }
    match manifest.fault() {
        Some(what) => Err(malformed(&file, what)),
        None => Ok(manifest),
    }
}

fn read_root(file: &str, envelope: &Envelope) -> Result<Root, TrustError> {
    let root: Root = read(file, &envelope.payload, Kind::Root.as_str())?;
    for (keys, threshold, what) in
        [(&root.keys, root.threshold, "root"), (&root.release_keys, root.release_threshold, "release")]
    {
        let distinct = keys.iter().collect::<BTreeSet<_>>().len() as u64;
        if threshold == 0 || threshold > distinct {
            return Err(malformed(file, format!("{threshold} of {distinct} {what} keys cannot sign")));
        }
    }
    Ok(root)
}

fn signed(
    file: &str,
    envelope: &Envelope,
    kind: Kind,
    keys: &[PublicKey],
    needed: u64,
    whose: &'static str,
) -> Result<(), TrustError> {
    let found = envelope.signers(kind, keys);
    // A threshold of nothing would trust everyone.
    if found >= needed.max(1) {
        return Ok(());
    }
    Err(TrustError::Signatures { file: file.into(), found, needed, keys: whose })
}

/// Format and kind come first: what follows may be different in another format.
fn read<T: DeserializeOwned>(file: &str, text: &str, kind: &str) -> Result<T, TrustError> {
    #[derive(Deserialize)]
    struct Head {
        format: u64,
        kind: String,
    }
    let fault = |error: serde_json::Error| malformed(file, error.to_string());
    let head: Head = serde_json::from_str(text).map_err(fault)?;
    if head.format != FORMAT {
        return Err(malformed(file, format!("its format is {}, this host knows {FORMAT}", head.format)));
    }
    if head.kind != kind {
        return Err(malformed(file, format!("it is a {:?}, not a {kind}", head.kind)));
    }
    serde_json::from_str(text).map_err(fault)
}

fn malformed(file: &str, what: String) -> TrustError {
    TrustError::Malformed { file: file.into(), what }
}

/// Whether a channel's name can be asked for.
pub fn check_name(name: &str) -> Result<(), TrustError> {
    if is_name(name) {
        Ok(())
    } else {
        Err(malformed(&channel_path(name), format!("{name:?} is no name of a channel")))
    }
}
