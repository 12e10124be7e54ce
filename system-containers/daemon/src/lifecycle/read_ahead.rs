//! Programs that a service will read at its start are fetched from the disk while it still waits for others.
//!
//! A program is paged in piece by piece, each a wait for the disk and for the verification of what came; asked for
//! ahead, the kernel does both for many pieces at once. What is read is page cache: under pressure it is dropped first.

use crate::paths::Paths;
use hull_service::Service;
use rustix::fs::{Advice, fadvise};
use std::fs::File;
use std::io;
use std::num::NonZeroU64;
use std::path::{Path, PathBuf};

/// Bytes asked for at once: the kernel cuts a longer request to the device's read-ahead size, 128 KiB unless changed.
const STEP: NonZeroU64 = NonZeroU64::new(128 << 10).unwrap();

/// Has the kernel fetch the `[run] read-ahead` files of all services, on a thread of its own.
pub fn begin<'a>(paths: &Paths, services: impl Iterator<Item = (&'a String, &'a Service)>) {
    let files: Vec<PathBuf> = services
        .flat_map(|(name, service)| {
            let root = paths.definition(name).join("rootfs");
            service.run.read_ahead.iter().map(move |file| root.join(file))
        })
        .collect();
    let thread = std::thread::Builder::new().name("read ahead".into());
    let spawned = thread.spawn(move || {
        for file in files {
            // Whoever needs the file will report what is wrong with it.
            if let Err(error) = fetch(&file) {
                log::debug!("read ahead {}: {error}", file.display());
            }
        }
    });
    if let Err(error) = spawned {
        log::debug!("read ahead: {error}");
    }
}

/// posix_fadvise(2), POSIX_FADV_WILLNEED: starts reading and does not wait.
fn fetch(path: &Path) -> io::Result<()> {
    let file = File::open(path)?;
    let size = file.metadata()?.len();
    let mut offset = 0;
    while offset < size {
        fadvise(&file, offset, Some(STEP), Advice::WillNeed)?;
        offset += STEP.get();
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_size_and_a_missing_file() {
        let folder = tempfile::tempdir().unwrap();
        for size in [0, 1, 300_000] {
            let path = folder.path().join(size.to_string());
            std::fs::write(&path, vec![0; size]).unwrap();
            fetch(&path).unwrap();
        }
        assert!(fetch(&folder.path().join("none")).is_err());
    }
}
