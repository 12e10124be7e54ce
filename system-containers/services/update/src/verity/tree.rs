//! A hash tree in memory: 8 MiB for an image of 1 GiB.

use super::{BLOCK, BLOCK_BYTES, Geometry, Superblock, VerityError, levels};
use crate::digest::Digest;
use sha2::{Digest as _, Sha256};
use std::fmt;
use std::io::{self, Read};

/// A tree that matches its root hash.
#[derive(Clone, PartialEq, Eq)]
pub struct Tree {
    geometry: Geometry,
    /// Superblock and levels, as in the file.
    bytes: Vec<u8>,
    /// Where level 0 begins.
    leaves: usize,
}

/// The digest of a block.
#[must_use]
pub fn hash_block(salt: &[u8], block: &[u8]) -> Digest {
    Digest(Sha256::new().chain_update(salt).chain_update(block).finalize().into())
}

impl Tree {
    /// Checks the bytes of a tree file from the root hash down. Nothing in it is believed before.
    pub fn check(bytes: Vec<u8>, geometry: &Geometry) -> Result<Self, VerityError> {
        geometry.check()?;
        let expected = geometry.tree_blocks() * BLOCK_BYTES;
        if bytes.len() as u64 != expected {
            return Err(VerityError::Size { found: bytes.len() as u64, expected });
        }
        let (superblock, rest) = bytes.split_at(BLOCK);
        Superblock::parse(superblock)?.check(geometry)?;
        let mut above = geometry.root_hash.0.to_vec();
        let (mut rest, mut number, mut leaves) = (rest, 1, BLOCK);
        for blocks in levels(geometry.data_blocks) {
            let (level, below) = rest.split_at(to_size(blocks * BLOCK_BYTES));
            leaves = bytes.len() - rest.len();
            for (block, digest) in level.chunks_exact(BLOCK).zip(above.chunks_exact(32)) {
                if hash_block(&geometry.salt, block).0 != digest {
                    return Err(VerityError::Tree { block: number });
                }
                number += 1;
            }
            above = level.to_vec();
            rest = below;
        }
        Ok(Self { geometry: geometry.clone(), bytes, leaves })
    }

    /// Makes the tree of `data`, whole blocks, as veritysetup does.
    pub fn make(mut data: impl Read, salt: &[u8], uuid: [u8; 16]) -> io::Result<Self> {
        let mut level = Vec::new();
        let mut block = vec![0; BLOCK];
        let mut data_blocks = 0;
        while read_block(&mut data, &mut block)? {
            level.extend(hash_block(salt, &block).0);
            data_blocks += 1;
        }
        let mut parts = Vec::new();
        while level.len() > 32 {
            level.resize(level.len().next_multiple_of(BLOCK), 0);
            let above = level.chunks_exact(BLOCK).flat_map(|block| hash_block(salt, block).0).collect();
            parts.push(std::mem::replace(&mut level, above));
        }
        let root_hash =
            level.try_into().map(Digest).map_err(|_| io::Error::other("an image has at least one block"))?;
        let geometry = Geometry { data_blocks, salt: salt.to_vec(), root_hash };
        geometry.check().map_err(io::Error::other)?;
        let mut bytes = Superblock { uuid, data_blocks, salt: salt.to_vec() }.to_block();
        let leaves = bytes.len() + parts.iter().skip(1).map(Vec::len).sum::<usize>();
        bytes.extend(parts.into_iter().rev().flatten());
        Ok(Self { geometry, bytes, leaves })
    }

    /// What it was checked against.
    #[must_use]
    pub fn geometry(&self) -> &Geometry {
        &self.geometry
    }

    /// The digest of a data block; panics behind the last one.
    #[must_use]
    pub fn hash(&self, block: usize) -> &[u8; 32] {
        if self.geometry.data_blocks == 1 && block == 0 {
            return &self.geometry.root_hash.0;
        }
        assert!((block as u64) < self.geometry.data_blocks, "block {block} is behind the image");
        self.bytes[self.leaves + block * 32..].first_chunk().unwrap_or(&self.geometry.root_hash.0)
    }

    /// The digests of all data blocks.
    pub fn hashes(&self) -> impl Iterator<Item = &[u8; 32]> {
        (0..self.blocks()).map(|block| self.hash(block))
    }

    /// Data blocks.
    #[must_use]
    pub fn blocks(&self) -> usize {
        to_size(self.geometry.data_blocks)
    }

    /// Whether `block` is the data block number `index`.
    #[must_use]
    pub fn matches(&self, index: usize, block: &[u8]) -> bool {
        hash_block(&self.geometry.salt, block).0 == *self.hash(index)
    }

    /// The superblock, one block.
    #[must_use]
    pub fn superblock(&self) -> &[u8] {
        &self.bytes[..BLOCK]
    }

    /// The levels behind it; none for an image of one block.
    #[must_use]
    pub fn levels(&self) -> &[u8] {
        &self.bytes[BLOCK..]
    }
}

impl fmt::Debug for Tree {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tree").field("geometry", &self.geometry).finish_non_exhaustive()
    }
}

/// Numbers below [`super::MAX_DATA_BLOCKS`] blocks fit on every machine this runs on.
fn to_size(number: u64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

/// False at the end.
fn read_block(data: &mut impl Read, block: &mut [u8]) -> io::Result<bool> {
    let mut filled = 0;
    while filled < block.len() {
        match data.read(&mut block[filled..])? {
            0 if filled == 0 => return Ok(false),
            0 => return Err(io::Error::other("the image is not a whole number of blocks")),
            count => filled += count,
        }
    }
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SALT: [u8; 2] = [0x5a, 0x17];
    const UUID: [u8; 16] = *b"HULL\0\0\x40\0\x80\0\0\0\0\0\0\x01";

    fn data(blocks: usize) -> Vec<u8> {
        let byte = |block: usize, at: usize| u8::try_from((block * 7 + at) % 251).unwrap();
        (0..blocks).flat_map(|block| (0..BLOCK).map(move |at| byte(block, at))).collect()
    }

    /// Root hash and SHA-256 of the tree file that veritysetup 2.7 makes of the same data: `veritysetup format
    /// --format=1 --hash=sha256 --salt=5a17 --uuid=48554c4c-0000-4000-8000-000000000001`.
    #[test]
    fn trees_are_those_of_veritysetup() {
        for (blocks, root_hash, file) in [
            (
                1,
                "3ed9938c3a5458715ae9f5fd70876f49d2e4043eebaf93eae17f7464f2eddfd6",
                "97f077cd9c605f686965453e982d711e40734a57f3edba3c2151698387dccba3",
            ),
            (
                128,
                "eaa3127ebbd691295b33762adfbabfe283cb2c05a06d44ebc1ccc8f6606d85d2",
                "dbbe0092ab0deda66f5cb98351aed837e03db66aef61d32bdbb27914ce62b9ad",
            ),
            (
                129,
                "0013c146280cff4b5acc276249bc4205375bc778d4aa2b8df40ce1736d22fe10",
                "e00a1e0873719d2ca5bdae89d1b075706601bb51842af6944a0922dc236a0460",
            ),
        ] {
            let data = data(blocks);
            let tree = Tree::make(&data[..], &SALT, UUID).unwrap();
            assert_eq!(tree.geometry().root_hash.to_string(), root_hash, "{blocks}");
            assert_eq!(Digest::of(&tree.bytes).to_string(), file, "{blocks}");
            assert_eq!(Tree::check(tree.bytes.clone(), tree.geometry()), Ok(tree.clone()));
            assert!(data.chunks(BLOCK).enumerate().all(|(index, block)| tree.matches(index, block)));
            assert_eq!(tree.hashes().count(), blocks);
        }
    }

    #[test]
    fn a_bit_anywhere_in_the_levels_is_found() {
        let tree = Tree::make(&data(300)[..], &SALT, UUID).unwrap();
        assert_eq!(tree.bytes.len(), 5 * BLOCK);
        for (at, block) in [(BLOCK, 1), (2 * BLOCK - 1, 1), (2 * BLOCK, 2), (4 * BLOCK + 5, 4), (5 * BLOCK - 1, 4)] {
            let mut bytes = tree.bytes.clone();
            bytes[at] ^= 1;
            assert_eq!(Tree::check(bytes, tree.geometry()), Err(VerityError::Tree { block }), "{at}");
        }
        let cut = tree.bytes[..4 * BLOCK].to_vec();
        assert!(matches!(Tree::check(cut, tree.geometry()), Err(VerityError::Size { .. })));
        let other = Geometry { root_hash: Digest::of(b"x"), ..tree.geometry().clone() };
        assert_eq!(Tree::check(tree.bytes.clone(), &other), Err(VerityError::Tree { block: 1 }));
        let other = Geometry { salt: vec![1], ..tree.geometry().clone() };
        assert!(matches!(Tree::check(tree.bytes.clone(), &other), Err(VerityError::Other { .. })));
    }
}
