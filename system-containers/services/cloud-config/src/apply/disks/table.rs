//! Writes partition tables: GUID partition tables (UEFI 2.10, chapter 5) and DOS partition tables.

use crate::userdata::disks::{Purpose, Share, Table};
use anyhow::{Context, ensure};
use gptman::{GPT, GPTPartitionEntry};
use std::io::{Read, Seek, SeekFrom, Write};

/// Partitions start and end on this, as every current tool does it.
const ALIGNMENT: u64 = 1 << 20;
/// Room behind the last partition for the second copy of a GUID partition table.
const TAIL: u64 = 1 << 20;
/// Linux file system data, swap: Discoverable Partitions Specification (UAPI.2), as bytes on disk.
const GPT_DATA: [u8; 16] = 0x0fc6_3daf_8483_4772_8e79_3d69_d847_7de4_u128.to_be_bytes();
const GPT_SWAP: [u8; 16] = 0x0657_fd6d_a4ab_43c4_84e5_0933_c84b_4f4f_u128.to_be_bytes();
/// Types of DOS partitions.
const MBR_DATA: u8 = 0x83;
const MBR_SWAP: u8 = 0x82;

/// A partition's first sector and number of sectors.
type Extent = (u64, u64);

/// Removes what tools look at first and last: tables and signatures of file systems.
pub(super) fn wipe(disk: &mut (impl Write + Seek), bytes: u64) -> std::io::Result<()> {
    let blank = vec![0; usize::try_from(ALIGNMENT.min(bytes)).unwrap_or(0)];
    for start in [0, bytes.saturating_sub(blank.len() as u64)] {
        disk.seek(SeekFrom::Start(start))?;
        disk.write_all(&blank)?;
    }
    Ok(())
}

/// Writes the record that keeps tools which know no GUID partition table off the disk. It looks like a table by itself, so it
/// comes when the table is durable.
pub(super) fn protect(disk: &mut (impl Write + Seek), sector: u64) -> anyhow::Result<()> {
    GPT::write_protective_mbr_into(disk, sector).context("write the table")
}

/// Writes a table for a disk of `bytes` with sectors of `sector` bytes; `random` makes its identities. A GUID partition table
/// lacks [`protect`].
pub(super) fn write(
    disk: &mut (impl Read + Write + Seek),
    (sector, bytes): (u64, u64),
    (table, shares): (Table, &[Share]),
    random: impl Fn() -> anyhow::Result<[u8; 16]>,
) -> anyhow::Result<()> {
    let extents = extents(sector, bytes, shares).context("the disk is too small for these partitions")?;
    match table {
        Table::Gpt => {
            let mut gpt = GPT::new_from(disk, sector, random()?).context("the disk is too small for a table")?;
            for ((number, (start, length)), (_, purpose)) in (1..).zip(extents).zip(shares) {
                gpt[number] = GPTPartitionEntry {
                    partition_type_guid: if *purpose == Purpose::Swap { swapped(GPT_SWAP) } else { swapped(GPT_DATA) },
                    unique_partition_guid: random()?,
                    starting_lba: start,
                    ending_lba: start + length - 1,
                    attribute_bits: 0,
                    partition_name: "".into(),
                };
            }
            gpt.write_into(disk).context("write the table")?;
        }
        Table::Mbr => {
            let mut record = [0; 512];
            record[440..444].copy_from_slice(&random()?[..4]);
            for (slot, ((start, length), (_, purpose))) in
                record[446..510].chunks_mut(16).zip(extents.iter().zip(shares))
            {
                let last = start + length;
                ensure!(
                    u32::try_from(last).is_ok(),
                    "the disk is too large for a table of type mbr: use table_type: gpt"
                );
                // Cylinders, heads and sectors are out of use: the largest values say "see the sector numbers".
                slot[1..4].copy_from_slice(&[0xfe, 0xff, 0xff]);
                slot[4] = if *purpose == Purpose::Swap { MBR_SWAP } else { MBR_DATA };
                slot[5..8].copy_from_slice(&[0xfe, 0xff, 0xff]);
                slot[8..12].copy_from_slice(&u32::try_from(*start)?.to_le_bytes());
                slot[12..16].copy_from_slice(&u32::try_from(*length)?.to_le_bytes());
            }
            record[510..].copy_from_slice(&[0x55, 0xaa]);
            disk.seek(SeekFrom::Start(0))?;
            disk.write_all(&record).context("write the table")?;
        }
    }
    Ok(())
}

/// The first three fields of a GUID are little-endian on disk.
fn swapped(mut guid: [u8; 16]) -> [u8; 16] {
    guid[..4].reverse();
    guid[4..6].reverse();
    guid[6..8].reverse();
    guid
}

/// Aligned, in the order of the shares; `None` when one of them would be empty.
fn extents(sector: u64, bytes: u64, shares: &[Share]) -> Option<Vec<Extent>> {
    let align = ALIGNMENT / sector;
    let end = bytes.checked_sub(TAIL)? / ALIGNMENT * align;
    let whole = end.checked_sub(align)?;
    let (mut start, mut extents) = (align, Vec::new());
    for (index, (percent, _)) in shares.iter().enumerate() {
        let length = if index + 1 == shares.len() {
            end.checked_sub(start)?
        } else {
            whole * u64::from(*percent) / 100 / align * align
        };
        if length == 0 {
            return None;
        }
        extents.push((start, length));
        start += length;
    }
    Some(extents)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    /// What another tool reads: start, size and type of each partition.
    fn table(kind: Table, shares: &[Share], mib: u64) -> Vec<String> {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("disk");
        let mut file = std::fs::OpenOptions::new().read(true).write(true).create_new(true).open(&path).unwrap();
        file.set_len(mib << 20).unwrap();
        write(&mut file, (512, mib << 20), (kind, shares), super::super::random).unwrap();
        if kind == Table::Gpt {
            // Without it nothing takes the disk for one that has a table.
            let kind = super::super::content::of(&path).unwrap();
            assert!(kind.is_none_or(|content| content.table.is_none()), "{path:?}");
            protect(&mut file, 512).unwrap();
        }
        let output = Command::new("/usr/sbin/sfdisk").arg("--dump").arg(&path).output().unwrap();
        assert!(output.status.success() && output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
        let text = String::from_utf8(output.stdout).unwrap();
        let lines = text.lines().filter_map(|line| line.split_once(" : "));
        lines.map(|(_, rest)| rest.split(", uuid").next().unwrap().replace(' ', "")).collect()
    }

    #[test]
    fn other_tools_read_the_tables() {
        use Purpose::{Data, Swap};
        assert_eq!(
            table(Table::Mbr, &[(50, Data), (10, Swap)], 102),
            ["start=2048,size=102400,type=83", "start=104448,size=102400,type=82"]
        );
        assert_eq!(
            table(Table::Gpt, &[(25, Swap), (75, Data)], 102),
            [
                "start=2048,size=51200,type=0657FD6D-A4AB-43C4-84E5-0933C84B4F4F",
                "start=53248,size=153600,type=0FC63DAF-8483-4772-8E79-3D69D8477DE4"
            ]
        );
        assert_eq!(table(Table::Gpt, &[(1, Data); 100], 202).len(), 100);
    }

    #[test]
    fn disks_that_are_too_small_or_too_large_are_refused() {
        let mut disk = std::io::Cursor::new(vec![0; 4 << 20]);
        let mut attempt = |bytes: u64, shares: &[Share]| {
            let result = write(&mut disk, (512, bytes), (Table::Mbr, shares), || Ok([7; 16]));
            result.err().map(|error| error.to_string()).unwrap_or_default()
        };
        assert!(attempt(1 << 20, &[(100, Purpose::Data)]).contains("too small"));
        assert!(attempt(4 << 20, &[(10, Purpose::Data), (90, Purpose::Data)]).contains("too small"));
        assert!(attempt(4 << 40, &[(100, Purpose::Data)]).contains("table_type: gpt"));
        assert_eq!(attempt(4 << 20, &[(50, Purpose::Data), (50, Purpose::Data)]), "");
    }

    #[test]
    fn both_ends_are_wiped() {
        let mut disk = std::io::Cursor::new(vec![1_u8; 4 << 20]);
        wipe(&mut disk, 4 << 20).unwrap();
        let bytes = disk.into_inner();
        assert_eq!(bytes.iter().filter(|&&byte| byte == 0).count(), 2 << 20);
        assert_eq!((bytes[0], bytes[1 << 20], bytes[(4 << 20) - 1]), (0, 1, 0));
    }
}
