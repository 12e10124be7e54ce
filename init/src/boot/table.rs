//! A disk's GUID partition table (UEFI 2.10, chapter 5): read it from whichever copy is sound, change it in memory, write
//! it back so that a power cut leaves at least one sound copy. What to change is `state::plan`'s decision.
//!
//! gptman decodes and encodes; it asserts on header fields it does not expect, so headers from foreign disks pass
//! [`check_header`] first.

use gptman::{GPTHeader, GPTPartitionEntry};
use std::io::{Cursor, Read, Seek, SeekFrom, Write};
use thiserror::Error;

/// Every tool writes 128-byte entries; gptman asserts it.
const ENTRY_BYTES: u32 = 128;
const HEADER_BYTES: u32 = 92;
/// The header is padded to a sector; gptman reads some of the padding.
const SECTOR_MINIMUM_BYTES: usize = 512;
/// Usual is 128; the bound keeps a hostile table from asking for memory.
const ENTRIES_MAXIMUM: u32 = 1024;
/// Partitions start and end on this, as every current tool does it.
const ALIGNMENT_BYTES: u64 = 1 << 20;

/// Why a table cannot be read or written.
#[derive(Debug, Error)]
pub(crate) enum TableError {
    #[error("no GUID partition table")]
    Absent,
    #[error("both copies of the GUID partition table are damaged or of an unknown form")]
    Damaged,
    #[error("i/o error at the partition table: {0}")]
    Io(#[from] std::io::Error),
    #[error("the partition table cannot be encoded: {0}")]
    Encode(gptman::Error),
}

/// A partition table in memory. Positions are in sectors.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Table {
    pub(crate) sector_size: u64,
    header: GPTHeader,
    entries: Vec<GPTPartitionEntry>,
}

impl Table {
    /// Reads the primary copy or, when that is damaged, the backup in the last of `sectors` sectors.
    pub(crate) fn read<R: Read + Seek>(disk: &mut R, sector_size: u64, sectors: u64) -> Result<Self, TableError> {
        let mut error = TableError::Absent;
        for lba in [1, sectors.saturating_sub(1)] {
            match read_copy(disk, lba, sector_size, sectors) {
                Ok((mut header, entries)) => {
                    if lba != 1 {
                        header.primary_lba = 1;
                        header.backup_lba = lba;
                        header.partition_entry_lba = 2;
                        header.update_crc32_checksum();
                    }
                    return Ok(Self { sector_size, header, entries });
                }
                Err(TableError::Absent) => {}
                Err(other) => error = other,
            }
        }
        Err(error)
    }

    /// Used entries with their numbers, which start at 1.
    pub(crate) fn partitions(&self) -> impl Iterator<Item = (u32, &GPTPartitionEntry)> {
        (1..).zip(&self.entries).filter(|(_, entry)| entry.is_used())
    }

    pub(crate) fn get(&self, number: u32) -> Option<&GPTPartitionEntry> {
        self.partitions().find(|(candidate, _)| *candidate == number).map(|(_, entry)| entry)
    }

    pub(crate) fn find(&self, matches: impl Fn(&GPTPartitionEntry) -> bool) -> Option<u32> {
        self.partitions().find(|(_, entry)| matches(entry)).map(|(number, _)| number)
    }

    /// Puts an entry at the lowest free number; `None` when the table is full.
    pub(crate) fn insert(&mut self, entry: GPTPartitionEntry) -> Option<u32> {
        let (number, free) = (1..).zip(&mut self.entries).find(|(_, entry)| !entry.is_used())?;
        *free = entry;
        Some(number)
    }

    pub(crate) fn change(&mut self, number: u32, change: impl FnOnce(&mut GPTPartitionEntry)) {
        if let Some((_, entry)) = (1..).zip(&mut self.entries).find(|(candidate, _)| *candidate == number) {
            change(entry);
        }
    }

    /// Moves the backup copy, and with it the usable range, to the end of a disk of `sectors` sectors. Says whether
    /// anything changed. A disk that shrank below its partitions is left alone.
    pub(crate) fn fit(&mut self, sectors: u64) -> bool {
        let last_usable = sectors.saturating_sub(self.array_sectors() + 2);
        let ends_within = self.partitions().all(|(_, entry)| entry.ending_lba <= last_usable);
        if self.header.backup_lba == sectors.saturating_sub(1) || !ends_within {
            return false;
        }
        self.header.backup_lba = sectors - 1;
        self.header.last_usable_lba = last_usable;
        true
    }

    /// Aligned free ranges as (first sector, length), in order.
    pub(crate) fn free(&self) -> Vec<(u64, u64)> {
        let alignment = (ALIGNMENT_BYTES / self.sector_size).max(1);
        let mut used: Vec<_> = self.partitions().map(|(_, entry)| (entry.starting_lba, entry.ending_lba)).collect();
        used.sort_unstable();
        let end = self.header.last_usable_lba.saturating_add(1);
        used.push((end, end));
        let (mut ranges, mut from) = (Vec::new(), self.header.first_usable_lba);
        for (start, last) in used {
            let first = from.next_multiple_of(alignment);
            let stop = start.min(end) / alignment * alignment;
            if first < stop {
                ranges.push((first, stop - first));
            }
            from = from.max(last.saturating_add(1));
        }
        ranges
    }

    /// Writes the backup copy, then the primary; `sync` must make everything written so far durable.
    pub(crate) fn write<W: Write + Seek>(
        &mut self,
        disk: &mut W,
        sync: impl Fn(&mut W) -> std::io::Result<()>,
    ) -> Result<(), TableError> {
        let mut backup = self.header.clone();
        backup.primary_lba = self.header.backup_lba;
        backup.backup_lba = self.header.primary_lba;
        backup.partition_entry_lba = self.header.backup_lba - self.array_sectors();
        for header in [&mut backup, &mut self.header] {
            header.write_into(disk, self.sector_size, &self.entries).map_err(TableError::Encode)?;
            sync(disk)?;
        }
        Ok(())
    }

    fn array_sectors(&self) -> u64 {
        (self.entries.len() as u64 * u64::from(ENTRY_BYTES)).div_ceil(self.sector_size)
    }
}

fn read_copy<R: Read + Seek>(
    disk: &mut R,
    lba: u64,
    sector_size: u64,
    sectors: u64,
) -> Result<(GPTHeader, Vec<GPTPartitionEntry>), TableError> {
    let mut raw = [0; SECTOR_MINIMUM_BYTES];
    disk.seek(SeekFrom::Start(lba.saturating_mul(sector_size)))?;
    disk.read_exact(&mut raw)?;
    check_header(&raw, sectors)?;
    let header = GPTHeader::read_from(&mut Cursor::new(raw)).map_err(|_| TableError::Damaged)?;
    let entries = header.read_partitions(disk, sector_size).map_err(|_| TableError::Damaged)?;
    let sound = |entry: &GPTPartitionEntry| {
        entry.is_unused()
            || (1 < entry.starting_lba && entry.starting_lba <= entry.ending_lba && entry.ending_lba < sectors)
    };
    if header.primary_lba != lba || header.last_usable_lba >= sectors || !entries.iter().all(sound) {
        return Err(TableError::Damaged);
    }
    Ok((header, entries))
}

/// Refuses what gptman would assert on or allocate for: fields at their offsets of UEFI table 5-5.
fn check_header(raw: &[u8; SECTOR_MINIMUM_BYTES], sectors: u64) -> Result<(), TableError> {
    if !raw.starts_with(b"EFI PART") {
        return Err(TableError::Absent);
    }
    let u32_at = |at: usize| u32::from_le_bytes([raw[at], raw[at + 1], raw[at + 2], raw[at + 3]]);
    let array_lba = u64::from(u32_at(72)) | u64::from(u32_at(76)) << 32;
    let good = u32_at(12) == HEADER_BYTES
        && (1..=ENTRIES_MAXIMUM).contains(&u32_at(80))
        && u32_at(84) == ENTRY_BYTES
        && (1 < array_lba && array_lba < sectors);
    if good { Ok(()) } else { Err(TableError::Damaged) }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use gptman::{GPT, PartitionName};
    use proptest::prelude::*;

    pub(crate) const SECTOR: u64 = 512;
    pub(crate) const MIB: u64 = (1 << 20) / SECTOR;

    /// A disk in memory with partitions (name, first sector, length), which need not be numbered without gaps.
    pub(crate) fn disk(sectors: u64, partitions: &[(u32, &str, u64, u64)]) -> Cursor<Vec<u8>> {
        let mut disk = Cursor::new(vec![0; usize::try_from(sectors * SECTOR).expect("small test disk")]);
        let mut gpt = GPT::new_from(&mut disk, SECTOR, [7; 16]).expect("new table");
        for &(number, name, start, length) in partitions {
            gpt[number] = entry(u8::try_from(number).expect("small number"), name, start, length);
        }
        gpt.write_into(&mut disk).expect("write table");
        disk
    }

    pub(crate) fn entry(guid: u8, name: &str, start: u64, length: u64) -> GPTPartitionEntry {
        GPTPartitionEntry {
            partition_type_guid: [9; 16],
            unique_partition_guid: [guid; 16],
            starting_lba: start,
            ending_lba: start + length - 1,
            attribute_bits: 0,
            partition_name: PartitionName::from(name),
        }
    }

    pub(crate) fn read(disk: &mut Cursor<Vec<u8>>) -> Result<Table, TableError> {
        let sectors = disk.get_ref().len() as u64 / SECTOR;
        Table::read(disk, SECTOR, sectors)
    }

    #[test]
    fn free_ranges_are_aligned_and_between_partitions() {
        let table = read(&mut disk(64 * MIB, &[(1, "a", 2 * MIB, MIB), (2, "b", 10 * MIB, MIB + 1)])).expect("table");
        // the last MiB holds the backup copy
        assert_eq!(table.free(), [(MIB, MIB), (3 * MIB, 7 * MIB), (12 * MIB, 51 * MIB)]);
    }

    #[test]
    fn either_copy_is_enough() {
        for damaged in [SECTOR, 2 * SECTOR, 64 * MIB * SECTOR - SECTOR] {
            let mut disk = disk(64 * MIB, &[(1, "a", MIB, MIB)]);
            let before = read(&mut disk).expect("table");
            let at = usize::try_from(damaged).expect("offset") + 60;
            disk.get_mut()[at] ^= 1;
            assert!(read(&mut disk).expect("other copy") == before, "byte {at}");
        }
    }

    #[test]
    fn both_copies_damaged_or_absent() {
        let mut damaged = disk(64 * MIB, &[(1, "a", MIB, MIB)]);
        let length = damaged.get_ref().len();
        damaged.get_mut()[512 + 60] ^= 1;
        damaged.get_mut()[length - 512 + 60] ^= 1;
        assert!(matches!(read(&mut damaged), Err(TableError::Damaged)));
        assert!(matches!(read(&mut Cursor::new(vec![0; 1 << 20])), Err(TableError::Absent)));
        assert!(matches!(read(&mut Cursor::new(vec![0; 700])), Err(TableError::Io(_))));
    }

    /// Power is cut after each of the two durable writes and in the middle of each: a sound table is always there.
    #[test]
    fn a_torn_write_leaves_the_old_or_the_new_table() {
        let mut image = disk(64 * MIB, &[(1, "a", MIB, MIB)]);
        image.get_mut().extend(vec![0; 8 << 20]); // grown
        let old = read(&mut image).expect("old");
        let mut new = old.clone();
        assert!(new.fit(72 * MIB));
        new.insert(entry(5, "b", 60 * MIB, 8 * MIB));
        let states = std::cell::RefCell::new(vec![image.get_ref().clone()]);
        new.write(&mut image, |disk| {
            states.borrow_mut().push(disk.get_ref().clone());
            Ok(())
        })
        .expect("write");
        let states = states.into_inner();
        for pair in states.windows(2) {
            for cut in (0..pair[0].len()).step_by(512).filter(|&cut| pair[0][cut..cut + 512] != pair[1][cut..cut + 512])
            {
                let mut torn = pair[1].clone();
                torn[cut..].copy_from_slice(&pair[0][cut..]);
                let table = read(&mut Cursor::new(torn)).expect("a sound copy");
                assert!(table == old || table == new, "torn at {cut}");
            }
        }
        assert!(read(&mut image).expect("new") == new);
    }

    proptest! {
        /// Hostile headers with valid checksums neither panic nor allocate.
        #[test]
        fn foreign_headers_never_panic(changes in prop::collection::vec((0_usize..92, any::<u8>()), 1..6), array in any::<bool>()) {
            let mut disk = disk(8 * MIB, &[(1, "a", MIB, MIB), (2, "b", 3 * MIB, MIB)]);
            let base = if array { 1024 } else { 512 };
            for (at, value) in changes {
                disk.get_mut()[base + at] = value;
            }
            let bytes = disk.get_mut();
            let array_crc = crc32(&bytes[1024..1024 + 128 * 128]);
            bytes[512 + 88..512 + 92].copy_from_slice(&array_crc.to_le_bytes());
            bytes[512 + 16..512 + 20].fill(0);
            let header_crc = crc32(&bytes[512..512 + 92]);
            bytes[512 + 16..512 + 20].copy_from_slice(&header_crc.to_le_bytes());
            read(&mut disk).map(|table| table.free()).ok();
        }
    }

    fn crc32(bytes: &[u8]) -> u32 {
        !bytes.iter().fold(u32::MAX, |crc, byte| {
            (0..8).fold(crc ^ u32::from(*byte), |crc, _| (crc >> 1) ^ (0xedb8_8320 & (crc & 1).wrapping_neg()))
        })
    }
}
