//! Whether a service is still what was added: every file of its image, its definition and its filter.
//!
//! This finds what a disk or a person changed. Somebody who can write to the state partition while the machine is off can
//! change the record as well: against that the partition is to be encrypted.

use super::store;
use hull_image_store::inventory::{self, VerifyError};
use hull_image_store::origin::{DEFINITION_FILE, FILTER_FILE, INVENTORY_FILE, ROOT};
use hull_image_store::{Digest, Origin};
use std::fs;
use std::io;
use std::path::Path;

/// Why a service is not started.
#[derive(Debug, thiserror::Error)]
pub enum Damage {
    /// The record or a file of ours.
    #[error("it cannot be verified: {0}")]
    Unreadable(#[from] io::Error),
    /// A file of ours is not the one in the record.
    #[error("its {0} is not the one that was added")]
    Changed(&'static str),
    /// The image.
    #[error("its image was changed: {0}")]
    Image(#[from] VerifyError),
}

/// Compares everything in a service's folder with its record. Reads the whole image.
///
/// # Errors
/// The first difference found.
pub fn verify(folder: &Path) -> Result<(), Damage> {
    let origin = store::origin(folder)?;
    compare(folder, DEFINITION_FILE, origin.definition)?;
    compare(folder, FILTER_FILE, origin.filter)?;
    let Origin { inventory: expected, .. } = origin;
    Ok(inventory::verify(&folder.join(ROOT), &folder.join(INVENTORY_FILE), expected)?)
}

fn compare(folder: &Path, file: &'static str, expected: Digest) -> Result<(), Damage> {
    let path = folder.join(file);
    let content =
        fs::read(&path).map_err(|error| io::Error::new(error.kind(), format!("{}: {error}", path.display())))?;
    if Digest::of(&content) == expected { Ok(()) } else { Err(Damage::Changed(file)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_change_is_found() {
        for (changed, part) in [
            (None, ""),
            (Some("service.toml"), "service.toml is not the one"),
            (Some("seccomp.bpf"), "seccomp.bpf is not the one"),
            (Some("inventory"), "the inventory was changed"),
            (Some("rootfs/app"), "app is not what was added"),
            (Some("origin.json"), "origin.json"),
        ] {
            let folder = tempfile::tempdir().unwrap();
            fs::create_dir(folder.path().join(ROOT)).unwrap();
            fs::write(folder.path().join("rootfs/app"), "app").unwrap();
            let list = inventory::scan(&folder.path().join(ROOT)).unwrap();
            let digest = Digest::of(b"x");
            let origin = Origin {
                source: "x.tar".into(),
                digest: None,
                id: digest,
                definition: digest,
                filter: digest,
                inventory: Digest::of(list.as_bytes()),
                bytes: 0,
                entries: 1,
            };
            for (file, content) in [
                ("service.toml", "x".to_owned()),
                ("seccomp.bpf", "x".to_owned()),
                ("inventory", list),
                ("origin.json", serde_json::to_string(&origin).unwrap()),
            ] {
                fs::write(folder.path().join(file), content).unwrap();
            }
            if let Some(file) = changed {
                fs::write(folder.path().join(file), "changed").unwrap();
            }
            let found = verify(folder.path()).map_err(|damage| damage.to_string());
            assert_eq!(found.is_ok(), changed.is_none(), "{found:?}");
            assert!(found.is_ok() || found.as_ref().unwrap_err().contains(part), "{changed:?}: {found:?}");
        }
    }
}
