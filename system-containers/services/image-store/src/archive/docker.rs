//! `docker save` before Docker 25: `manifest.json` names the configuration and the layers' tar files. Only the
//! configuration has a digest, in its name; the layers are checked against it when they are unpacked.

use super::oci::{Image, defaults, diff_ids, parse};
use super::{Archive, read};
use crate::digest::Digest;
use crate::error::ImageError;
use crate::layer::Layer;
use crate::limits::Limits;
use serde::Deserialize;

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Saved {
    config: String,
    layers: Vec<String>,
    #[serde(default)]
    repo_tags: Option<Vec<String>>,
}

/// Names given to the images.
pub(super) fn names(manifest: &[u8]) -> Vec<String> {
    let saved: Vec<Saved> = serde_json::from_slice(manifest).unwrap_or_default();
    saved.into_iter().flat_map(|one| one.repo_tags.unwrap_or_default()).collect()
}

pub(super) fn image(archive: &Archive, limits: &Limits) -> Result<Image, ImageError> {
    let name = "manifest.json";
    let mut saved: Vec<Saved> = parse(name, &archive.document(name, limits)?)?;
    let (Some(one), 0) = (saved.pop(), saved.len()) else {
        return Err(ImageError::refused(name, "one image is needed; save one"));
    };
    let configuration = read(&one.config, archive.member(&one.config)?, limits)?;
    let id = Digest::of(&configuration);
    let named = one.config.rsplit('/').next().unwrap_or_default().trim_end_matches(".json");
    if Digest::from_hex(named) != Some(id) {
        return Err(ImageError::refused(one.config, format!("its content has the digest {id}")));
    }
    let diff_ids = diff_ids(&one.config, &configuration, one.layers.len(), limits)?;
    let layer =
        |(name, diff_id): (&String, Digest)| Ok(Layer { blob: archive.member(name)?, name: name.clone(), diff_id });
    let layers = one.layers.iter().zip(diff_ids).map(layer).collect::<Result<_, ImageError>>()?;
    Ok(Image { digests: Vec::new(), id, layers, defaults: defaults(&configuration) })
}
