//! The whole way of an image: source → checked blobs → unpacked tree → inventory, in a staging directory.

use crate::archive::{Archive, Image, oci};
use crate::digest::Digest;
use crate::error::ImageError;
use crate::incoming::{Incoming, Staging};
use crate::inventory;
use crate::layer;
use crate::limits::{Budget, Limits};
use crate::origin::{DEFINITION_FILE, FILTER_FILE, INVENTORY_FILE, ORIGIN_FILE, Origin, ROOT};
use crate::registry::{Client, Reference};
use crate::tree::Tree;
use hull_seccomp::Groups;
use hull_service::confinement::CALLS_FILE;
use hull_service::{MountType, Service};
use rustix::fs::FileType;
use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// Directories every container needs to mount on; the runtime puts file systems there.
const STANDARD: [&str; 5] = ["dev", "proc", "sys", "run", "tmp"];
/// Names of groups in lists of system calls: the same the OS's own services are built with.
const GROUPS: &str = include_str!("../../seccomp-groups.toml");
/// Execution by anybody.
const EXECUTABLE: u32 = 0o111;

/// Where an image comes from.
#[derive(Debug)]
pub enum Source {
    /// A tar file.
    Archive(PathBuf),
    /// A registry.
    Registry(Reference, Client),
}

/// A definition with its text.
#[derive(Debug)]
pub struct Definition<'a> {
    /// As written.
    pub text: &'a str,
    /// As read.
    pub service: &'a Service,
}

/// Imports an image into a new staging directory; on any error nothing of it is left but downloads worth going on with.
///
/// # Errors
/// See [`ImageError`].
pub fn import(
    incoming: &Incoming,
    source: &Source,
    definition: &Definition<'_>,
    limits: Limits,
    report: &dyn Fn(String),
) -> Result<(Staging, Origin), ImageError> {
    let done = try_import(incoming, source, definition, limits, report);
    if !matches!(done, Err(ImageError::Registry { .. })) {
        incoming.clear_blobs()?;
    }
    done
}

fn try_import(
    incoming: &Incoming,
    source: &Source,
    definition: &Definition<'_>,
    limits: Limits,
    report: &dyn Fn(String),
) -> Result<(Staging, Origin), ImageError> {
    let image = match source {
        Source::Archive(path) => Archive::open(path)?.image(&limits)?,
        Source::Registry(reference, client) => {
            let puller = client.puller(reference, incoming.blobs()?, limits, incoming.available()?, report);
            oci::from_digest(reference.digest, None, &puller, &limits)?
        }
    };
    check_reference(definition.service, &image)?;
    // What is stored compressed needs at least as much again unpacked.
    let (needed, available) = (image.stored(), incoming.available()?);
    if needed > available {
        return Err(ImageError::Space { needed, available });
    }
    let staging = incoming.stage()?;
    let mut budget = Budget::on_disk(limits, available);
    let tree = Tree::create(&staging.path().join(ROOT))?;
    for (index, layer) in image.layers.iter().enumerate() {
        report(format!("unpacking layer {} of {}", index + 1, image.layers.len()));
        layer::apply(layer, &tree, definition.service.image.setuid, &mut budget)?;
    }
    prepare(&tree, definition.service)?;
    let origin = record(&staging, source, definition, &image, budget.used())?;
    rustix::fs::syncfs(tree.root()).map_err(ImageError::io("write the image to the disk"))?;
    Ok((staging, origin))
}

/// An archive must hold the image that the definition names.
fn check_reference(service: &Service, image: &Image) -> Result<(), ImageError> {
    let Some(text) = &service.image.reference else { return Ok(()) };
    let reference: Reference =
        text.parse().map_err(|error| ImageError::refused("image.reference", format!("{error}")))?;
    match image.digests.contains(&reference.digest) {
        true => Ok(()),
        false => Err(ImageError::refused(
            "image.reference",
            match image.digests.first() {
                Some(found) => format!("it names {}, the archive holds {found}", reference.digest),
                None => "an archive of Docker before version 25 has no digest to compare it with".into(),
            },
        )),
    }
}

/// Mount points, and a look at whether the program is there.
fn prepare(tree: &Tree, service: &Service) -> Result<(), ImageError> {
    for path in STANDARD {
        tree.mount_point(path, false)?;
    }
    for mount in service.mounts.iter().filter(|mount| !is_below_standard(&mount.target)) {
        tree.mount_point(&mount.target, mount.file && mount.kind == MountType::Bind)?;
    }
    for process in &service.processes {
        let program = process.command.first().map(String::as_str).unwrap_or_default();
        let stat = tree.resolve(program).and_then(rustix::fs::fstat);
        let is_program = |stat: rustix::fs::Stat| {
            FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile && stat.st_mode & EXECUTABLE != 0
        };
        if !stat.is_ok_and(is_program) {
            return Err(ImageError::refused(
                program,
                format!("process.{}.command is no program of the image", process.name),
            ));
        }
    }
    Ok(())
}

/// The runtime makes what is below its own file systems at every start.
fn is_below_standard(path: &str) -> bool {
    let top = path.trim_start_matches('/').split('/').next().unwrap_or_default();
    STANDARD.contains(&top)
}

fn record(
    staging: &Staging,
    source: &Source,
    definition: &Definition<'_>,
    image: &Image,
    (bytes, entries): (u64, u64),
) -> Result<Origin, ImageError> {
    let folder = staging.path();
    let groups = Groups::parse(GROUPS);
    let filter = groups.and_then(|groups| hull_seccomp::compile(&groups, &definition.service.security.seccomp));
    let filter = filter.map_err(|error| ImageError::refused("security.seccomp", format!("{error:#}")))?;
    let list =
        inventory::scan(&folder.join(ROOT)).map_err(|error| ImageError::refused("inventory", error.to_string()))?;
    let origin = Origin {
        source: match source {
            Source::Archive(path) => path.file_name().unwrap_or_default().to_string_lossy().into_owned(),
            Source::Registry(reference, _) => reference.to_string(),
        },
        digest: image.digests.first().copied(),
        id: image.id,
        definition: Digest::of(definition.text.as_bytes()),
        filter: Digest::of(&filter.program),
        inventory: Digest::of(list.as_bytes()),
        bytes,
        entries,
    };
    let text =
        serde_json::to_vec_pretty(&origin).map_err(|error| ImageError::io(ORIGIN_FILE)(io::Error::from(error)))?;
    write(&folder.join(DEFINITION_FILE), definition.text.as_bytes())?;
    write(&folder.join(FILTER_FILE), &filter.program)?;
    write(&folder.join(CALLS_FILE), (filter.calls.join("\n") + "\n").as_bytes())?;
    write(&folder.join(INVENTORY_FILE), list.as_bytes())?;
    write(&folder.join(ORIGIN_FILE), &text)?;
    Ok(origin)
}

fn write(path: &Path, content: &[u8]) -> Result<(), ImageError> {
    let mut file = File::create_new(path).map_err(ImageError::io(path.display().to_string()))?;
    file.write_all(content).map_err(ImageError::io(path.display().to_string()))
}
