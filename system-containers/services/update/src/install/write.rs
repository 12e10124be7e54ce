//! A disk written from the running root, in an order that a power cut cannot make something of that boots and is not whole:
//!
//! ```text
//! clear       first and last MiB, and where the first boot makes slot B and state: nothing of what was there is found again
//! root        block by block against the root hash, read back, superblock last
//! ESP, GRUB   read back
//! first MiB   boot sector and partition table: from here on the disk boots
//! ```

use super::disk::{Disk, SECTOR};
use super::head;
use super::job::{LEAST_BYTES, Request};
use crate::delta;
use crate::verity::{BLOCK, BLOCK_BYTES, Geometry, Superblock, Tree};
use anyhow::{Context, Result, ensure};
use gptman::GPT;
use std::fs::File;
use std::io::Cursor;
use std::os::unix::fs::FileExt;

const MIB: u64 = 1 << 20;
/// Name of the partition that is slot A.
const ROOT: &str = "root-a";

/// Where slot A is, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Slot {
    start: u64,
    length: u64,
}

/// Carries out a job; `tell` hears what is being done.
///
/// # Errors
/// Name what is wrong. Before "everything … is lost" was told, nothing was written.
pub fn install(request: &Request, tell: &dyn Fn(String)) -> Result<()> {
    let root = File::open(&request.root).with_context(|| request.root.display().to_string())?;
    let tree = tree(&root, request)?;
    let head = head::read(&root, tree.geometry().slot_blocks() * BLOCK_BYTES)?;
    let slot = slot(&head)?;
    let name = request.disk.display();
    let disk = Disk::open(&request.disk).with_context(|| name.to_string())?;
    ensure!(
        disk.size >= LEAST_BYTES,
        "{name}: it has {} MiB, {} MiB are needed at least",
        disk.size / MIB,
        LEAST_BYTES / MIB
    );
    tell(format!("everything on {name} is lost from here on"));
    write(&disk, slot, &head, (&tree, &root), tell).with_context(|| format!("{name}: it is not installed"))
}

fn write(disk: &Disk, slot: Slot, head: &[u8], root: (&Tree, &File), tell: &dyn Fn(String)) -> Result<()> {
    let other = slot.start + slot.length;
    for start in [0, disk.size - MIB, slot.start, other, other + slot.length] {
        disk.zero(start, MIB)?;
    }
    disk.sync()?;
    let total = root.0.geometry().data_blocks * BLOCK_BYTES;
    let mut told = 0;
    let mut report = |bytes: u64| {
        let percent = bytes * 100 / total;
        // A line each tenth part.
        if percent / 10 > told {
            told = percent / 10;
            tell(format!("{percent} % of {} MiB", total / MIB));
        }
    };
    delta::copy(root.0, root.1, &disk.part(slot.start, slot.length), &mut report)?;
    tell("writing the boot files".into());
    let (first, rest) = head.split_at_checked(usize::try_from(MIB)?).context("the boot files are cut off")?;
    disk.write(rest, MIB)?;
    disk.write(first, 0)
}

/// The tree behind the running root, checked.
fn tree(root: &File, request: &Request) -> Result<Tree> {
    let (root_hash, data_blocks) = (request.root_hash, request.data_blocks);
    let read = |bytes: &mut [u8], block: u64| {
        let read = block.checked_mul(BLOCK_BYTES).map(|at| root.read_exact_at(bytes, at));
        read.context("a root of this size is not possible")?.context("cannot read the hash tree of the running root")
    };
    let mut block = vec![0; BLOCK];
    read(&mut block, data_blocks)?;
    let superblock = Superblock::parse(&block)?;
    let geometry = Geometry { data_blocks, salt: superblock.salt, root_hash };
    geometry.check()?;
    let mut bytes = vec![0; usize::try_from(geometry.tree_blocks() * BLOCK_BYTES)?];
    read(&mut bytes, data_blocks)?;
    Ok(Tree::check(bytes, &geometry)?)
}

/// Slot A in the partition table of the boot files.
fn slot(head: &[u8]) -> Result<Slot> {
    let table = GPT::read_from(&mut Cursor::new(head), SECTOR).context("the boot files hold no partition table")?;
    let found = table.iter().find(|(_, entry)| entry.partition_name.as_str() == ROOT);
    let entry = found.context("the boot files hold no partition root-a")?.1;
    let (start, length) = (entry.starting_lba * SECTOR, entry.size()? * SECTOR);
    ensure!(head.len() as u64 <= start, "the boot files are longer than the room in front of root-a");
    Ok(Slot { start, length })
}

#[cfg(test)]
mod tests {
    use super::*;
    use gptman::GPTPartitionEntry;
    use std::cell::RefCell;
    use std::fs;
    use std::path::Path;

    const SLOT: Slot = Slot { start: 4 * MIB, length: 3 * MIB };

    /// A live root of 600 blocks with boot files behind it; the boot files.
    fn live(folder: &Path) -> (Request, Vec<u8>) {
        let data: Vec<u8> = (0..600u32).flat_map(|number| [number.to_le_bytes(); BLOCK / 4].concat()).collect();
        let tree = Tree::make(&*data, b"salt", [7; 16]).unwrap();
        let mut disk = Cursor::new(vec![0; 8 << 20]);
        let mut table = GPT::new_from(&mut disk, SECTOR, [1; 16]).unwrap();
        table[3] = GPTPartitionEntry {
            partition_type_guid: [2; 16],
            unique_partition_guid: [3; 16],
            starting_lba: SLOT.start / SECTOR,
            ending_lba: (SLOT.start + SLOT.length) / SECTOR - 1,
            attribute_bits: 0,
            partition_name: ROOT.into(),
        };
        table.write_into(&mut disk).unwrap();
        let mut front = disk.into_inner();
        front.truncate(usize::try_from(SLOT.start).unwrap());
        front[2 << 20..(2 << 20) + 5000].fill(9);
        let root = folder.join("root");
        fs::write(&root, [&*data, tree.superblock(), tree.levels(), &head::wrap(&front)].concat()).unwrap();
        let root_hash = tree.geometry().root_hash;
        (Request { disk: folder.join("disk"), root, root_hash, data_blocks: 600 }, front)
    }

    /// A disk full of something else where it matters.
    fn used(request: &Request, size: u64) -> File {
        let disk = File::options().read(true).write(true).create(true).truncate(true).open(&request.disk).unwrap();
        disk.set_len(size).unwrap();
        for at in [0, SLOT.start, SLOT.start + SLOT.length, SLOT.start + 2 * SLOT.length, size.saturating_sub(MIB)] {
            disk.write_all_at(&[0xee; 70 << 10], at).ok();
        }
        disk
    }

    #[test]
    fn the_disk_has_what_the_live_system_runs() {
        let folder = tempfile::tempdir().unwrap();
        let (request, front) = live(folder.path());
        let disk = used(&request, LEAST_BYTES);
        let told = RefCell::new(Vec::new());
        install(&request, &|text| told.borrow_mut().push(text)).unwrap();
        let at = |offset: u64, length: usize| {
            let mut bytes = vec![0; length];
            disk.read_exact_at(&mut bytes, offset).unwrap();
            bytes
        };
        assert!(at(0, front.len()) == front);
        let slot = fs::read(&request.root).unwrap();
        let length = 607 * BLOCK;
        assert!(at(SLOT.start, length) == slot[..length]);
        for cleared in [SLOT.start + SLOT.length, SLOT.start + 2 * SLOT.length, LEAST_BYTES - MIB] {
            assert!(at(cleared, 1 << 20).iter().all(|byte| *byte == 0), "{cleared}");
        }
        let told = told.into_inner();
        assert!(
            told[0].contains("is lost from here on") && told.iter().any(|line| line == "100 % of 2 MiB"),
            "{told:?}"
        );
    }

    #[test]
    fn nothing_is_written_when_something_is_wrong() {
        let folder = tempfile::tempdir().unwrap();
        let (good, _) = live(folder.path());
        let whole = fs::read(&good.root).unwrap();
        let flipped = |at: usize| {
            let mut root = whole.clone();
            root[at] ^= 1;
            root
        };
        for (size, root, part) in [
            (LEAST_BYTES - 1, whole.clone(), "3599 MiB, 3600 MiB are needed"),
            (LEAST_BYTES, whole[..607 * BLOCK].to_vec(), "carries nothing to install"),
            (LEAST_BYTES, flipped(600 * BLOCK + 5000), "hash tree"),
            (LEAST_BYTES, flipped(607 * BLOCK + 20), "boot files behind the root are damaged"),
        ] {
            let disk = used(&good, size);
            fs::write(&good.root, root).unwrap();
            let error = format!("{:#}", install(&good, &|_| ()).unwrap_err());
            assert!(error.contains(part), "{part}: {error}");
            let mut first = [0; 512];
            disk.read_exact_at(&mut first, 0).unwrap();
            assert_eq!(first, [0xee; 512], "{part}");
        }
    }

    #[test]
    fn a_damaged_root_leaves_a_disk_that_does_not_boot() {
        let folder = tempfile::tempdir().unwrap();
        let (request, _) = live(folder.path());
        let disk = used(&request, LEAST_BYTES);
        let mut root = fs::read(&request.root).unwrap();
        root[300 * BLOCK] ^= 1;
        fs::write(&request.root, root).unwrap();
        let error = format!("{:#}", install(&request, &|_| ()).unwrap_err());
        assert!(error.contains("it is not installed: block 300 of the running root"), "{error}");
        let mut first = [1; 1024];
        disk.read_exact_at(&mut first, 0).unwrap();
        assert_eq!(first, [0; 1024]);
    }
}
