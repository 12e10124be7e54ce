//! Documents of the OCI image specification: index, manifest, configuration; Docker's schema 2 has the same shapes.

use super::{Blobs, Kind, read};
use crate::digest::Digest;
use crate::error::ImageError;
use crate::job::Defaults;
use crate::layer::Layer;
use crate::limits::Limits;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use std::collections::BTreeMap;

/// Annotation of a descriptor with the image's whole name, as containerd and Docker write it.
const NAME: &str = "io.containerd.image.name";
/// Indexes within indexes.
const MAX_INDEXES: usize = 3;

/// What is known of an image before its layers are unpacked.
#[derive(Debug)]
pub(crate) struct Image {
    /// Digests a reference may name: of the manifest and of the indexes above it; none for older docker archives.
    pub(crate) digests: Vec<Digest>,
    /// Digest of the configuration, Docker's image id.
    pub(crate) id: Digest,
    /// From the lowest to the highest.
    pub(crate) layers: Vec<Layer>,
    /// About its program.
    pub(crate) defaults: Defaults,
}

impl Image {
    /// Bytes of all layers as they are stored.
    pub(crate) fn stored(&self) -> u64 {
        self.layers.iter().map(|layer| layer.blob.length()).sum()
    }

    /// Checks what is inside the layers.
    pub(crate) fn check_layers(&self, limits: &Limits) -> Result<(), ImageError> {
        self.layers.iter().try_for_each(|layer| crate::layer::check(layer, limits))
    }
}

#[derive(Debug, Deserialize)]
struct Index {
    manifests: Vec<Descriptor>,
}

/// A reference to a blob.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Descriptor {
    digest: String,
    size: u64,
    platform: Option<Platform>,
    #[serde(default)]
    annotations: BTreeMap<String, String>,
}

#[derive(Debug, Clone, Deserialize)]
struct Platform {
    architecture: String,
    os: String,
}

#[derive(Debug, Deserialize)]
struct Manifest {
    config: Descriptor,
    layers: Vec<Descriptor>,
}

#[derive(Debug, Deserialize)]
struct Configuration {
    architecture: String,
    os: String,
    rootfs: RootFs,
    config: Option<Config>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Config {
    entrypoint: Option<Vec<String>>,
    cmd: Option<Vec<String>>,
    env: Option<Vec<String>>,
    working_dir: String,
    user: String,
}

#[derive(Debug, Deserialize)]
struct RootFs {
    diff_ids: Vec<String>,
}

/// Either document that a digest may name.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Document {
    Manifest(Manifest),
    Index(Index),
}

/// Names an index document gives.
pub(super) fn names(index: &[u8]) -> Vec<String> {
    let index = serde_json::from_slice(index).unwrap_or(Index { manifests: Vec::new() });
    index.manifests.into_iter().filter_map(|mut manifest| manifest.annotations.remove(NAME)).collect()
}

/// The image of an index document that has no digest of its own.
pub(crate) fn from_index(index: &[u8], blobs: &impl Blobs, limits: &Limits) -> Result<Image, ImageError> {
    let chosen = choose("index.json", parse::<Index>("index.json", index)?)?;
    from_digest(digest(&chosen)?, Some(chosen.size), blobs, limits)
}

/// The image whose manifest or index has the digest.
pub(crate) fn from_digest(
    first: Digest,
    size: Option<u64>,
    blobs: &impl Blobs,
    limits: &Limits,
) -> Result<Image, ImageError> {
    let mut digests = Vec::new();
    let (mut wanted, mut size) = (first, size);
    for _ in 0..MAX_INDEXES {
        let name = wanted.to_string();
        digests.push(wanted);
        let document = read(&name, blobs.blob(Kind::Manifest, wanted, size)?, limits)?;
        match parse::<Document>(&name, &document)? {
            Document::Manifest(manifest) => return image(digests, &manifest, blobs, limits),
            Document::Index(index) => {
                let chosen = choose(&name, index)?;
                (wanted, size) = (digest(&chosen)?, Some(chosen.size));
            }
        }
    }
    Err(ImageError::refused(wanted.to_string(), "too many indexes within each other"))
}

fn image(digests: Vec<Digest>, manifest: &Manifest, blobs: &impl Blobs, limits: &Limits) -> Result<Image, ImageError> {
    let id = digest(&manifest.config)?;
    let configuration = read(&id.to_string(), blobs.blob(Kind::Blob, id, Some(manifest.config.size))?, limits)?;
    let diff_ids = diff_ids(&id.to_string(), &configuration, manifest.layers.len(), limits)?;
    let layer = |(descriptor, diff_id): (&Descriptor, Digest)| {
        let digest = digest(descriptor)?;
        Ok(Layer { blob: blobs.blob(Kind::Blob, digest, Some(descriptor.size))?, name: digest.to_string(), diff_id })
    };
    let layers = manifest.layers.iter().zip(diff_ids).map(layer).collect::<Result<_, ImageError>>()?;
    Ok(Image { digests, id, layers, defaults: defaults(&configuration) })
}

/// What the configuration says about the program; what cannot be read is not there.
pub(super) fn defaults(configuration: &[u8]) -> Defaults {
    let parsed = serde_json::from_slice::<Configuration>(configuration).ok();
    let config = parsed.and_then(|configuration| configuration.config).unwrap_or_default();
    let said = |text: String| (!text.is_empty()).then_some(text);
    Defaults {
        entrypoint: config.entrypoint.unwrap_or_default(),
        command: config.cmd.unwrap_or_default(),
        environment: config.env.unwrap_or_default(),
        working_directory: said(config.working_dir),
        user: said(config.user),
    }
}

/// Digests of the unpacked layers, as the configuration gives them, when there are as many as layers.
pub(super) fn diff_ids(name: &str, text: &[u8], layers: usize, limits: &Limits) -> Result<Vec<Digest>, ImageError> {
    let configuration: Configuration = parse(name, text)?;
    let (os, architecture) = (configuration.os, configuration.architecture);
    if (os.as_str(), architecture.as_str()) != ("linux", "amd64") {
        return Err(ImageError::refused(
            name,
            format!("the image is for {os}/{architecture}, this machine is linux/amd64"),
        ));
    }
    let found = configuration.rootfs.diff_ids;
    if found.len() != layers {
        return Err(ImageError::refused(name, format!("it names {} layers, the manifest {layers}", found.len())));
    }
    if layers == 0 || layers > limits.layers {
        return Err(ImageError::refused(name, format!("{layers} layers: an image has 1 to {}", limits.layers)));
    }
    found.iter().map(|text| text.parse().map_err(|error| ImageError::refused(name, format!("{error}")))).collect()
}

/// The one manifest for this machine.
fn choose(name: &str, index: Index) -> Result<Descriptor, ImageError> {
    let fits = |descriptor: &Descriptor| {
        descriptor.platform.as_ref().is_none_or(|platform| platform.os == "linux" && platform.architecture == "amd64")
    };
    let mut fitting: Vec<Descriptor> = index.manifests.into_iter().filter(fits).collect();
    // `docker save` names one image once a tag.
    fitting.dedup_by(|one, other| one.digest == other.digest);
    match (fitting.pop(), fitting.len()) {
        (Some(one), 0) => Ok(one),
        (None, _) => Err(ImageError::refused(name, "it has no image for linux/amd64")),
        (_, more) => Err(ImageError::refused(name, format!("it has {} images; save or name one", more + 1))),
    }
}

fn digest(descriptor: &Descriptor) -> Result<Digest, ImageError> {
    descriptor.digest.parse().map_err(|error| ImageError::refused("descriptor", format!("{error}")))
}

pub(super) fn parse<T: DeserializeOwned>(name: &str, text: &[u8]) -> Result<T, ImageError> {
    serde_json::from_slice(text)
        .map_err(|error| ImageError::refused(name, format!("it is not the expected document: {error}")))
}
