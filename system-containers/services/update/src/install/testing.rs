//! Boot files as image-build makes them, what other tools than ours find on an ESP, and a disk whose power goes.

use super::table::{Extent, SECTOR};
use crate::delta::Storage;
use gptman::{GPT, GPTPartitionEntry};
use std::cell::{Cell, RefCell};
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::process::Command;

/// A file that was there before.
pub(super) const OTHER: (&str, &[u8]) = ("startup.nsh", b"the loader\n");

/// A partition table of an ESP with clusters of so many sectors and a slot behind it; up to the last byte that is not zero.
pub(super) fn boot_files(esp: Extent, cluster: u32, slot: Extent) -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("disk");
    let mut disk = File::options().read(true).write(true).create_new(true).open(&path).unwrap();
    disk.set_len(slot.start + slot.length + (1 << 20)).unwrap();
    let mut table = GPT::new_from(&mut disk, SECTOR, [1; 16]).unwrap();
    for (number, name, extent) in [(2_u8, "esp", esp), (3, "root-a", slot)] {
        table[number.into()] = GPTPartitionEntry {
            partition_type_guid: [2; 16],
            unique_partition_guid: [number; 16],
            starting_lba: extent.start / SECTOR,
            ending_lba: (extent.start + extent.length) / SECTOR - 1,
            attribute_bits: 0,
            partition_name: name.into(),
        };
    }
    table.write_into(&mut disk).unwrap();
    GPT::write_protective_mbr_into(&mut disk, SECTOR).unwrap();
    let mut format = Command::new("/usr/sbin/mkfs.vfat");
    format.args(["-F", "32", "-S", "512", "-s", &cluster.to_string(), "--invariant", "-n", "HULL ESP"]);
    format.args(["--offset", &(esp.start / SECTOR).to_string()]).arg(&path).arg((esp.length / 1024).to_string());
    run(&mut format);
    let other = folder.path().join(OTHER.0);
    fs::write(&other, OTHER.1).unwrap();
    run(Command::new("mcopy").args(["-i", &format!("{}@@{}", path.display(), esp.start)]).arg(other).arg("::"));
    // Nothing is behind the beginning but the table's copy.
    let mut head = vec![0; usize::try_from(esp.start).unwrap() + (2 << 20)];
    disk.read_exact_at(&mut head, 0).unwrap();
    head.truncate(head.iter().rposition(|byte| *byte != 0).unwrap() + 1);
    head
}

/// The user data on an ESP of `length` bytes that is whole.
pub(super) fn user_data(beginning: &[u8], length: u64) -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    let esp = folder.path().join("esp");
    fs::write(&esp, beginning).unwrap();
    File::options().write(true).open(&esp).unwrap().set_len(length).unwrap();
    run(Command::new("/usr/sbin/fsck.fat").args(["-n", "-V"]).arg(&esp));
    assert_eq!(content(&esp, OTHER.0), OTHER.1);
    content(&esp, "user-data")
}

fn content(esp: &Path, name: &str) -> Vec<u8> {
    run(Command::new("mtype").arg("-i").arg(esp).arg(format!("::{name}")))
}

fn run(command: &mut Command) -> Vec<u8> {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {output:?}");
    output.stdout
}

/// A disk whose power goes.
#[derive(Debug)]
pub(super) struct Failing {
    file: File,
    /// Writes and syncs until it does.
    left: Cell<usize>,
    /// Writes that no sync followed yet.
    unsynced: RefCell<Vec<Write>>,
}

#[derive(Debug)]
struct Write {
    at: u64,
    before: Vec<u8>,
    after: Vec<u8>,
}

/// Which of the writes that no sync followed are on the disk afterwards.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kept {
    All,
    None,
    Last,
}

impl Failing {
    /// One that does so many writes and syncs.
    pub(super) fn new(file: File, left: usize) -> Self {
        Self { file, left: Cell::new(left), unsynced: RefCell::default() }
    }

    /// The power is back; how many writes and syncs were left, and what is on the disk.
    pub(super) fn restart(self, kept: Kept) -> (usize, File) {
        let unsynced = self.unsynced.into_inner();
        let put = |bytes: &[u8], at: u64| self.file.write_all_at(bytes, at).unwrap();
        if kept != Kept::All {
            unsynced.iter().rev().for_each(|write| put(&write.before, write.at));
        }
        if let (Kept::Last, Some(write)) = (kept, unsynced.last()) {
            put(&write.after, write.at);
        }
        (self.left.get(), self.file)
    }

    fn step(&self) -> io::Result<()> {
        let left = self.left.get().checked_sub(1).ok_or_else(|| io::Error::other("the power is gone"))?;
        self.left.set(left);
        Ok(())
    }
}

impl Storage for Failing {
    fn size(&self) -> io::Result<u64> {
        self.file.size()
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        self.file.read_exact_at(buffer, offset)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.step()?;
        let mut before = vec![0; bytes.len()];
        self.file.read_exact_at(&mut before, offset)?;
        self.unsynced.borrow_mut().push(Write { at: offset, before, after: bytes.to_vec() });
        self.file.write_all_at(bytes, offset)
    }

    fn sync(&self) -> io::Result<()> {
        self.step()?;
        self.unsynced.take();
        Ok(())
    }

    fn forget(&self) -> io::Result<()> {
        Ok(())
    }
}
