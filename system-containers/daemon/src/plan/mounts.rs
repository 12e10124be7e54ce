//! Mounts of a container beyond the standard ones, and the host paths that must exist before.

use super::process::NOTIFY_SOCKET;
use crate::paths::Paths;
use hull_service::{Api, Mount, MountType, Service};
use oci_spec::runtime::Mount as OciMount;
use std::path::{Path, PathBuf};

/// A mount source the daemon makes where it is missing: everything below `/state` and `/run`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// Host path.
    pub path: PathBuf,
    /// An empty file instead of a directory.
    pub file: bool,
    /// Mode it is made with.
    pub mode: u32,
}

/// Mode of a source that gives none.
const DIRECTORY_MODE: u32 = 0o755;
/// Where the API's directory is in the container.
const API_TARGET: &str = "/run/hull";
/// Where `service-init` reads its processes from.
const SERVICE_FILE: &str = "/run/service/service.toml";

/// Mounts in order, and sources to make.
pub fn plan(name: &str, service: &Service, paths: &Paths) -> (Vec<OciMount>, Vec<Source>) {
    let mut mounts = Vec::new();
    let mut sources = Vec::new();
    if service.security.writable_sys {
        mounts.push(mount("sysfs", Path::new("sysfs"), "/sys", &["rw", "nosuid", "nodev", "noexec"]));
    }
    if service.security.devices.host_dev {
        mounts.push(mount("bind", Path::new("/dev"), "/dev", &["rbind", "rw", "rslave"]));
    }
    if super::has_notify_socket(service) {
        let target = Path::new(NOTIFY_SOCKET).parent().unwrap_or(Path::new("/")).to_string_lossy();
        mounts.push(bind(&paths.notify(name), &target, &[]));
    }
    if super::uses_service_init(service) {
        mounts.push(bind(&paths.definition(name).join("service.toml"), SERVICE_FILE, &["ro"]));
    }
    if service.api != Api::None {
        mounts.push(bind(&paths.api(name), API_TARGET, &[]));
    }
    for wanted in &service.mounts {
        mounts.push(one(wanted, paths, &mut sources));
    }
    (mounts, sources)
}

fn one(wanted: &Mount, paths: &Paths, sources: &mut Vec<Source>) -> OciMount {
    let source = paths.below_root(wanted.source.as_deref().unwrap_or("/"));
    let makeable = ["/state", "/run"].iter().any(|top| source.starts_with(paths.below_root(top)));
    let mode = wanted.mode.as_deref().and_then(|mode| u32::from_str_radix(mode, 8).ok()).unwrap_or(DIRECTORY_MODE);
    let mut make = |path: PathBuf, mode: u32| {
        if makeable {
            sources.push(Source { path, file: wanted.file, mode });
        }
    };
    let recursive = wanted.options.iter().any(|option| option == "recursive");
    let options: Vec<String> = wanted.options.iter().filter(|option| *option != "recursive").cloned().collect();
    match wanted.kind {
        MountType::Tmpfs => owned("tmpfs", Path::new("tmpfs"), &wanted.target, options),
        MountType::Bind => {
            make(source.clone(), mode);
            let kind = if recursive { "rbind" } else { "bind" };
            let options = std::iter::once(kind.to_owned()).chain(options).collect();
            owned("bind", &source, &wanted.target, options)
        }
        MountType::Overlay => {
            // The upper directory's mode becomes the mode of the mounted root; overlayfs wants the work directory private.
            make(source.clone(), DIRECTORY_MODE);
            make(source.join("upper"), mode);
            make(source.join("work"), 0o700);
            let mut options = options;
            options.push(format!("upperdir={}", source.join("upper").display()));
            options.push(format!("workdir={}", source.join("work").display()));
            owned("overlay", Path::new("overlay"), &wanted.target, options)
        }
    }
}

fn bind(source: &Path, target: &str, more: &[&str]) -> OciMount {
    let options: Vec<&str> = ["bind", "nosuid", "nodev", "noexec"].iter().chain(more).copied().collect();
    mount("bind", source, target, &options)
}

fn mount(kind: &str, source: &Path, target: &str, options: &[&str]) -> OciMount {
    owned(kind, source, target, options.iter().map(ToString::to_string).collect())
}

fn owned(kind: &str, source: &Path, target: &str, options: Vec<String>) -> OciMount {
    let mut mount = OciMount::default();
    mount
        .set_typ(Some(kind.into()))
        .set_source(Some(source.into()))
        .set_destination(target.into())
        .set_options(Some(options));
    mount
}
