//! The verified root: a dm-verity device over the root slot, made from the command line's parameters alone (the superblock
//! on disk is not read, let alone trusted), and what the kernel says about it later.

use super::cmdline::Verity;
use super::disk::Partition;
use crate::error::BootError;
use hull_sys::dm::{Control, Error, minor};

/// Name and UUID of the mapped device; others find it by them.
pub(crate) const NAME: &str = "hull-root";
const BLOCK_BYTES: u64 = 4096;
const SECTORS_PER_BLOCK: u64 = BLOCK_BYTES / 512;
const DIGESTS_PER_BLOCK: u64 = BLOCK_BYTES / 32;

/// Creates the device; returns its node, `/dev/dm-N`.
pub(crate) fn open(partition: &Partition, verity: &Verity) -> Result<String, BootError> {
    let needed = needed_bytes(verity.data_blocks);
    if partition.bytes < needed {
        return Err(BootError::RootTooSmall { device: partition.device(), bytes: partition.bytes, needed });
    }
    map(partition, verity).map_err(|source| BootError::Verity { device: partition.device(), source })
}

fn map(partition: &Partition, verity: &Verity) -> Result<String, Error> {
    let control = Control::open()?;
    let device = control.create(NAME, &format!("HULL-{}", verity.root_hash))?;
    let sectors = verity.data_blocks * SECTORS_PER_BLOCK;
    control.load(NAME, sectors, "verity", &parameters(&partition.number, verity))?;
    control.resume(NAME)?;
    Ok(format!("/dev/dm-{}", minor(device)))
}

/// Whether the kernel has met a block that does not match the root hash, in words for an error message.
pub(crate) fn finding() -> &'static str {
    match Control::open().and_then(|control| control.status(NAME)).as_deref() {
        Ok(status) if status.starts_with('C') => {
            "the data on disk do not match the root hash: corrupted or tampered with"
        }
        Ok(status) if status.starts_with('V') => "every block read so far matches the root hash",
        _ => "its verification state is not known",
    }
}

/// Table line of target `verity`, kernel documentation `admin-guide/device-mapper/verity.rst`. Data, one block of
/// superblock, hash tree: all on one device. Without options a mismatch is an I/O error for the reader.
fn parameters(device: &str, verity: &Verity) -> String {
    let Verity { data_blocks, salt, root_hash } = verity;
    let hash_start = data_blocks + 1;
    format!("1 {device} {device} {BLOCK_BYTES} {BLOCK_BYTES} {data_blocks} {hash_start} sha256 {root_hash} {salt}")
}

/// Data, superblock, and the levels of the tree up to its single root block.
fn needed_bytes(data_blocks: u64) -> u64 {
    let (mut blocks, mut level) = (data_blocks + 1, data_blocks);
    while level > 1 {
        level = level.div_ceil(DIGESTS_PER_BLOCK);
        blocks += level;
    }
    blocks * BLOCK_BYTES
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_line_names_the_hash_tree_behind_the_superblock() {
        let verity = Verity { data_blocks: 100, salt: "-".into(), root_hash: "ab".into() };
        assert_eq!(parameters("254:3", &verity), "1 254:3 254:3 4096 4096 100 101 sha256 ab -");
    }

    #[test]
    fn needed_bytes_count_every_level() {
        for (data, blocks) in [(1, 2), (2, 4), (128, 130), (129, 133), (128 * 128, 128 * 128 + 1 + 128 + 1)] {
            assert_eq!(needed_bytes(data), blocks * 4096, "{data} data blocks");
        }
    }
}
