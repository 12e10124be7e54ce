//! Writes to slots that lose power, lose writes, or hold old images.

use super::*;
use crate::client::{ClientError, Part};
use crate::verity::{BLOCK, BLOCK_BYTES, MAGIC, Tree};
use proptest::prelude::*;
use std::cell::{Cell, RefCell};
use std::io;
use std::ops::Range;
use std::time::Duration;

/// A disk with a cache: what is not synced may be lost when the power is.
#[derive(Debug)]
struct Disk {
    durable: RefCell<Vec<u8>>,
    cached: RefCell<Vec<(u64, Vec<u8>)>>,
    /// Writes until the power is lost.
    writes_left: Cell<u32>,
    /// Number of a write that the disk says it did and did not.
    lost: Cell<Option<u64>>,
}

impl Disk {
    fn new(content: &[u8], blocks: usize) -> Self {
        let mut durable = content.to_vec();
        durable.resize(blocks * BLOCK, 0);
        let writes_left = Cell::new(u32::MAX);
        Self { durable: RefCell::new(durable), cached: RefCell::default(), writes_left, lost: Cell::new(None) }
    }

    /// The power is back: of the cached writes those are on the disk that `keep` has a bit for.
    fn restart(&self, keep: u64) {
        for (number, (offset, bytes)) in self.cached.take().into_iter().enumerate() {
            if keep.rotate_right(u32::try_from(number).unwrap()) & 1 == 1 {
                put(&mut self.durable.borrow_mut(), offset, &bytes);
            }
        }
        self.writes_left.set(u32::MAX);
    }

    fn content(&self) -> Vec<u8> {
        assert!(self.cached.borrow().is_empty(), "not synced");
        self.durable.borrow().clone()
    }
}

fn put(to: &mut [u8], offset: u64, bytes: &[u8]) {
    let at = usize::try_from(offset).unwrap();
    to[at..at + bytes.len()].copy_from_slice(bytes);
}

impl Storage for Disk {
    fn size(&self) -> io::Result<u64> {
        Ok(self.durable.borrow().len() as u64)
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        let mut seen = self.durable.borrow().clone();
        self.cached.borrow().iter().for_each(|(offset, bytes)| put(&mut seen, *offset, bytes));
        let at = usize::try_from(offset).unwrap();
        buffer.copy_from_slice(seen.get(at..at + buffer.len()).ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        let left = self.writes_left.get().checked_sub(1).ok_or(io::ErrorKind::BrokenPipe)?;
        self.writes_left.set(left);
        if self.lost.get() == Some(offset / BLOCK_BYTES) {
            return Ok(());
        }
        self.cached.borrow_mut().push((offset, bytes.to_vec()));
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        if self.writes_left.get() == 0 {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        self.restart(u64::MAX);
        Ok(())
    }

    fn forget(&self) -> io::Result<()> {
        Ok(())
    }
}

/// Blocks that begin with their number.
fn image(blocks: &[u32]) -> Vec<u8> {
    let block = |number: &u32| {
        let mut block = vec![0x11; BLOCK];
        block[..4].copy_from_slice(&number.to_le_bytes());
        block
    };
    blocks.iter().flat_map(block).collect()
}

fn tree(image: &[u8]) -> Tree {
    Tree::make(image, b"salt", [0; 16]).unwrap()
}

/// A whole slot.
fn slot(image: &[u8]) -> Vec<u8> {
    let tree = tree(image);
    [image, tree.superblock(), tree.levels()].concat()
}

fn serve<'a>(image: &'a [u8]) -> impl Fn(Range<u64>) -> Result<Part, ClientError> + 'a {
    |range| {
        let range = usize::try_from(range.start).unwrap()..usize::try_from(range.end).unwrap();
        Ok(Part { is_whole: false, body: Box::new(io::Cursor::new(image[range].to_vec())) })
    }
}

fn job<'a>(tree: &'a Tree, target: &'a Disk, running: Option<&'a Disk>) -> Job<'a> {
    let blocks = |running: &Disk| running.size().unwrap() / BLOCK_BYTES;
    let running = running.map(|running| (running as &dyn Storage, blocks(running)));
    Job { running, pause: Duration::ZERO, ..Job::new(tree, target) }
}

#[test]
fn blocks_come_from_where_they_are() {
    // In place: 1. Moved within the running image: 2 and 4. Twice: 1. New: 9.
    let new = image(&[1, 4, 2, 9, 1]);
    let (tree, running, target) = (tree(&new), Disk::new(&image(&[2, 3, 4]), 3), Disk::new(&image(&[1, 7]), 8));
    let mut reports = Vec::new();
    let progress = write(&job(&tree, &target, Some(&running)), &serve(&new), &mut |now| reports.push(now)).unwrap();
    let bytes = |blocks: u64| blocks * BLOCK_BYTES;
    let expected =
        Progress { in_place: bytes(1), copied: bytes(3), fetched: bytes(1), used: bytes(1), total: bytes(5) };
    assert_eq!(progress, expected);
    assert_eq!(reports.last(), Some(&expected));
    assert_eq!(target.content()[..7 * BLOCK], slot(&new));
}

#[test]
fn a_whole_slot_is_copied() {
    let new = image(&(0..600).collect::<Vec<_>>());
    let tree = tree(&new);
    let target = Disk::new(&slot(&image(&[8])), 610);
    let mut last = 0;
    copy(&tree, &Disk::new(&slot(&new), 610), &target, &mut |bytes| last = bytes).unwrap();
    assert_eq!((last, &target.content()[..slot(&new).len()]), (new.len() as u64, &*slot(&new)));
}

#[test]
fn what_is_copied_is_what_the_root_hash_says() {
    let new = image(&[1, 2, 3]);
    let (tree, mut damaged) = (tree(&new), slot(&new));
    damaged[2 * BLOCK] ^= 1;
    for (source, target, part) in [
        (Disk::new(&damaged, 5), Disk::new(&slot(&new), 8), "block 2 of the running root has other bytes"),
        (Disk::new(&slot(&new), 5), Disk::new(&[], 4), "the release needs"),
    ] {
        let error = copy(&tree, &source, &target, &mut |_| ()).unwrap_err().to_string();
        assert!(error.contains(part), "{error}");
        assert!(!target.content().windows(MAGIC.len()).any(|bytes| bytes == MAGIC), "no slot is left");
    }
}

#[test]
fn a_slot_that_is_done_is_left_as_it_is() {
    let new = image(&[1, 2, 3]);
    let target = Disk::new(&slot(&new), 8);
    let refuse = |_| Err(ClientError::Url { reason: "nothing should be fetched".into() });
    let progress = write(&job(&tree(&new), &target, None), &refuse, &mut |_| ()).unwrap();
    assert_eq!((progress.in_place, progress.fetched), (3 * BLOCK_BYTES, 0));
    assert_eq!(target.content()[..5 * BLOCK], slot(&new));
}

#[test]
fn a_slot_that_is_too_small_is_left_alone() {
    let new = image(&[1, 2, 3]);
    let target = Disk::new(&slot(&image(&[8])), 4);
    let error = write(&job(&tree(&new), &target, None), &serve(&new), &mut |_| ()).unwrap_err();
    assert!(matches!(error, DeltaError::TooSmall { needed: 20480, found: 16384 }), "{error}");
    assert_eq!(target.content()[..2 * BLOCK], slot(&image(&[8])));
}

#[test]
fn blocks_with_other_bytes_are_never_written() {
    let (new, forged) = (image(&[1, 2, 3, 4]), image(&[1, 2, 2, 4]));
    let target = Disk::new(&[], 8);
    let error = write(&job(&tree(&new), &target, None), &serve(&forged), &mut |_| ()).unwrap_err();
    assert!(matches!(error, DeltaError::Corrupt { block: 2 }), "{error}");
    target.sync().unwrap();
    assert_eq!(target.content(), [image(&[1, 2]), vec![0; 6 * BLOCK]].concat());
}

/// Also a running slot that changes between survey and copy: what it had is fetched.
#[test]
fn a_source_that_is_gone_is_made_up_for() {
    #[derive(Debug)]
    struct Fading(Disk, Cell<u32>);
    impl Storage for Fading {
        fn size(&self) -> io::Result<u64> {
            self.0.size()
        }
        fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
            self.1.set(self.1.get() + 1);
            if self.1.get() > 2 { Err(io::ErrorKind::Other.into()) } else { self.0.read_at(buffer, offset) }
        }
        fn write_at(&self, _: &[u8], _: u64) -> io::Result<()> {
            Err(io::ErrorKind::ReadOnlyFilesystem.into())
        }
        fn sync(&self) -> io::Result<()> {
            Ok(())
        }
        fn forget(&self) -> io::Result<()> {
            Ok(())
        }
    }
    let new = image(&[1, 2, 3]);
    let (tree, target) = (tree(&new), Disk::new(&[], 8));
    let running = Fading(Disk::new(&image(&[3, 2, 1]), 3), Cell::new(0));
    let job = Job { running: Some((&running, 3)), ..job(&tree, &target, None) };
    let progress = write(&job, &serve(&new), &mut |_| ()).unwrap();
    assert_eq!((progress.copied, progress.fetched), (BLOCK_BYTES, 2 * BLOCK_BYTES));
    assert_eq!(target.content()[..5 * BLOCK], slot(&new));
}

#[test]
fn a_disk_that_loses_a_write_makes_no_slot() {
    let new = image(&[1, 2, 3]);
    let tree = tree(&new);
    // 3 is the superblock, 4 the tree.
    for lost in [0, 2, 3, 4] {
        let target = Disk::new(&[], 8);
        target.lost.set(Some(lost));
        let error = write(&job(&tree, &target, None), &serve(&new), &mut |_| ()).unwrap_err();
        assert!(matches!(error, DeltaError::ReadBack { block } if block == lost), "{lost}: {error}");
        target.sync().unwrap();
        assert!(!target.content()[3 * BLOCK..].starts_with(MAGIC), "{lost}");
    }
}

#[test]
fn superblocks_of_images_before_are_gone_first() {
    for old in [&[7, 8][..], &[7, 8, 9, 10, 11, 12]] {
        let new = image(&[1, 2, 3, 4]);
        let target = Disk::new(&slot(&image(old)), 12);
        let stale = [old.len() as u64, 1 << 60];
        let tree = tree(&new);
        let job = Job { stale: &stale, ..job(&tree, &target, None) };
        let refuse = |_| Err(ClientError::Url { reason: "x".into() });
        assert!(write(&job, &refuse, &mut |_| ()).is_err());
        assert!(target.content().chunks(BLOCK).all(|block| !block.starts_with(MAGIC)));
    }
}

#[test]
fn a_server_that_breaks_off_is_asked_for_the_rest() {
    let new = image(&(0..60).collect::<Vec<_>>());
    let asked = RefCell::new(Vec::new());
    // So many blocks and a half each time.
    let fetch = |blocks: usize| {
        let (new, asked) = (&new, &asked);
        move |range: Range<u64>| {
            asked.borrow_mut().push(range.start / BLOCK_BYTES);
            let start = usize::try_from(range.start).unwrap();
            let body = new[start..(start + BLOCK * blocks + BLOCK / 2).min(new.len())].to_vec();
            Ok(Part { is_whole: false, body: Box::new(io::Cursor::new(body)) })
        }
    };
    let target = Disk::new(&[], 70);
    write(&job(&tree(&new), &target, None), &fetch(16), &mut |_| ()).unwrap();
    assert_eq!(asked.take(), [0, 16, 32, 48]);
    // Too little each time is as good as nothing.
    for (blocks, expected) in [(1, [0, 1, 2, 3]), (0, [0; 4])] {
        let target = Disk::new(&[], 70);
        let error = write(&job(&tree(&new), &target, None), &fetch(blocks), &mut |_| ()).unwrap_err();
        assert!(matches!(error, DeltaError::BrokenOff { attempts: 4, .. }), "{error}");
        assert_eq!(asked.take(), expected);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// Whenever the power goes, and whichever writes the disk had done by then: either the slot is whole, or it has no
    /// superblock; and the next run makes it whole.
    #[test]
    fn power_loss_leaves_no_half_slot(
        old in proptest::collection::vec(0u32..12, 1..12),
        new in proptest::collection::vec(0u32..16, 1..12),
        running in proptest::collection::vec(0u32..12, 1..6),
        writes in 0u32..20,
        keep in any::<u64>(),
    ) {
        let new = image(&new);
        let (tree, whole) = (tree(&new), slot(&new));
        let stale = [old.len() as u64];
        let target = Disk::new(&slot(&image(&old)), 20);
        let running = Disk::new(&image(&running), running.len());
        let job = Job { stale: &stale, ..job(&tree, &target, Some(&running)) };
        target.writes_left.set(writes);
        let result = write(&job, &serve(&new), &mut |_| ());
        target.restart(keep);
        let content = target.content();
        let is_whole = content[..whole.len()] == whole;
        let old_slot = slot(&image(&old));
        let is_old = content[..old_slot.len()] == old_slot;
        let has_superblock = content.chunks(BLOCK).any(|block| block.starts_with(MAGIC));
        prop_assert!(is_whole || is_old || !has_superblock);
        prop_assert!(result.is_err() || is_whole);
        write(&job, &serve(&new), &mut |_| ()).unwrap();
        prop_assert_eq!(&target.content()[..whole.len()], &whole[..]);
    }
}
