//! Staging directories below one folder of the state partition.
//!
//! ```text
//! incoming/
//!   lock        held by the one importer at work
//!   blobs/      downloads, kept while a registry is away so that the next attempt goes on
//!   <id>/       an image being unpacked, or waiting to be installed by a rename
//! ```
//!
//! The lock makes what else is there somebody's who crashed: it is removed by the next importer.

use crate::error::ImageError;
use crate::space;
use rustix::fs::{FlockOperation, flock};
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

const LOCK: &str = "lock";
const BLOBS: &str = "blobs";

/// The folder, locked until dropped.
#[derive(Debug)]
pub struct Incoming {
    path: PathBuf,
    _lock: File,
}

/// One staging directory; removed when dropped, unless it was finished.
#[derive(Debug)]
pub struct Staging {
    path: PathBuf,
    id: String,
    finished: bool,
}

impl Incoming {
    /// Waits for the lock and removes what a crash left.
    ///
    /// # Errors
    /// When the folder cannot be made, locked or swept.
    pub fn open(path: &Path) -> Result<Self, ImageError> {
        let what = || ImageError::io::<io::Error>(path.display().to_string());
        DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(what())?;
        let lock = OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(path.join(LOCK));
        let lock = lock.map_err(what())?;
        flock(&lock, FlockOperation::LockExclusive).map_err(|errno| what()(errno.into()))?;
        for entry in fs::read_dir(path).map_err(what())? {
            let entry = entry.map_err(what())?;
            if entry.file_name() != LOCK && entry.file_name() != BLOBS {
                remove(&entry.path()).map_err(ImageError::io(format!("remove {}", entry.path().display())))?;
            }
        }
        Ok(Self { path: path.into(), _lock: lock })
    }

    /// Makes a staging directory.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn stage(&self) -> Result<Staging, ImageError> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let id = format!("{}-{}", std::process::id(), now.as_nanos());
        let path = self.path.join(&id);
        let made = DirBuilder::new().mode(0o700).create(&path);
        made.map_err(ImageError::io(format!("make {}", path.display())))?;
        Ok(Staging { path, id, finished: false })
    }

    /// The folder of downloads, made where missing.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn blobs(&self) -> Result<PathBuf, ImageError> {
        let path = self.path.join(BLOBS);
        let made = DirBuilder::new().recursive(true).mode(0o700).create(&path);
        made.map_err(ImageError::io(format!("make {}", path.display())))?;
        Ok(path)
    }

    /// Removes all downloads.
    ///
    /// # Errors
    /// When they cannot be removed.
    pub fn clear_blobs(&self) -> Result<(), ImageError> {
        let path = self.path.join(BLOBS);
        remove(&path).map_err(ImageError::io(format!("remove {}", path.display())))
    }

    /// Bytes an image may take, see [`space::available`].
    ///
    /// # Errors
    /// When the file system cannot be asked.
    pub fn available(&self) -> Result<u64, ImageError> {
        space::available(&self.path).map_err(ImageError::io(self.path.display().to_string()))
    }
}

impl Staging {
    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Leaves it to be renamed away, and says its name.
    pub fn finish(mut self) -> String {
        self.finished = true;
        self.id.clone()
    }
}

impl Drop for Staging {
    fn drop(&mut self) {
        if self.finished {
            return;
        }
        if let Err(error) = remove(&self.path) {
            eprintln!("image-store: {}: {error}; the next import removes it", self.path.display());
        }
    }
}

fn remove(path: &Path) -> io::Result<()> {
    let removed = match path.symlink_metadata() {
        Ok(metadata) if metadata.is_dir() => fs::remove_dir_all(path),
        Ok(_) => fs::remove_file(path),
        Err(error) => Err(error),
    };
    match removed {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_crash_left_goes_and_downloads_stay() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("incoming");
        fs::create_dir_all(path.join("1-2/rootfs/etc")).unwrap();
        fs::write(path.join("torn"), "").unwrap();
        fs::create_dir(path.join(BLOBS)).unwrap();
        let incoming = Incoming::open(&path).unwrap();
        let staging = incoming.stage().unwrap();
        let names = || {
            let mut names: Vec<_> =
                fs::read_dir(&path).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
            names.sort();
            names
        };
        assert_eq!(names().len(), 3);
        drop(staging);
        let kept = incoming.stage().unwrap().finish();
        assert_eq!(names(), [kept.as_str(), BLOBS, LOCK]);
        drop(incoming);
        let incoming = Incoming::open(&path).unwrap();
        incoming.clear_blobs().unwrap();
        assert_eq!(names(), [LOCK]);
    }
}
