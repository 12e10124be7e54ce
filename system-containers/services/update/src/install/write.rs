//! A disk written from the running root, in an order that a power cut cannot make something of that boots and is not whole:
//!
//! ```text
//! clear       first and last MiB, and where the first boot makes slot B and state: nothing of what was there is found again
//! root        block by block against the root hash, read back, superblock last
//! ESP, GRUB   user data among the ESP's files; read back
//! first MiB   boot sector and partition table: from here on the disk boots
//! ```

use super::disk::Disk;
use super::job::{LEAST_BYTES, Request};
use super::table::{self, Extent};
use super::{esp, head};
use crate::delta::{self, Storage};
use crate::verity::{BLOCK, BLOCK_BYTES, Geometry, Superblock, Tree};
use anyhow::{Context, Result, ensure};
use std::fs::File;
use std::os::unix::fs::FileExt;

const MIB: u64 = 1 << 20;
/// Name of the partition that is slot A.
const ROOT: &str = "root-a";

/// Carries out a job; `tell` hears what is being done.
///
/// # Errors
/// Name what is wrong. Before "everything … is lost" was told, nothing was written.
pub fn install(request: &Request, tell: &dyn Fn(String)) -> Result<()> {
    let root = File::open(&request.root).with_context(|| request.root.display().to_string())?;
    let tree = tree(&root, request)?;
    let mut head = head::read(&root, tree.geometry().slot_blocks() * BLOCK_BYTES)?;
    if let Some(text) = &request.user_data {
        esp::lay(&mut head, text)?;
    }
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

fn write<S: Storage>(
    disk: &Disk<S>,
    slot: Extent,
    head: &[u8],
    root: (&Tree, &File),
    tell: &dyn Fn(String),
) -> Result<()> {
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
fn slot(head: &[u8]) -> Result<Extent> {
    let slot = table::find(head, ROOT)?;
    ensure!(head.len() as u64 <= slot.start, "the boot files are longer than the room in front of {ROOT}");
    Ok(slot)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::install::table::SECTOR;
    use crate::install::testing::{Failing, Kept, boot_files, user_data};
    use gptman::GPT;
    use std::cell::RefCell;
    use std::fs;
    use std::path::Path;

    /// The smallest that FAT32 can be, with clusters of a sector.
    const ESP: Extent = Extent { start: 2 * MIB, length: 36 * MIB };
    const SLOT: Extent = Extent { start: 40 * MIB, length: 3 * MIB };
    const USER_DATA: &str = "#cloud-config\nhostname: installed\n";

    /// A live root of 600 blocks with boot files behind it; the boot files.
    fn live(folder: &Path) -> (Request, Vec<u8>) {
        let data: Vec<u8> = (0..600u32).flat_map(|number| [number.to_le_bytes(); BLOCK / 4].concat()).collect();
        let tree = Tree::make(&*data, b"salt", [7; 16]).unwrap();
        let front = boot_files(ESP, 1, SLOT);
        let root = folder.join("root");
        fs::write(&root, [&*data, tree.superblock(), tree.levels(), &head::wrap(&front)].concat()).unwrap();
        let root_hash = tree.geometry().root_hash;
        let disk = folder.join("disk");
        (Request { disk, root, root_hash, data_blocks: 600, user_data: None }, front)
    }

    /// A disk full of something else where it matters.
    fn used(request: &Request, size: u64) -> File {
        let disk = File::options().read(true).write(true).create(true).truncate(true).open(&request.disk).unwrap();
        disk.set_len(size).unwrap();
        let other = SLOT.start + SLOT.length;
        for at in [0, ESP.start, SLOT.start, other, other + SLOT.length, size.saturating_sub(MIB)] {
            disk.write_all_at(&vec![0xee; 1 << 20], at).ok();
        }
        disk
    }

    fn at(disk: &File, offset: u64, length: usize) -> Vec<u8> {
        let mut bytes = vec![0; length];
        disk.read_exact_at(&mut bytes, offset).unwrap();
        bytes
    }

    /// What the first boot finds on the ESP, whose rest is as it was before the disk was written.
    fn found(disk: &File) -> Vec<u8> {
        user_data(&at(disk, ESP.start, usize::try_from(ESP.length).unwrap()), ESP.length)
    }

    #[test]
    fn the_disk_has_what_the_live_system_runs() {
        let folder = tempfile::tempdir().unwrap();
        let (request, front) = live(folder.path());
        let disk = used(&request, LEAST_BYTES);
        let told = RefCell::new(Vec::new());
        install(&request, &|text| told.borrow_mut().push(text)).unwrap();
        assert!(at(&disk, 0, front.len()) == front);
        let slot = fs::read(&request.root).unwrap();
        let length = 607 * BLOCK;
        assert!(at(&disk, SLOT.start, length) == slot[..length]);
        for cleared in [SLOT.start + SLOT.length, SLOT.start + 2 * SLOT.length, LEAST_BYTES - MIB] {
            assert!(at(&disk, cleared, 1 << 20).iter().all(|byte| *byte == 0), "{cleared}");
        }
        let told = told.into_inner();
        assert!(
            told[0].contains("is lost from here on") && told.iter().any(|line| line == "100 % of 2 MiB"),
            "{told:?}"
        );
    }

    #[test]
    fn the_first_boot_finds_its_user_data() {
        let folder = tempfile::tempdir().unwrap();
        let (request, front) = live(folder.path());
        let request = Request { user_data: Some(USER_DATA.into()), ..request };
        let disk = used(&request, LEAST_BYTES);
        install(&request, &|_| ()).unwrap();
        assert_eq!(found(&disk), USER_DATA.as_bytes());
        assert!(at(&disk, 0, 1 << 20) == front[..1 << 20]);
        assert!(!format!("{request:?}").contains("cloud-config"), "{request:?}");
    }

    #[test]
    fn user_data_that_does_not_fit_costs_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let (request, _) = live(folder.path());
        let request = Request { user_data: Some("#".repeat(36 << 20)), ..request };
        let disk = used(&request, LEAST_BYTES);
        let told = RefCell::new(Vec::new());
        let error = format!("{:#}", install(&request, &|text| told.borrow_mut().push(text)).unwrap_err());
        assert!(error.contains("has 36864 KiB") && error.contains("has room for 3"), "{error}");
        assert_eq!(told.into_inner(), [""; 0]);
        assert_eq!(at(&disk, 0, 512), [0xee; 512]);
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
            assert_eq!(at(&disk, 0, 512), [0xee; 512], "{part}");
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
        assert_eq!(at(&disk, 0, 1024), [0; 1024]);
    }

    #[test]
    fn after_a_power_cut_there_is_a_whole_disk_or_no_table() {
        let folder = tempfile::tempdir().unwrap();
        let (request, _) = live(folder.path());
        let root = File::open(&request.root).unwrap();
        let tree = tree(&root, &request).unwrap();
        let slot_bytes = usize::try_from(tree.geometry().slot_blocks() * BLOCK_BYTES).unwrap();
        let mut head = head::read(&root, slot_bytes as u64).unwrap();
        esp::lay(&mut head, USER_DATA).unwrap();
        let cut_after = |steps: usize, kept: Kept| {
            let disk = Disk::new(Failing::new(used(&request, LEAST_BYTES), steps)).unwrap();
            let done = write(&disk, SLOT, &head, (&tree, &root), &|_| ()).is_ok();
            let (left, file) = disk.into_storage().restart(kept);
            (done, steps - left, file)
        };
        let (done, all, disk) = cut_after(1000, Kept::None);
        assert!(done);
        assert_eq!(found(&disk), USER_DATA.as_bytes());
        let mut tables = 0;
        for (steps, kept) in (0..all).flat_map(|steps| [Kept::All, Kept::None, Kept::Last].map(|kept| (steps, kept))) {
            let (done, _, mut disk) = cut_after(steps, kept);
            assert!(!done, "{steps} {kept:?}");
            let has_table = at(&disk, 510, 2) == [0x55, 0xaa] || GPT::read_from(&mut disk, SECTOR).is_ok();
            if has_table {
                tables += 1;
                // The last two steps write the first MiB and wait for it.
                assert_eq!(steps, all - 1, "{kept:?}: a table before the last step");
                assert!(at(&disk, 0, head.len()) == head, "{kept:?}");
                assert!(at(&disk, SLOT.start, slot_bytes) == at(&root, 0, slot_bytes), "{kept:?}");
            }
        }
        assert_eq!(tables, 2, "only the write that is on the disk though no sync followed makes one");
    }
}
