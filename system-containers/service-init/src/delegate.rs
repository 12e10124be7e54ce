//! The service's own cgroup subtree (`security.delegate`): cgroup v2 mounted writable in a cgroup namespace of its own.
//!
//! ```text
//! /sys/fs/cgroup            the service's root: every available controller enabled for its children
//! ├ service-init            this program
//! ├ processes/<name>        one per [[process]], with the same controllers: dockerd looks at its own to learn what it can set
//! └ …                       what the service makes itself, such as dockerd's containers
//! ```
//! A cgroup with controllers enabled for its children may hold no process itself (cgroup-v2.rst, "no internal process
//! constraint"), hence the leaf.

use anyhow::{Context, Result};
use std::fs;
use std::path::{Path, PathBuf};

/// Root of the container's cgroup namespace.
pub(crate) const ROOT: &str = "/sys/fs/cgroup";
const OWN_LEAF: &str = "service-init";
const PROCESSES: &str = "processes";

/// Moves this process to its leaf and enables the controllers. A controller that cannot be enabled is reported.
pub(crate) fn set_up(root: &Path) -> Result<()> {
    let leaf = root.join(OWN_LEAF);
    make(&leaf)?;
    write(&leaf.join("cgroup.procs"), "0")?;
    make(&root.join(PROCESSES))?;
    let file = root.join("cgroup.controllers");
    let controllers = fs::read_to_string(&file).with_context(|| format!("cannot read {}", file.display()))?;
    for controller in controllers.split_whitespace() {
        let enable = |directory: &Path| write(&directory.join("cgroup.subtree_control"), &format!("+{controller}"));
        if let Err(error) = enable(root).and_then(|()| enable(&root.join(PROCESSES))) {
            eprintln!("<4>service-init: controller {controller} is not available to this service: {error:#}");
        }
    }
    Ok(())
}

/// The cgroup of one process, made where missing.
pub(crate) fn process_cgroup(root: &Path, name: &str) -> Result<PathBuf> {
    let directory = root.join(PROCESSES).join(name);
    make(&directory)?;
    Ok(directory)
}

fn make(directory: &Path) -> Result<()> {
    fs::create_dir_all(directory).with_context(|| format!("cannot make cgroup {}", directory.display()))
}

fn write(file: &Path, text: &str) -> Result<()> {
    fs::write(file, text).with_context(|| format!("cannot write {text} to {}", file.display()))
}
