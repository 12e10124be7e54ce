//! Block devices as sysfs shows them, and the search for the root slot: the partition named `root-a` or `root-b` whose
//! verity superblock is that of the image on the command line. The same image can so be written to either slot, and an
//! update need not touch the partition table. The superblock only tells images apart; what is mounted is verified by the
//! root hash of the command line alone.

use super::cmdline::Verity;
use super::table::{Table, TableError};
use hull_update::verity::{BLOCK, BLOCK_BYTES, Superblock, salt_words};
use rustix::fs::ioctl_blksszget;
use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

const CLASS: &str = "/sys/class/block";
/// Whole devices that never hold a system: reading a CD-ROM takes seconds, and the others are made by software.
const PASSED_OVER: [&str; 8] = ["dm-", "fd", "loop", "md", "nbd", "ram", "sr", "zram"];
/// Sysfs counts in these whatever the device's own sector size is.
pub(crate) const SYSFS_SECTOR: u64 = 512;

/// A whole disk by its kernel name, such as `vda` or `nvme0n1`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Disk(pub(crate) String);

/// A partition as the kernel knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Partition {
    /// Kernel name, such as `vda3`.
    pub(crate) name: String,
    /// `major:minor`.
    pub(crate) number: String,
    /// Length in bytes.
    pub(crate) bytes: u64,
}

impl Partition {
    pub(crate) fn device(&self) -> String {
        format!("/dev/{}", self.name)
    }
}

/// The root slot: its disk, its number in the table, its device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Found {
    pub(crate) disk: Disk,
    pub(crate) number: u32,
    /// `a` or `b`.
    pub(crate) slot: String,
    pub(crate) partition: Partition,
}

/// Names of the slots' partitions begin with it.
const SLOT_PREFIX: &str = "root-";

/// Whole disks present now, by name. One without a medium (size 0) is not there.
pub(crate) fn disks() -> Vec<Disk> {
    let names = std::fs::read_dir(CLASS).into_iter().flatten().flatten();
    let mut disks: Vec<_> = names
        .filter_map(|entry| entry.file_name().into_string().ok())
        .filter(|name| !PASSED_OVER.iter().any(|prefix| name.starts_with(prefix)))
        .filter(|name| !Path::new(CLASS).join(name).join("partition").exists())
        .map(Disk)
        .filter(|disk| disk.bytes() > 0)
        .collect();
    disks.sort();
    disks
}

impl Disk {
    pub(crate) fn device(&self) -> PathBuf {
        Path::new("/dev").join(&self.0)
    }

    fn sysfs(&self) -> PathBuf {
        Path::new(CLASS).join(&self.0)
    }

    fn bytes(&self) -> u64 {
        number_in(&self.sysfs().join("size")).unwrap_or(0) * SYSFS_SECTOR
    }

    pub(crate) fn is_read_only(&self) -> bool {
        number_in(&self.sysfs().join("ro")) == Some(1)
    }

    /// Opens the disk; returns it with its sector size and its length in sectors.
    pub(crate) fn open(&self, write: bool) -> std::io::Result<(File, u64, u64)> {
        let mut file = OpenOptions::new().read(true).write(write).open(self.device())?;
        let sector_size = u64::from(ioctl_blksszget(&file)?);
        let sectors = file.seek(SeekFrom::End(0))? / sector_size;
        Ok((file, sector_size, sectors))
    }

    /// Device nodes of the partitions by their names in the table. The kernel itself does not know the names of those that
    /// were added at first boot.
    pub(crate) fn named(&self) -> BTreeMap<String, String> {
        let table = self
            .open(false)
            .map_err(TableError::from)
            .and_then(|(mut file, sector_size, sectors)| Table::read(&mut file, sector_size, sectors));
        let Ok(table) = table.inspect_err(|error| log::warn!("/dev/{}: {error}", self.0)) else {
            return BTreeMap::new();
        };
        let named = |(number, entry): (u32, &gptman::GPTPartitionEntry)| {
            Some((entry.partition_name.as_str().to_owned(), self.partition(number)?.device()))
        };
        table.partitions().filter_map(named).collect()
    }

    /// The kernel's partition with this number in the table.
    pub(crate) fn partition(&self, number: u32) -> Option<Partition> {
        std::fs::read_dir(self.sysfs()).ok()?.flatten().find_map(|entry| {
            let directory = entry.path();
            if number_in(&directory.join("partition")) != Some(u64::from(number)) {
                return None;
            }
            Some(Partition {
                name: entry.file_name().into_string().ok()?,
                number: std::fs::read_to_string(directory.join("dev")).ok()?.trim().to_owned(),
                bytes: number_in(&directory.join("size"))? * SYSFS_SECTOR,
            })
        })
    }
}

fn number_in(file: &Path) -> Option<u64> {
    std::fs::read_to_string(file).ok()?.trim().parse().ok()
}

/// Looks on every disk for the slot with this image; the first disk by name comes first. A disk that cannot be read is
/// passed over: it may be another one that holds the system.
pub(crate) fn find(verity: &Verity) -> Vec<Found> {
    disks().into_iter().flat_map(|disk| on_disk(&disk, verity)).collect()
}

fn on_disk(disk: &Disk, verity: &Verity) -> Vec<Found> {
    let read = disk.open(false).map_err(TableError::from).and_then(|(mut file, sector_size, sectors)| {
        Table::read(&mut file, sector_size, sectors).map(|table| (file, table))
    });
    let (mut file, table) = match read {
        Ok(read) => read,
        Err(error) => {
            log::debug!("/dev/{}: {error}", disk.0);
            return Vec::new();
        }
    };
    let holds = |(number, entry): (u32, &gptman::GPTPartitionEntry)| {
        let slot = entry.partition_name.as_str().strip_prefix(SLOT_PREFIX)?.to_owned();
        let start = entry.starting_lba.checked_mul(table.sector_size)?;
        let block = read_block(&mut file, start.checked_add(verity.data_blocks * BLOCK_BYTES)?)?;
        let found = Superblock::parse(&block).ok()?;
        let same = found.data_blocks == verity.data_blocks && salt_words(&found.salt) == verity.salt;
        same.then(|| Some(Found { partition: disk.partition(number)?, number, slot, disk: disk.clone() })).flatten()
    };
    table.partitions().filter_map(holds).collect()
}

fn read_block(file: &mut File, at: u64) -> Option<[u8; BLOCK]> {
    let mut block = [0; BLOCK];
    file.seek(SeekFrom::Start(at)).and_then(|_| file.read_exact(&mut block)).ok()?;
    Some(block)
}
