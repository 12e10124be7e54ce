//! What lies where: both slots are read once and every block compared by its digest.

use super::plan::{Plan, Source, plan};
use super::storage::Storage;
use crate::digest::Digest;
use crate::verity::{BLOCK, BLOCK_BYTES, MAGIC, Tree, hash_block};
use std::io;

/// Blocks read at a time.
const CHUNK: u64 = 256;
static ZEROS: [u8; BLOCK] = [0; BLOCK];

/// What was found. For an image of 1 GiB 4 MiB: numbers instead of digests, which are in the tree.
#[derive(Debug)]
pub(super) struct Survey<'a> {
    tree: &'a Tree,
    /// Digest of a block of zeros: what a fresh slot is full of is not hashed over and over.
    zeros: Digest,
    /// Blocks of the image in the order of their digests.
    order: Vec<u32>,
    /// Where bytes lie that are wanted; by place in `order`, at the first of equal ones.
    sources: Vec<Option<Source>>,
    /// By block of the image.
    in_place: Vec<bool>,
    /// Blocks of the target that look like superblocks and are not wanted.
    pub(super) stale: Vec<u64>,
}

impl<'a> Survey<'a> {
    /// Reads the target and the running slot's image, which has `running.1` blocks. What cannot be read is not there.
    pub(super) fn take(tree: &'a Tree, target: &dyn Storage, running: Option<(&dyn Storage, u64)>) -> Self {
        let count = tree.blocks();
        let mut order: Vec<u32> = (0..).take(count).collect();
        order.sort_unstable_by_key(|block| *tree.hash(index(*block)));
        let zeros = hash_block(&tree.geometry().salt, &ZEROS);
        let mut survey =
            Self { tree, zeros, order, sources: vec![None; count], in_place: vec![false; count], stale: Vec::new() };
        each_block(target, count as u64, &mut |number, block| survey.see_target(number, block));
        if let Some((running, blocks)) = running {
            each_block(running, blocks, &mut |number, block| survey.see_running(number, block));
        }
        survey
    }

    pub(super) fn plan(&self) -> Plan {
        plan(self.tree.hashes(), &self.in_place, |hash| self.place(hash).and_then(|place| self.sources[place]))
    }

    fn see_target(&mut self, number: u32, block: &[u8]) {
        let hash = self.hash(block);
        if hash == *self.tree.hash(index(number)) {
            self.in_place[index(number)] = true;
            if let Some(place) = self.place(&hash) {
                self.sources[place].get_or_insert(Source::Target(number));
            }
        } else if block.starts_with(MAGIC) {
            self.stale.push(u64::from(number));
        }
    }

    fn see_running(&mut self, number: u32, block: &[u8]) {
        let hash = self.hash(block);
        if let Some(place) = self.place(&hash) {
            self.sources[place] = Some(Source::Running(number));
        }
    }

    fn hash(&self, block: &[u8]) -> [u8; 32] {
        if *block == ZEROS { self.zeros.0 } else { hash_block(&self.tree.geometry().salt, block).0 }
    }

    /// First place in `order` of a wanted digest.
    fn place(&self, hash: &[u8; 32]) -> Option<usize> {
        let at = |block: u32| self.tree.hash(index(block));
        let place = self.order.partition_point(|block| at(*block) < hash);
        self.order.get(place).filter(|block| at(**block) == hash).map(|_| place)
    }
}

/// Calls `see` with every block that can be read.
fn each_block(storage: &dyn Storage, blocks: u64, see: &mut dyn FnMut(u32, &[u8])) {
    let mut buffer = vec![0; BLOCK * index(u32::try_from(CHUNK).unwrap_or(u32::MAX))];
    let mut first = 0;
    while first < blocks {
        let count = CHUNK.min(blocks - first);
        let chunk = &mut buffer[..BLOCK * usize::try_from(count).unwrap_or(usize::MAX)];
        let whole: io::Result<()> = storage.read_at(chunk, first * BLOCK_BYTES);
        for (number, block) in (first..).zip(chunk.chunks_exact_mut(BLOCK)) {
            let is_read = whole.is_ok() || storage.read_at(block, number * BLOCK_BYTES).is_ok();
            if let Some(number) = u32::try_from(number).ok().filter(|_| is_read) {
                see(number, block);
            }
        }
        first += count;
    }
}

/// A block's number as an index.
fn index(block: u32) -> usize {
    usize::try_from(block).unwrap_or(usize::MAX)
}
