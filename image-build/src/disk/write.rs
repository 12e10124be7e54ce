//! Carries a [`Disk`] out: one sparse file.

use super::esp::{self, EspFile};
use super::partitions::{Disk, Partition, SECTOR};
use crate::boot::grub::BOOT_CODE;
use anyhow::{Context, Result, ensure};
use gptman::{GPT, GPTPartitionEntry};
use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::Path;

/// What goes where.
#[derive(Debug)]
pub(crate) struct Content<'a> {
    /// Code of the boot sector.
    pub(crate) boot_code: &'a [u8],
    /// GRUB's core image.
    pub(crate) core: &'a [u8],
    /// Files of the ESP.
    pub(crate) esp: &'a [EspFile<'a>],
    /// erofs and behind it, its hash tree.
    pub(crate) root: [&'a Path; 2],
    /// Stamp of all files, seconds since 1970.
    pub(crate) time: u64,
}

/// Bytes compared and written at once; all-zero pieces stay holes.
const PIECE: usize = 64 << 10;

/// Writes the image to `path`.
pub(crate) fn write(disk: &Disk, content: &Content<'_>, path: &Path) -> Result<()> {
    let mut file = File::options()
        .read(true)
        .write(true)
        .create(true)
        .truncate(true)
        .open(path)
        .with_context(|| format!("{}", path.display()))?;
    file.set_len(disk.size)?;
    write_table(disk, &mut file)?;
    ensure!(content.boot_code.len() == BOOT_CODE, "the boot code has an unexpected size");
    file.seek(SeekFrom::Start(0))?;
    file.write_all(content.boot_code)?;
    write_part(&mut file, &disk.bios, &mut &*content.core)?;
    esp::write(path, &disk.esp, content.esp, content.time)?;
    let [root, hash_tree] = content.root.map(|path| File::open(path).with_context(|| format!("{}", path.display())));
    write_part(&mut file, &disk.root, &mut root?.chain(hash_tree?))
}

fn write_table(disk: &Disk, file: &mut File) -> Result<()> {
    let mut table = GPT::new_from(file, SECTOR, disk.id.on_disk())?;
    for (number, partition) in (1..).zip(disk.partitions()) {
        table[number] = GPTPartitionEntry {
            partition_type_guid: partition.kind.on_disk(),
            unique_partition_guid: partition.id.on_disk(),
            starting_lba: partition.start / SECTOR,
            ending_lba: (partition.start + partition.size) / SECTOR - 1,
            attribute_bits: 0,
            partition_name: partition.name.into(),
        };
    }
    table.write_into(file)?;
    GPT::write_protective_mbr_into(file, SECTOR)?;
    Ok(())
}

fn write_part(file: &mut File, partition: &Partition, source: &mut dyn Read) -> Result<()> {
    let mut buffer = vec![0; PIECE];
    let mut done = 0;
    loop {
        let mut length = 0;
        while length < PIECE {
            match source.read(&mut buffer[length..])? {
                0 => break,
                more => length += more,
            }
        }
        if length == 0 {
            return Ok(());
        }
        let piece = &buffer[..length];
        ensure!(done + piece.len() as u64 <= partition.size, "partition {} is too small", partition.name);
        if piece.iter().any(|byte| *byte != 0) {
            file.seek(SeekFrom::Start(partition.start + done))?;
            file.write_all(piece)?;
        }
        done += piece.len() as u64;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::MetadataExt;
    use std::process::Command;

    #[test]
    fn an_independent_reader_sees_the_layout_and_the_file_is_sparse() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("root");
        std::fs::write(&root, [b"x".repeat(10), vec![0; 2 * PIECE], b"end".to_vec()].concat()).unwrap();
        let tree = dir.path().join("tree");
        std::fs::write(&tree, "tree").unwrap();
        let disk = Disk::new(&"12".repeat(32));
        let content = Content {
            boot_code: &[7; BOOT_CODE],
            core: &[8; 700],
            esp: &[("d/a", vec![1])],
            root: [&root, &tree],
            time: 1_700_000_000,
        };
        let image = dir.path().join("disk.raw");
        write(&disk, &content, &image).unwrap();

        let listed = Command::new("/sbin/sfdisk").arg("--dump").arg(&image).output().unwrap();
        let text = String::from_utf8_lossy(&listed.stdout).to_lowercase();
        for part in [
            "start=        2048, size=        2048, type=21686148-6449-6e6f-744e-656564454649",
            "size=     1048576, type=c12a7328-f81f-11d2-ba4b-00a0c93ec93b",
            "uuid=12121212-1212-1212-1212-121212121212, name=\"root-a\"",
        ] {
            assert!(text.contains(part), "{part} not in\n{text}");
        }
        let meta = std::fs::metadata(&image).unwrap();
        assert!(meta.blocks() * 512 < 8 << 20, "{} blocks", meta.blocks());

        let mut file = File::open(&image).unwrap();
        let mut at = |offset: u64, length: usize| {
            let mut bytes = vec![0; length];
            file.seek(SeekFrom::Start(offset)).unwrap();
            file.read_exact(&mut bytes).unwrap();
            bytes
        };
        assert_eq!(at(0, BOOT_CODE), [7; BOOT_CODE]);
        assert_eq!(at(510, 2), [0x55, 0xaa]);
        assert_eq!(at(disk.bios.start + 699, 2), [8, 0]);
        assert_eq!(at(disk.root.start + 10 + 2 * PIECE as u64, 7), *b"endtree");
    }

    #[test]
    fn a_root_that_does_not_fit_is_an_error() {
        let disk = Disk::new("00");
        let small = Partition { size: 4, ..disk.root };
        let dir = tempfile::tempdir().unwrap();
        let mut file = File::create(dir.path().join("x")).unwrap();
        let error = write_part(&mut file, &small, &mut &b"12345"[..]).unwrap_err();
        assert!(error.to_string().contains("root-a"), "{error}");
    }
}
