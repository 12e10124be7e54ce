//! The fault disk with clients of its own, with QEMU's, and with real file systems on it.

mod client;
mod cuts;
mod protocol;
mod tools;

use super::{FaultDisk, Image};
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// A folder with a base image of `bytes`, and where socket and trace go.
struct Bed {
    folder: TempDir,
}

impl Bed {
    fn new(base: &[u8]) -> Self {
        let bed = Self { folder: tempfile::tempdir().unwrap() };
        std::fs::write(bed.path("base"), base).unwrap();
        bed
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn base(&self, size: u64) -> Image {
        Image::of_file(&self.path("base"), size).unwrap()
    }

    fn serve(&self, size: u64) -> FaultDisk {
        FaultDisk::serve(self.base(size), &self.path("socket"), &self.path("trace")).unwrap()
    }
}

fn bytes(image: &Image) -> Vec<u8> {
    let mut bytes = vec![0; usize::try_from(image.size()).unwrap()];
    image.read(0, &mut bytes).unwrap();
    bytes
}

fn exported(image: &Image, path: &Path) -> Vec<u8> {
    image.export(0..image.size(), path).unwrap();
    std::fs::read(path).unwrap()
}
