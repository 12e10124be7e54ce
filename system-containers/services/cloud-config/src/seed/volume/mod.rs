//! Files of a vfat, ISO 9660 or UDF file system, read by ourselves from its device: a foreign medium is not shown to the
//! kernel's file system code, and no capability is needed to mount it.
//!
//! | module | what |
//! |---|---|
//! | `fat` | FAT12, FAT16, FAT32 with long names |
//! | `iso` | ISO 9660 with Rock Ridge, Joliet or plain names |
//! | [`udf`] | UDF of optical media |
//!
//! Reading ends on any bytes: a directory and a file are bounded in size, chains of clusters and of continuation areas in
//! length, and a path has as many steps as the caller gives it. Called by [`medium`](super::medium), for itself and for
//! [`configdrive`](super::configdrive).

mod fat;
mod iso;
#[cfg(test)]
mod testing;
pub mod udf;

use super::bytes::Bytes;
use fat::Fat;
use iso::Iso;
use udf::Udf;

/// Limit for a directory: thousands of files, where a medium has a handful.
const MAX_DIRECTORY: usize = 256 << 10;

/// Why a file is not read.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The device gives fewer bytes than the file system says, or none.
    #[error("cannot be read")]
    Read(#[from] std::io::Error),
    /// A file above the caller's limit.
    #[error("larger than the limit of {limit} bytes")]
    TooLarge {
        /// The limit.
        limit: usize,
    },
    /// A directory, a symbolic link, a device.
    #[error("not a regular file")]
    NotAFile,
    /// The file system contradicts itself or its specification.
    #[error("the file system is damaged, make the medium again: {0}")]
    Damaged(&'static str),
    /// Right, but nothing that the tools for such media write.
    #[error("not supported, make the medium with mkfs.vfat or xorriso: {0}")]
    Unsupported(&'static str),
}

/// An open file system.
#[derive(Debug)]
pub enum Volume<'d, D: ?Sized> {
    /// vfat.
    Fat(Fat<'d, D>),
    /// iso9660.
    Iso(Iso<'d, D>),
    /// UDF.
    Udf(Udf<'d, D>),
}

impl<'d, D: Bytes + ?Sized> Volume<'d, D> {
    /// Reads what describes the file system; `kind` is that of [`probe`](super::superblock::probe).
    pub fn open(device: &'d D, kind: &str) -> Result<Self, Error> {
        match kind {
            "vfat" => Fat::open(device).map(Self::Fat),
            "iso9660" => Iso::open(device).map(Self::Iso),
            "udf" => Udf::open(device).map(Self::Udf),
            _ => Err(Error::Unsupported("neither vfat nor iso9660 nor udf")),
        }
    }

    /// Content of the file at a path from the root directory, with `/` between the names; `None` when there is none. A
    /// file of more than `limit` bytes is an error.
    pub fn read(&self, path: &str, limit: usize) -> Result<Option<Vec<u8>>, Error> {
        match self {
            Self::Fat(fat) => fat.read(path, limit),
            Self::Iso(iso) => iso.read(path, limit),
            Self::Udf(udf) => udf.read(path, limit),
        }
    }
}

/// A size as the file system gives it, within a limit.
fn bounded(size: u32, limit: usize) -> Result<usize, Error> {
    usize::try_from(size).ok().filter(|size| *size <= limit).ok_or(Error::TooLarge { limit })
}

#[cfg(test)]
mod tests {
    use super::testing::{Naming, fat, file_of, iso, small, udf};
    use super::*;
    use proptest::prelude::*;

    /// Everything that a caller asks for.
    fn read_all(image: &[u8]) {
        for kind in ["vfat", "iso9660", "udf"] {
            let Ok(volume) = Volume::open(image, kind) else { continue };
            for path in ["user-data", "meta-data", "vendor-data", "openstack/latest/user_data", "a/b/c/d"] {
                if let Ok(Some(content)) = volume.read(path, 1 << 20) {
                    assert!(content.len() <= 1 << 20);
                }
            }
        }
    }

    #[test]
    fn another_kind_is_refused() {
        let image = [0; 1024];
        assert!(matches!(Volume::open(&image[..], "ext4"), Err(Error::Unsupported(_))));
    }

    #[test]
    fn a_cut_image_is_an_error() {
        for (kind, image) in [("vfat", fat(12)), ("vfat", fat(32)), ("iso9660", iso(Naming::RockRidge)), ("udf", udf())]
        {
            let start = image.windows(13).position(|window| window == b"#cloud-config").unwrap();
            let cut = &image[..start + 4];
            let volume = Volume::open(cut, kind).unwrap();
            let error = volume.read("user-data", 1 << 20).unwrap_err();
            assert!(matches!(error, Error::Read(_)), "{kind}: {error}");
        }
    }

    #[test]
    fn a_file_above_the_limit_is_refused_and_one_at_the_limit_is_not() {
        for (kind, image) in [("vfat", fat(12)), ("iso9660", iso(Naming::Joliet)), ("udf", udf())] {
            let volume = Volume::open(&image[..], kind).unwrap();
            let size = file_of("user-data").len();
            assert_eq!(volume.read("user-data", size).unwrap().unwrap(), file_of("user-data"));
            let error = volume.read("user-data", size - 1).unwrap_err();
            assert_eq!(error.to_string(), format!("larger than the limit of {} bytes", size - 1));
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]
        #[test]
        fn damaged_images_end(
            image in 0..small().len(),
            changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..12),
        ) {
            let (mut image, used) = small()[image].clone();
            for (place, value) in changes {
                image[*place.get(&used)] = value;
            }
            read_all(&image);
        }
    }
}
