//! pause, resume, update.

use crate::config;
use crate::resources;
use crate::status::Status;
use crate::store::Store;
use anyhow::{Context, Result, ensure};
use hull_runtime::{bundle, cgroup};
use oci_spec::runtime::LinuxResources;
use std::io::Read;
use std::path::Path;
use std::time::Duration;

/// Longest wait for a frozen or thawed container: a process in an uninterruptible system call freezes when that ends.
const PATIENCE: Duration = Duration::from_secs(10);

/// Stops every process of the container where it is.
pub(crate) fn pause(store: &Store, id: &str) -> Result<()> {
    let (_claim, record) = store.claim(id)?;
    let status = store.status(&record);
    let can = matches!(status, Status::Created | Status::Running);
    ensure!(can, "cannot pause container {id}: it is {}", status.word());
    cgroup::freeze(&record.cgroup, true, PATIENCE).inspect_err(|_| {
        // All or nothing.
        if let Err(error) = cgroup::freeze(&record.cgroup, false, PATIENCE) {
            crate::journal::warning(&error.to_string());
        }
    })?;
    Ok(())
}

/// Lets a paused container go on.
pub(crate) fn resume(store: &Store, id: &str) -> Result<()> {
    let (_claim, record) = store.claim(id)?;
    let status = store.status(&record);
    // A created container that was paused still counts as created.
    let frozen = status != Status::Stopped && cgroup::is_frozen(&record.cgroup);
    ensure!(frozen, "cannot resume container {id}: it is {}, not paused", status.word());
    Ok(cgroup::freeze(&record.cgroup, false, PATIENCE)?)
}

/// Changes limits: a `linux.resources` object from a file, or from standard input when that is `-`.
pub(crate) fn update(store: &Store, id: &str, file: &Path) -> Result<()> {
    let (_claim, record) = store.claim(id)?;
    ensure!(store.status(&record) != Status::Stopped, "cannot update container {id}: container not running");
    let mut text = String::new();
    if file == Path::new("-") {
        std::io::stdin().read_to_string(&mut text).context("read standard input")?;
    } else {
        text = std::fs::read_to_string(file).with_context(|| format!("read {}", file.display()))?;
    }
    let resources: LinuxResources = config::parse(&text, file)?;
    let named = || file.display().to_string();
    let files = resources::files(&resources).with_context(named)?;
    let rules = resources::device_rules(Some(&resources)).with_context(named)?;
    cgroup::set(&record.cgroup, &files)?;
    if !rules.is_empty() {
        bundle::set_devices(&record.cgroup, &rules)?;
    }
    Ok(())
}
