//! Where the parts of a FAT file system lie: its boot sector, by the Microsoft FAT specification and, where that leaves
//! a choice, as Linux does.
//!
//! ```text
//! reserved sectors │ allocation tables │ root directory (FAT12, FAT16) │ clusters 2, 3, 4 …
//! ```

use super::super::Error;
use crate::seed::bytes::{half, word};

/// Bytes of the boot sector that are looked at.
pub(super) const BOOT_SECTOR: usize = 512;
/// Most clusters of a file system with entries of 12 bits.
const MAX_CLUSTERS_12: u64 = 4084;
/// Bytes of a directory entry.
const ENTRY: u32 = 32;

/// Size of an entry of the allocation table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Width {
    /// 12 bits.
    Fat12,
    /// 16 bits.
    Fat16,
    /// 32 bits, four of them unused.
    Fat32,
}

impl Width {
    /// The first value that ends a chain.
    pub(super) fn end(self) -> u32 {
        match self {
            Self::Fat12 => 0xFF8,
            Self::Fat16 => 0xFFF8,
            Self::Fat32 => 0x0FFF_FFF8,
        }
    }

    fn bits(self) -> u64 {
        match self {
            Self::Fat12 => 12,
            Self::Fat16 => 16,
            Self::Fat32 => 32,
        }
    }
}

/// Where a directory lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Directory {
    /// The root directory of FAT12 and FAT16: offset and length in bytes.
    Fixed(u64, u32),
    /// First cluster.
    Chain(u32),
}

/// Offsets and sizes in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Geometry {
    pub(super) width: Width,
    /// The first allocation table; the others are copies.
    pub(super) table: u64,
    pub(super) root: Directory,
    /// Cluster 2, the first one.
    pub(super) data: u64,
    /// Size of a cluster.
    pub(super) cluster: u32,
    /// Number above the last cluster.
    pub(super) end: u32,
}

impl Geometry {
    pub(super) fn parse(boot: &[u8; BOOT_SECTOR]) -> Result<Self, Error> {
        let sector = u32::from(half(boot, 11));
        let per_cluster = u32::from(boot[13]);
        if !matches!(sector, 512 | 1024 | 2048 | 4096) || !per_cluster.is_power_of_two() {
            return Err(Error::Damaged("the boot sector gives impossible sizes"));
        }
        let reserved = u64::from(half(boot, 14));
        let root_length = u32::from(half(boot, 17)) * ENTRY;
        let short = u64::from(half(boot, 22));
        let table_sectors = if short == 0 { u64::from(word(boot, 36)) } else { short };
        let total = match half(boot, 19) {
            0 => u64::from(word(boot, 32)),
            sectors => u64::from(sectors),
        };
        let (cluster, sector) = (sector * per_cluster, u64::from(sector));
        let root = reserved + u64::from(boot[16]) * table_sectors;
        let data = root + u64::from(root_length).div_ceil(sector);
        let Some(clusters) = total.checked_sub(data).map(|sectors| sectors / u64::from(per_cluster)) else {
            return Err(Error::Damaged("the boot sector gives a size that has no room for files"));
        };
        let width = match (short, clusters) {
            (0, _) => Width::Fat32,
            (_, ..=MAX_CLUSTERS_12) => Width::Fat12,
            _ => Width::Fat16,
        };
        // Neither more than the file system has, nor more than its table has entries for, nor a value that ends a chain.
        let entries = table_sectors * sector * 8 / width.bits();
        let end = (clusters + 2).min(entries).min(u64::from(width.end() - 1));
        Ok(Self {
            width,
            table: reserved * sector,
            root: match width {
                Width::Fat32 => Directory::Chain(word(boot, 44)),
                _ => Directory::Fixed(root * sector, root_length),
            },
            data: data * sector,
            cluster,
            end: u32::try_from(end).unwrap_or(0),
        })
    }

    /// Offset of a cluster; one that the file system does not have is an error.
    pub(super) fn offset(&self, cluster: u32) -> Result<u64, Error> {
        match cluster.checked_sub(2) {
            Some(index) if cluster < self.end => Ok(self.data + u64::from(index) * u64::from(self.cluster)),
            _ => Err(Error::Damaged("a chain of clusters leaves the file system")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 512 bytes a sector, one sector a cluster, one reserved, two tables.
    fn boot(root_entries: u16, total: u32, short: u16, long: u32) -> [u8; BOOT_SECTOR] {
        let mut boot = [0; BOOT_SECTOR];
        boot[11..13].copy_from_slice(&512_u16.to_le_bytes());
        boot[13] = 1;
        boot[14] = 1;
        boot[16] = 2;
        boot[17..19].copy_from_slice(&root_entries.to_le_bytes());
        boot[22..24].copy_from_slice(&short.to_le_bytes());
        boot[32..36].copy_from_slice(&total.to_le_bytes());
        boot[36..40].copy_from_slice(&long.to_le_bytes());
        boot[44] = 2;
        boot
    }

    #[test]
    fn the_number_of_clusters_decides_between_12_and_16_bits() {
        for (clusters, width) in [(4084, Width::Fat12), (4085, Width::Fat16)] {
            let total = 1 + 2 * 20 + 32 + clusters;
            let found = Geometry::parse(&boot(512, total, 20, 0)).unwrap();
            assert_eq!((found.width, found.table, found.cluster), (width, 512, 512));
            assert_eq!((found.root, found.data), (Directory::Fixed(41 * 512, 512 * 32), 73 * 512));
            assert_eq!(found.offset(3).unwrap(), 74 * 512);
        }
        let found = Geometry::parse(&boot(0, 1000, 0, 8)).unwrap();
        assert_eq!((found.width, found.root, found.end), (Width::Fat32, Directory::Chain(2), 985));
    }

    #[test]
    fn clusters_without_an_entry_in_the_table_are_none() {
        let found = Geometry::parse(&boot(16, u32::MAX, 1, 0)).unwrap();
        assert_eq!((found.width, found.end), (Width::Fat16, 256));
        for cluster in [0, 1, 256, u32::MAX] {
            assert!(matches!(found.offset(cluster), Err(Error::Damaged(_))), "{cluster}");
        }
    }

    #[test]
    fn impossible_sizes_are_refused() {
        let mut none = boot(16, 1000, 1, 0);
        none[13] = 0;
        let mut odd = boot(16, 1000, 1, 0);
        odd[11] = 1;
        for boot in [none, odd, boot(16, 3, 1, 0), boot(0, 1000, 0, u32::MAX), [0; BOOT_SECTOR]] {
            assert!(matches!(Geometry::parse(&boot), Err(Error::Damaged(_))));
        }
    }
}
