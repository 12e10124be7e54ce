//! `/images/*` and `/system/df`: the root file systems of the services, which come and go with the version of the OS.

use super::containers;
use super::describe;
use super::error::ApiError;
use super::model::{self, int64};
use super::query::{Filters, Query};
use crate::added;
use crate::added::images::{Image, all};
use crate::blocking::blocking;
use crate::lifecycle::System;
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::rc::Rc;

/// Sizes of all root file systems: bytes by service, of those the shared ones, and bytes in all.
#[derive(Debug, Default, PartialEq, Eq)]
struct Sizes {
    services: BTreeMap<String, (u64, u64)>,
    all: u64,
}

/// `GET /images/json`.
pub async fn list(system: &Rc<System>, query: &Query) -> Result<Vec<model::ImageSummary>, ApiError> {
    let filters = Filters::parse(query, &["reference"])?;
    let sizes = sizes(system).await?;
    let mut images = summaries(system, &sizes);
    images.extend(all(&system.store).into_iter().map(kept));
    images.retain(|image| {
        let named =
            |value: &str| image.repo_tags.iter().any(|tag| tag == value || tag.split(':').next() == Some(value));
        filters.pass("reference", named)
    });
    Ok(images)
}

/// `GET /images/{name}/json`.
pub async fn inspect(system: &Rc<System>, name: &str) -> Result<model::ImageInspect, ApiError> {
    let (service, image) = match find(system, name).await {
        Ok(found) => found,
        Err(error) => {
            let image = added::images::find(&system.store, name).map_err(|_| error)?;
            return Ok(inspect_kept(kept(image)));
        }
    };
    let units = system.units.borrow();
    let definition = units.get(&service).and_then(|unit| unit.definition.as_ref());
    Ok(model::ImageInspect {
        id: Some(image.id),
        repo_tags: Some(image.repo_tags),
        repo_digests: Some(Vec::new()),
        parent: Some(String::new()),
        comment: Some(definition.map(|definition| definition.description.clone()).unwrap_or_default()),
        created: Some(crate::clock::WallTime { seconds: image.created, nanoseconds: 0 }.rfc3339()),
        architecture: Some(super::engine::ARCHITECTURE.into()),
        os: Some("linux".into()),
        size: Some(image.size),
        config: Some(config(describe::config(system, &service, definition))),
        // It has no layers.
        root_fs: Some(model::ImageInspectRootFs { typ: "layers".into(), layers: Some(Vec::new()) }),
        ..Default::default()
    })
}

/// An image that no service is made of yet.
fn inspect_kept(image: model::ImageSummary) -> model::ImageInspect {
    model::ImageInspect {
        id: Some(image.id),
        repo_tags: Some(image.repo_tags),
        repo_digests: Some(Vec::new()),
        created: Some(crate::clock::WallTime { seconds: image.created, nanoseconds: 0 }.rfc3339()),
        architecture: Some(super::engine::ARCHITECTURE.into()),
        os: Some("linux".into()),
        size: Some(image.size),
        comment: Some("kept for services to be added from".into()),
        ..Default::default()
    }
}

/// What containers of the image are, in the same words once more.
fn config(container: model::ContainerConfig) -> model::ImageConfig {
    model::ImageConfig {
        hostname: container.hostname,
        user: container.user,
        tty: container.tty,
        open_stdin: container.open_stdin,
        env: container.env,
        cmd: container.cmd,
        image: container.image,
        working_dir: container.working_dir,
        labels: container.labels,
        stop_signal: container.stop_signal,
        stop_timeout: container.stop_timeout,
        ..Default::default()
    }
}

/// `GET /images/{name}/history`.
pub async fn history(system: &Rc<System>, name: &str) -> Result<Vec<model::HistoryResponseItem>, ApiError> {
    let (_, image) = find(system, name).await?;
    Ok(vec![model::HistoryResponseItem {
        id: image.id,
        created: image.created,
        created_by: "part of the verified system image".into(),
        tags: image.repo_tags,
        size: image.size,
        comment: image.labels.get("hull.description").cloned().unwrap_or_default(),
    }])
}

/// `GET /system/df`.
pub async fn disk_usage(system: &Rc<System>) -> Result<model::SystemDataUsageResponse, ApiError> {
    let sizes = sizes(system).await?;
    Ok(model::SystemDataUsageResponse {
        layers_size: Some(int64(sizes.all)),
        images: Some(summaries(system, &sizes)),
        containers: Some(containers::list(system, &Query::parse("all=1"))?),
        volumes: Some(Vec::new()),
        build_cache: Some(Vec::new()),
    })
}

/// A kept image.
fn kept(image: Image) -> model::ImageSummary {
    let stored = image.stored;
    model::ImageSummary {
        id: stored.id.to_string(),
        repo_tags: stored.names,
        created: image.kept,
        size: int64(stored.bytes),
        shared_size: 0,
        ..Default::default()
    }
}

/// Whether a name is that of a running service's image.
pub fn is_of_a_service(system: &System, name: &str) -> bool {
    // Nothing is measured for that.
    choose(system, &Sizes::default(), name).is_ok()
}

/// By `hull/<service>`, with or without the tag, or by (the beginning of) an id.
async fn find(system: &Rc<System>, name: &str) -> Result<(String, model::ImageSummary), ApiError> {
    choose(system, &sizes(system).await?, name)
}

fn choose(system: &System, sizes: &Sizes, name: &str) -> Result<(String, model::ImageSummary), ApiError> {
    let digits = name.strip_prefix("sha256:").unwrap_or(name);
    let matches = |image: &model::ImageSummary| {
        let tag = &image.repo_tags[0];
        tag == name || tag.split(':').next() == Some(name) || (digits.len() >= 4 && image.id[7..].starts_with(digits))
    };
    let names: Vec<String> = system.units.borrow().keys().cloned().collect();
    let mut found = names.into_iter().zip(summaries(system, sizes)).filter(|(_, image)| matches(image));
    match (found.next(), found.next()) {
        (Some(one), None) => Ok(one),
        (Some(_), Some(_)) => Err(ApiError::bad(format!("several images begin with {name}"))),
        (None, _) => Err(ApiError::missing(format!("No such image: {name}"))),
    }
}

/// In the order of the services' names.
fn summaries(system: &System, sizes: &Sizes) -> Vec<model::ImageSummary> {
    let units = system.units.borrow();
    let summary = |(name, unit): (&String, &crate::lifecycle::Unit)| {
        let (size, shared_size) = sizes.services.get(name).copied().unwrap_or_default();
        model::ImageSummary {
            id: describe::image_id(system, name),
            parent_id: String::new(),
            repo_tags: vec![describe::image(system, name)],
            // It comes from no registry.
            repo_digests: Vec::new(),
            created: made(&system.paths.definition(name)),
            // Files it shares with other services included.
            size: int64(size),
            shared_size: int64(shared_size),
            labels: describe::labels(unit.definition.as_ref(), name),
            // The service.
            containers: 1,
            ..Default::default()
        }
    };
    units.iter().map(summary).collect()
}

/// Every file of the image carries the time of its sources.
fn made(folder: &Path) -> i64 {
    std::fs::metadata(folder).map_or(0, |metadata| metadata.mtime())
}

async fn sizes(system: &System) -> Result<Sizes, ApiError> {
    let roots: Vec<(String, PathBuf)> =
        system.units.borrow().keys().map(|name| (name.clone(), system.paths.definition(name).join("rootfs"))).collect();
    let measured = blocking("image sizes", move || measure(&roots)).await;
    measured.map_err(|error| ApiError::internal(error.to_string()))
}

/// A root that cannot be read counts as empty: the service's own state tells why.
fn measure(roots: &[(String, PathBuf)]) -> Sizes {
    let mut files = Vec::new();
    for (index, (_, root)) in roots.iter().enumerate() {
        walk(root, &mut |metadata| files.push((metadata.ino(), index, metadata.len()))).ok();
    }
    let mut users: BTreeMap<u64, BTreeSet<usize>> = BTreeMap::new();
    for (inode, index, _) in &files {
        users.entry(*inode).or_default().insert(*index);
    }
    let mut sizes = Sizes::default();
    let (mut of_service, mut seen) = (BTreeSet::new(), BTreeSet::new());
    for (inode, index, bytes) in files {
        if of_service.insert((index, inode)) {
            let (size, shared) = sizes.services.entry(roots[index].0.clone()).or_default();
            *size += bytes;
            *shared += if users[&inode].len() > 1 { bytes } else { 0 };
        }
        sizes.all += if seen.insert(inode) { bytes } else { 0 };
    }
    sizes
}

fn walk(folder: &Path, see: &mut impl FnMut(&std::fs::Metadata)) -> io::Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        let metadata = entry.metadata()?;
        if metadata.is_dir() {
            walk(&entry.path(), see)?;
        } else if metadata.is_file() {
            see(&metadata);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shared_files_count_once_in_all() {
        let folder = tempfile::tempdir().unwrap();
        let roots: Vec<_> = ["a", "b"].map(|name| (name.to_owned(), folder.path().join(name))).into();
        for (_, root) in &roots {
            std::fs::create_dir_all(root.join("usr")).unwrap();
            std::fs::write(root.join("own"), [0; 10]).unwrap();
        }
        std::fs::write(roots[0].1.join("usr/shared"), [0; 100]).unwrap();
        std::fs::hard_link(roots[0].1.join("usr/shared"), roots[1].1.join("usr/shared")).unwrap();
        let sizes = measure(&roots);
        assert_eq!(sizes.services["a"], (110, 100));
        assert_eq!(sizes.services["b"], (110, 100));
        assert_eq!(sizes.all, 120);
    }
}
