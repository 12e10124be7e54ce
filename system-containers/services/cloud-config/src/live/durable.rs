//! Changes of files that are on the disk when they return. Tests cut the power after each of them.

use crate::store;
use anyhow::Context;
use std::fs::File;
use std::io::ErrorKind;
use std::path::Path;

/// Writes a whole file, readable by root alone: fragments may hold secrets.
pub(super) fn write(path: &Path, content: &[u8]) -> anyhow::Result<()> {
    power()?;
    store::write(path, content, 0o600)
}

/// Removes a file that may be gone.
pub(super) fn remove(path: &Path) -> anyhow::Result<()> {
    power()?;
    match std::fs::remove_file(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        result => result.with_context(|| format!("remove {}", path.display()))?,
    }
    sync(path)
}

/// Gives a file the name of another one in the same directory.
pub(super) fn rename(from: &Path, to: &Path) -> anyhow::Result<()> {
    power()?;
    std::fs::rename(from, to).with_context(|| format!("rename {}", from.display()))?;
    sync(to)
}

fn sync(path: &Path) -> anyhow::Result<()> {
    let directory = path.parent().with_context(|| format!("{} has no parent directory", path.display()))?;
    File::open(directory).and_then(|file| file.sync_all()).with_context(|| format!("sync {}", directory.display()))
}

#[cfg(not(test))]
#[expect(clippy::unnecessary_wraps, reason = "tests can cut the power")]
fn power() -> anyhow::Result<()> {
    Ok(())
}

#[cfg(test)]
thread_local! {
    /// Changes left until the power is cut; none: it stays on.
    pub(super) static LEFT: std::cell::Cell<Option<usize>> = const { std::cell::Cell::new(None) };
}

/// With the power off nothing is changed any more, whoever tries.
#[cfg(test)]
fn power() -> anyhow::Result<()> {
    match LEFT.get() {
        None => Ok(()),
        Some(0) => anyhow::bail!("power cut"),
        Some(left) => {
            LEFT.set(Some(left - 1));
            Ok(())
        }
    }
}
