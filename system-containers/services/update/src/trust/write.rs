//! The publisher's side: documents to signed files below a folder, as a server hands them out. Also what tests make hostile
//! releases with.

use super::document::{Channel, Root};
use super::envelope::{Envelope, Kind};
use super::key::SigningKey;
use crate::version::Version;
use serde::Serialize;
use std::io::{self, Write};
use std::path::Path;

/// `N.root.json`.
#[must_use]
pub fn root_path(version: u64) -> String {
    format!("{version}.root.json")
}

/// `channels/<name>.json`.
#[must_use]
pub fn channel_path(name: &str) -> String {
    format!("channels/{name}.json")
}

/// `releases/<version>/manifest.json`.
#[must_use]
pub fn manifest_path(version: &Version) -> String {
    format!("releases/{version}/manifest.json")
}

/// A document as the text of a signed file.
pub fn sign(kind: Kind, document: &impl Serialize, keys: &[&SigningKey]) -> io::Result<String> {
    let payload = serde_json::to_string(document)?;
    Ok(serde_json::to_string_pretty(&Envelope::sign(kind, payload, keys))? + "\n")
}

/// Writes `N.root.json`.
pub fn write_root(folder: &Path, root: &Root, keys: &[&SigningKey]) -> io::Result<()> {
    write(folder, &root_path(root.version), &sign(Kind::Root, root, keys)?)
}

/// Writes `channels/<name>.json`.
pub fn write_channel(folder: &Path, channel: &Channel, keys: &[&SigningKey]) -> io::Result<()> {
    write(folder, &channel_path(&channel.name), &sign(Kind::Channel, channel, keys)?)
}

/// The channel of a folder of one's own, unverified; an empty one where there is none.
pub fn read_channel(folder: &Path, name: &str) -> io::Result<Channel> {
    let bytes = match std::fs::read(folder.join(channel_path(name))) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Channel::new(name)),
        result => result?,
    };
    let envelope: Envelope = serde_json::from_slice(&bytes)?;
    Ok(serde_json::from_str(&envelope.payload)?)
}

/// Whole or not at all: servers hand the folder out while it changes.
fn write(folder: &Path, name: &str, text: &str) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    let path = folder.join(name);
    let parent = path.parent().unwrap_or(folder);
    std::fs::create_dir_all(parent)?;
    let mut file = tempfile::NamedTempFile::new_in(parent)?;
    file.write_all(text.as_bytes())?;
    file.as_file().set_permissions(std::fs::Permissions::from_mode(0o644))?;
    file.as_file().sync_all()?;
    file.persist(path)?;
    Ok(())
}
