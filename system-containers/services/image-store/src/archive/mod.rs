//! Image archives: a tar file with an OCI image layout, or what `docker save` writes.
//!
//! | module | what |
//! |---|---|
//! | [`oci`] | OCI image layout: index, manifest, configuration (also what newer `docker save` writes) |
//! | [`docker`] | `manifest.json` of older `docker save`: layers without digests of their own |

mod docker;
pub(crate) mod oci;

use crate::digest::Digest;
use crate::error::ImageError;
use crate::layer::header::Tar;
use crate::limits::Limits;
use crate::section::Section;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::sync::Arc;

pub(crate) use oci::Image;

/// Members an archive may have: blobs, documents, and the legacy files of `docker save`.
const MAX_MEMBERS: usize = 4096;

/// What a digest names; registries keep the two apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A manifest or an index.
    Manifest,
    /// A configuration or a layer.
    Blob,
}

/// Where an image's documents and blobs come from.
pub(crate) trait Blobs {
    /// What has this digest and size, both checked.
    fn blob(&self, kind: Kind, digest: Digest, size: Option<u64>) -> Result<Section, ImageError>;
}

/// An archive with its members known.
#[derive(Debug)]
pub(crate) struct Archive {
    members: BTreeMap<String, Section>,
}

impl Archive {
    /// Opens the archive at `path`.
    pub(crate) fn open(path: &Path) -> Result<Self, ImageError> {
        let what = path.display().to_string();
        let file = Arc::new(File::open(path).map_err(ImageError::io(what.clone()))?);
        let length = file.metadata().map_err(ImageError::io(what))?.len();
        let mut tar = Tar::new(Section::new(&file, 0, length));
        let mut members = BTreeMap::new();
        while let Some(member) = tar.next()? {
            let Ok(name) = String::from_utf8(member.path) else { continue };
            if !member.kind.is_file() {
                // Older `docker save` links equal layers to each other; a link to nothing is a missing blob later on.
                let target = String::from_utf8_lossy(&member.link).into_owned();
                let joined = Path::new(&name).parent().unwrap_or(Path::new("")).join(target);
                if let Some(section) =
                    member.kind.is_symlink().then(|| members.get(&normal(&joined))).flatten().cloned()
                {
                    members.insert(normal(Path::new(&name)), section);
                }
                continue;
            }
            if member.offset.checked_add(member.size).is_none_or(|end| end > length) {
                return Err(ImageError::refused(name, "the archive is cut off"));
            }
            if members.len() >= MAX_MEMBERS {
                return Err(ImageError::refused(name, format!("the archive has more than {MAX_MEMBERS} members")));
            }
            members.insert(normal(Path::new(&name)), Section::new(&file, member.offset, member.size));
        }
        Ok(Self { members })
    }

    /// The one image in it.
    pub(crate) fn image(&self, limits: &Limits) -> Result<Image, ImageError> {
        if self.members.contains_key("index.json") {
            let index = self.document("index.json", limits)?;
            oci::from_index(&index, self, limits)
        } else if self.members.contains_key("manifest.json") {
            docker::image(self, limits)
        } else {
            Err(ImageError::refused(
                "archive",
                "it is neither an OCI image layout (index.json) nor one of docker save (manifest.json)",
            ))
        }
    }

    /// Names the archive gives its image, `repository:tag`; none where it says nothing that can be read.
    pub(crate) fn names(&self, limits: &Limits) -> Vec<String> {
        let document = |name: &str| self.document(name, limits).ok().filter(|_| self.members.contains_key(name));
        let saved = document("manifest.json").map(|text| docker::names(&text)).unwrap_or_default();
        match saved.is_empty() {
            true => document("index.json").map(|text| oci::names(&text)).unwrap_or_default(),
            false => saved,
        }
    }

    fn document(&self, name: &str, limits: &Limits) -> Result<Vec<u8>, ImageError> {
        read(name, self.member(name)?, limits)
    }

    fn member(&self, name: &str) -> Result<Section, ImageError> {
        let found = self.members.get(&normal(Path::new(name))).cloned();
        found.ok_or_else(|| ImageError::refused(name, "it is not in the archive"))
    }
}

impl Blobs for Archive {
    fn blob(&self, _: Kind, digest: Digest, size: Option<u64>) -> Result<Section, ImageError> {
        let blob = self.member(&format!("blobs/sha256/{}", digest.hex()))?;
        if size.is_some_and(|size| size != blob.length()) {
            return Err(ImageError::refused(
                digest.to_string(),
                format!("its descriptor says {} bytes, it has {}", size.unwrap_or_default(), blob.length()),
            ));
        }
        let (found, _) = Digest::of_reader(blob.clone()).map_err(ImageError::io(digest.to_string()))?;
        if found == digest {
            Ok(blob)
        } else {
            Err(ImageError::refused(digest.to_string(), format!("its content has the digest {found}")))
        }
    }
}

/// A bounded JSON document.
pub(crate) fn read(name: &str, mut section: Section, limits: &Limits) -> Result<Vec<u8>, ImageError> {
    if section.length() > limits.document {
        return Err(ImageError::refused(name, format!("it is longer than {} bytes", limits.document)));
    }
    let mut bytes = Vec::new();
    section.read_to_end(&mut bytes).map_err(ImageError::io(name))?;
    Ok(bytes)
}

/// A member's name without `./`, and with `..` of links taken back.
fn normal(path: &Path) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in path.to_str().unwrap_or_default().split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    parts.join("/")
}
