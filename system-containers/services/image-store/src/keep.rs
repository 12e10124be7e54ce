//! An image kept as an archive: everything in it checked, nothing unpacked.

use crate::archive::{Archive, oci};
use crate::digest::Digest;
use crate::error::ImageError;
use crate::import::Source;
use crate::incoming::{Incoming, Staging};
use crate::job::{ARCHIVE_FILE, STORED_FILE, Stored};
use crate::limits::Limits;
use crate::section::Section;
use serde_json::json;
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::Path;

/// Mode of every member of an archive that is written here.
const MEMBER_MODE: u32 = 0o644;

/// Checks an image and leaves it as an archive in a new staging directory. An archive is moved there; an image of a
/// registry is written as an OCI image layout.
///
/// # Errors
/// See [`ImageError`].
pub fn keep(
    incoming: &Incoming,
    source: &Source,
    limits: Limits,
    report: &dyn Fn(String),
) -> Result<(Staging, Stored), ImageError> {
    let staging = incoming.stage()?;
    let place = staging.path().join(ARCHIVE_FILE);
    let (image, names) = match source {
        Source::Archive(path) => {
            report("checking the archive".into());
            let archive = Archive::open(path)?;
            let image = archive.image(&limits)?;
            fs::rename(path, &place).map_err(ImageError::io(path.display().to_string()))?;
            (image, archive.names(&limits))
        }
        Source::Registry(reference, client) => {
            let puller = client.puller(reference, incoming.blobs()?, limits, incoming.available()?, report);
            let image = oci::from_digest(reference.digest, None, &puller, &limits)?;
            report("writing the archive".into());
            let needed = image.stored();
            let available = incoming.available()?;
            if needed > available {
                return Err(ImageError::Space { needed, available });
            }
            pack(&place, reference.digest, puller.fetched())?;
            incoming.clear_blobs()?;
            (image, Vec::new())
        }
    };
    // The digests of layers in archives of older Docker are of what is inside: nothing is kept that cannot be unpacked.
    image.check_layers(&limits)?;
    let what = || ImageError::io::<io::Error>(place.display().to_string());
    let file = File::open(&place).map_err(what())?;
    let bytes = file.metadata().map_err(what())?.len();
    file.sync_all().map_err(what())?;
    let stored =
        Stored { id: image.id, digest: image.digests.first().copied(), names, bytes, defaults: image.defaults };
    let path = staging.path().join(STORED_FILE);
    let text =
        serde_json::to_vec_pretty(&stored).map_err(|error| ImageError::io(STORED_FILE)(io::Error::from(error)))?;
    let written = File::create_new(&path).and_then(|mut file| file.write_all(&text).and_then(|()| file.sync_all()));
    // The names of both files as well.
    let synced = written.and_then(|()| File::open(staging.path())?.sync_all());
    synced.map_err(ImageError::io(path.display().to_string()))?;
    Ok((staging, stored))
}

/// Writes an OCI image layout (image specification, image-layout.md) with the blobs and an index that names `first`.
fn pack(place: &Path, first: Digest, blobs: Vec<(Digest, Section)>) -> Result<(), ImageError> {
    let what = || ImageError::io::<io::Error>(place.display().to_string());
    let mut archive = tar::Builder::new(File::create_new(place).map_err(what())?);
    let mut add = |name: String, size: u64, content: &mut dyn Read| {
        let mut header = tar::Header::new_ustar();
        header.set_size(size);
        header.set_mode(MEMBER_MODE);
        header.set_uid(0);
        header.set_gid(0);
        header.set_mtime(0);
        archive.append_data(&mut header, name, content).map_err(what())
    };
    let mut manifest = Vec::new();
    let mut seen = Vec::new();
    for (digest, mut section) in blobs {
        if seen.contains(&digest) {
            continue;
        }
        seen.push(digest);
        if digest == first {
            section.clone().read_to_end(&mut manifest).map_err(what())?;
        }
        add(format!("blobs/sha256/{}", digest.hex()), section.length(), &mut section)?;
    }
    let parsed: serde_json::Value = serde_json::from_slice(&manifest).unwrap_or_default();
    let kind = parsed["mediaType"].as_str().unwrap_or("application/vnd.oci.image.manifest.v1+json");
    let descriptor = json!({ "mediaType": kind, "digest": first.to_string(), "size": manifest.len() });
    for (name, document) in [
        ("index.json", json!({ "schemaVersion": 2, "manifests": [descriptor] })),
        ("oci-layout", json!({ "imageLayoutVersion": "1.0.0" })),
    ] {
        let text = document.to_string();
        add(name.into(), text.len() as u64, &mut text.as_bytes())?;
    }
    archive.into_inner().and_then(|file| file.sync_all()).map_err(what())
}
