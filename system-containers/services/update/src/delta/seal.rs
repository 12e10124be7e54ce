//! When a slot is one: its superblock comes last, when everything else is on the disk and was read from there.

use super::error::DeltaError;
use super::storage::Storage;
use crate::verity::{BLOCK, BLOCK_BYTES, MAGIC, Tree};
use std::io;

/// Blocks copied or read back at a time.
pub(super) const CHUNK: usize = 256;

/// Zeroes block number `index` of a slot where it begins as a superblock does, and waits until that is on the disk. True
/// when it was one.
pub fn invalidate(target: &dyn Storage, index: u64) -> io::Result<bool> {
    let offset = index.saturating_mul(BLOCK_BYTES);
    if offset.saturating_add(BLOCK_BYTES) > target.size()? {
        return Ok(false);
    }
    let mut start = [0; MAGIC.len()];
    target.read_at(&mut start, offset)?;
    if start != *MAGIC {
        return Ok(false);
    }
    target.write_at(&[0; BLOCK], offset)?;
    target.sync()?;
    Ok(true)
}

/// Invalidates several.
pub(super) fn clear(target: &dyn Storage, blocks: impl Iterator<Item = u64>) -> Result<(), DeltaError> {
    for block in blocks {
        invalidate(target, block).map_err(|source| DeltaError::Target { action: "clear", block, source })?;
    }
    Ok(())
}

/// Makes a slot of a target whose data blocks are written.
pub(super) fn seal(target: &dyn Storage, tree: &Tree) -> Result<(), DeltaError> {
    let data_blocks = tree.geometry().data_blocks;
    let at = |action, block| move |source| DeltaError::Target { action, block, source };
    target.sync().map_err(at("sync up to", data_blocks))?;
    target.write_at(tree.levels(), (data_blocks + 1) * BLOCK_BYTES).map_err(at("write", data_blocks + 1))?;
    target.sync().map_err(at("sync the tree at", data_blocks + 1))?;
    target.forget().map_err(at("read back from", 0))?;
    read_back(target, 0, data_blocks, |number, block| {
        usize::try_from(number).is_ok_and(|number| tree.matches(number, block))
    })?;
    let levels = tree.levels().chunks_exact(BLOCK);
    let mut expected = levels.clone();
    read_back(target, data_blocks + 1, levels.len() as u64, |_, block| expected.next() == Some(block))?;
    target.write_at(tree.superblock(), data_blocks * BLOCK_BYTES).map_err(at("write", data_blocks))?;
    target.sync().map_err(at("sync the superblock at", data_blocks))?;
    target.forget().map_err(at("read back from", data_blocks))?;
    let result = read_back(target, data_blocks, 1, |_, block| block == tree.superblock());
    if result.is_err() {
        clear(target, std::iter::once(data_blocks))?;
    }
    result
}

/// Reads `count` blocks from `first` on and asks of each whether it is right.
fn read_back(
    target: &dyn Storage,
    first: u64,
    count: u64,
    mut is_right: impl FnMut(u64, &[u8]) -> bool,
) -> Result<(), DeltaError> {
    let mut buffer = vec![0; CHUNK * BLOCK];
    let (mut next, end) = (first, first + count);
    while next < end {
        let blocks = usize::try_from(end - next).map_or(CHUNK, |left| left.min(CHUNK));
        let chunk = &mut buffer[..blocks * BLOCK];
        let read = target.read_at(chunk, next * BLOCK_BYTES);
        read.map_err(|source| DeltaError::Target { action: "read back", block: next, source })?;
        for block in chunk.chunks_exact(BLOCK) {
            if !is_right(next, block) {
                return Err(DeltaError::ReadBack { block: next });
            }
            next += 1;
        }
    }
    Ok(())
}
