//! A slot written from another one that holds the same image.

use super::error::DeltaError;
use super::seal::{CHUNK, clear, seal};
use super::storage::Storage;
use super::write::has_room;
use crate::verity::{BLOCK, BLOCK_BYTES, Tree};

/// Writes `target` from `source`, both slots from their beginnings on; `report` gets the bytes that are written. It is a slot
/// when this returns: every byte of it was read back from the disk.
///
/// # Errors
/// Nothing that can be taken for a slot is left then.
pub fn copy(
    tree: &Tree,
    source: &dyn Storage,
    target: &dyn Storage,
    report: &mut dyn FnMut(u64),
) -> Result<(), DeltaError> {
    has_room(tree, target)?;
    let data_blocks = tree.geometry().data_blocks;
    clear(target, std::iter::once(data_blocks))?;
    let mut buffer = vec![0; CHUNK * BLOCK];
    for first in (0..data_blocks).step_by(CHUNK) {
        let blocks = usize::try_from(data_blocks - first).map_or(CHUNK, |left| left.min(CHUNK));
        let chunk = &mut buffer[..blocks * BLOCK];
        source.read_at(chunk, first * BLOCK_BYTES).map_err(|source| DeltaError::Source { block: first, source })?;
        for (number, block) in (first..).zip(chunk.chunks_exact(BLOCK)) {
            if !usize::try_from(number).is_ok_and(|number| tree.matches(number, block)) {
                return Err(DeltaError::Damaged { block: number });
            }
        }
        let written = target.write_at(chunk, first * BLOCK_BYTES);
        written.map_err(|source| DeltaError::Target { action: "write", block: first, source })?;
        report((first + blocks as u64) * BLOCK_BYTES);
    }
    seal(target, tree)
}
