//! FAT12, FAT16 and FAT32, reading only. Specification: Microsoft, "FAT: General Overview of On-Disk Format", 1.03.
//!
//! | module | what |
//! |---|---|
//! | `geometry` | the boot sector |
//! | `directory` | entries and long names |

mod directory;
mod geometry;

use super::{Error, MAX_DIRECTORY, bounded};
use crate::seed::bytes::Bytes;
use directory::Entry;
use geometry::{Directory, Geometry, Width};
use std::collections::BTreeSet;

/// An open file system.
#[derive(Debug)]
pub struct Fat<'d, D: ?Sized> {
    device: &'d D,
    geometry: Geometry,
}

impl<'d, D: Bytes + ?Sized> Fat<'d, D> {
    /// Reads the boot sector.
    pub(super) fn open(device: &'d D) -> Result<Self, Error> {
        Ok(Self { device, geometry: Geometry::parse(&device.array(0)?)? })
    }

    /// See [`Volume::read`](super::Volume::read).
    pub(super) fn read(&self, path: &str, limit: usize) -> Result<Option<Vec<u8>>, Error> {
        let (parents, name) = path.rsplit_once('/').unwrap_or(("", path));
        let mut directory = self.geometry.root;
        for parent in parents.split('/').filter(|parent| !parent.is_empty()) {
            match self.find(directory, parent)? {
                Some(entry) if entry.directory => directory = Directory::Chain(entry.cluster),
                _ => return Ok(None),
            }
        }
        match self.find(directory, name)? {
            None => Ok(None),
            Some(entry) if entry.directory => Err(Error::NotAFile),
            Some(entry) => self.content(entry, limit).map(Some),
        }
    }

    fn find(&self, directory: Directory, name: &str) -> Result<Option<Entry>, Error> {
        let bytes = match directory {
            Directory::Fixed(offset, length) => self.device.at(offset, bounded(length, MAX_DIRECTORY)?)?,
            Directory::Chain(cluster) => {
                let most = (MAX_DIRECTORY / self.cluster_size()?).max(1);
                let clusters = self.chain(cluster, most + 1)?;
                if clusters.len() > most {
                    return Err(Error::TooLarge { limit: MAX_DIRECTORY });
                }
                self.clusters(&clusters)?
            }
        };
        let entry = directory::find(&bytes, name);
        // FAT12 and FAT16 keep something else in the upper half.
        let mask = if self.geometry.width == Width::Fat32 { u32::MAX } else { 0xFFFF };
        Ok(entry.map(|entry| Entry { cluster: entry.cluster & mask, ..entry }))
    }

    fn content(&self, entry: Entry, limit: usize) -> Result<Vec<u8>, Error> {
        let size = bounded(entry.size, limit)?;
        if size == 0 {
            return Ok(Vec::new());
        }
        let needed = size.div_ceil(self.cluster_size()?);
        let clusters = self.chain(entry.cluster, needed)?;
        if clusters.len() < needed {
            return Err(Error::Damaged("a file has fewer clusters than its size needs"));
        }
        let mut content = self.clusters(&clusters)?;
        content.truncate(size);
        Ok(content)
    }

    fn cluster_size(&self) -> Result<usize, Error> {
        usize::try_from(self.geometry.cluster).map_err(|_| Error::Damaged("clusters are too large"))
    }

    fn clusters(&self, clusters: &[u32]) -> Result<Vec<u8>, Error> {
        let size = self.cluster_size()?;
        let mut bytes = Vec::with_capacity(clusters.len() * size);
        for cluster in clusters {
            bytes.extend(self.device.at(self.geometry.offset(*cluster)?, size)?);
        }
        Ok(bytes)
    }

    /// The clusters of a chain, at most so many.
    fn chain(&self, first: u32, most: usize) -> Result<Vec<u32>, Error> {
        let mut clusters = Vec::new();
        let mut seen = BTreeSet::new();
        let mut next = Some(first);
        while let Some(cluster) = next.filter(|_| clusters.len() < most) {
            if !seen.insert(cluster) {
                return Err(Error::Damaged("a chain of clusters runs in a circle"));
            }
            clusters.push(cluster);
            next = self.next(cluster)?;
        }
        Ok(clusters)
    }

    /// What follows a cluster; `None` after the last one.
    fn next(&self, cluster: u32) -> Result<Option<u32>, Error> {
        self.geometry.offset(cluster)?;
        let at = |bits: u64| self.geometry.table + u64::from(cluster) * bits / 8;
        let next = match self.geometry.width {
            Width::Fat12 => {
                let two = u16::from_le_bytes(self.device.array(at(12))?);
                u32::from(if cluster % 2 == 0 { two & 0xFFF } else { two >> 4 })
            }
            Width::Fat16 => u32::from(u16::from_le_bytes(self.device.array(at(16))?)),
            Width::Fat32 => u32::from_le_bytes(self.device.array(at(32))?) & 0x0FFF_FFFF,
        };
        Ok((next < self.geometry.width.end()).then_some(next))
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{FILES, fat, file_of};
    use super::*;

    const LIMIT: usize = 1 << 20;

    fn read(image: &[u8], path: &str) -> Result<Option<Vec<u8>>, Error> {
        Fat::open(image)?.read(path, LIMIT)
    }

    fn geometry(image: &[u8]) -> Geometry {
        Fat::open(image).unwrap().geometry
    }

    /// Writes the entry of a cluster in the first table.
    fn set_next(image: &mut [u8], cluster: usize, next: u32) {
        let Geometry { width, table, .. } = geometry(image);
        let table = usize::try_from(table).unwrap();
        let (at, mask, shift) = match width {
            Width::Fat12 if cluster % 2 == 0 => (table + cluster * 3 / 2, 0xFFF, 0),
            Width::Fat12 => (table + cluster * 3 / 2, 0xFFF0, 4),
            Width::Fat16 => (table + cluster * 2, 0xFFFF, 0),
            Width::Fat32 => (table + cluster * 4, 0x0FFF_FFFF, 0),
        };
        let four = u32::from_le_bytes(*image[at..].first_chunk().unwrap());
        image[at..at + 4].copy_from_slice(&(four & !mask | next << shift & mask).to_le_bytes());
    }

    fn entry_of(image: &[u8], short: &[u8; 11]) -> usize {
        image.windows(11).position(|window| window == short).unwrap()
    }

    fn first_cluster(image: &[u8], entry: usize) -> usize {
        usize::from(u16::from_le_bytes([image[entry + 26], image[entry + 27]]))
    }

    #[test]
    fn files_of_every_width_are_read() {
        for (bits, width) in [(12, Width::Fat12), (16, Width::Fat16), (32, Width::Fat32)] {
            let image = fat(bits);
            assert_eq!(Fat::open(&image[..]).unwrap().geometry.width, width);
            for path in FILES {
                assert_eq!(read(&image, path).unwrap(), Some(file_of(path)), "{path} of FAT{bits}");
            }
            assert_eq!(read(&image, "USER-DATA").unwrap(), Some(file_of("user-data")));
            for path in ["network-config", "openstack/none", "none/user-data", "user-data/x", ""] {
                assert_eq!(read(&image, path).unwrap(), None, "{path} of FAT{bits}");
            }
            assert!(matches!(read(&image, "openstack/latest"), Err(Error::NotAFile)));
        }
    }

    #[test]
    fn files_in_scattered_clusters_are_read() {
        for bits in [12, 16, 32] {
            let mut image = fat(bits);
            let geometry = geometry(&image);
            let offset =
                |cluster: usize| usize::try_from(geometry.offset(u32::try_from(cluster).unwrap()).unwrap()).unwrap();
            let second = first_cluster(&image, entry_of(&image, b"USER-D~1   ")) + 1;
            for free in [second + 50, second + 51] {
                image.resize(image.len().max(offset(free + 1)), 0);
                image.copy_within(offset(second)..offset(second + 1), offset(free));
                set_next(&mut image, second - 1, u32::try_from(free).unwrap());
                set_next(&mut image, free, u32::try_from(second + 1).unwrap());
                assert_eq!(read(&image, "user-data").unwrap(), Some(file_of("user-data")), "FAT{bits}");
            }
            image[offset(second)..offset(second + 1)].fill(0);
            assert_eq!(read(&image, "user-data").unwrap(), Some(file_of("user-data")), "FAT{bits}");
        }
    }

    #[test]
    fn chains_that_run_in_a_circle_are_damage() {
        let mut image = fat(12);
        let file = first_cluster(&image, entry_of(&image, b"USER-D~1   "));
        set_next(&mut image, file + 1, u32::try_from(file).unwrap());
        let error = read(&image, "user-data").unwrap_err().to_string();
        assert!(error.contains("circle"), "{error}");
        assert_eq!(read(&image, "meta-data").unwrap(), Some(file_of("meta-data")));
        let directory = first_cluster(&image, entry_of(&image, b"OPENST~1   "));
        set_next(&mut image, directory, u32::try_from(directory).unwrap());
        let error = read(&image, "openstack/latest/user_data").unwrap_err().to_string();
        assert!(error.contains("circle"), "{error}");
    }

    #[test]
    fn chains_that_end_early_or_leave_the_file_system_are_damage() {
        for (next, want) in
            [(0xFFF, "fewer clusters"), (0, "leaves"), (1, "leaves"), (0xFF0, "leaves"), (0xFF7, "leaves")]
        {
            let mut image = fat(12);
            let file = first_cluster(&image, entry_of(&image, b"USER-D~1   "));
            set_next(&mut image, file, next);
            let error = read(&image, "user-data").unwrap_err().to_string();
            assert!(error.contains(want), "{next}: {error}");
        }
    }

    #[test]
    fn a_directory_that_is_its_own_child_ends() {
        let mut image = fat(12);
        let parent = u16::try_from(first_cluster(&image, entry_of(&image, b"OPENST~1   "))).unwrap();
        let child = entry_of(&image, b"LATEST     ");
        image[child + 26..child + 28].copy_from_slice(&parent.to_le_bytes());
        assert_eq!(read(&image, "openstack/latest/latest/latest/user_data").unwrap(), None);
    }

    #[test]
    fn sizes_beyond_the_device_and_the_limit_are_refused() {
        let mut image = fat(12);
        let size = entry_of(&image, b"USER-D~1   ") + 28;
        image[size..size + 4].copy_from_slice(&500_000_u32.to_le_bytes());
        assert!(matches!(read(&image, "user-data"), Err(Error::Damaged(_))));
        image[size..size + 4].copy_from_slice(&u32::MAX.to_le_bytes());
        assert!(matches!(read(&image, "user-data"), Err(Error::TooLarge { limit: LIMIT })));
        // A root directory of 65535 entries.
        image[17..19].copy_from_slice(&[0xFF, 0xFF]);
        assert!(read(&image, "user-data").is_err());
    }
}
