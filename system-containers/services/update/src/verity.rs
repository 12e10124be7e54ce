//! The dm-verity hash tree of an image, format 1 with SHA-256 and blocks of 4096 bytes, as veritysetup(8) writes it and
//! the kernel reads it (`admin-guide/device-mapper/verity.rst`).
//!
//! ```text
//! slot:  | data blocks 0 … n-1 | superblock | top level | … | level 0 |
//! tree file `root.verity`:     | superblock | top level | … | level 0 |
//! ```
//!
//! A block of a level holds the digests of 128 blocks of the level below, zeros behind the last; level 0 holds those of
//! the data. The root hash is the digest of the single block of the top level. A digest is SHA-256 over salt and block.
//!
//! | module | what |
//! |---|---|
//! | `superblock` | the block in front of the tree: only read by tools and to tell which slot holds what |
//! | `tree` | a tree checked from its root hash down, or made from data |

mod superblock;
mod tree;

pub use superblock::{MAGIC, Superblock};
pub use tree::{Tree, hash_block};

use crate::digest::{Digest, hex};
use serde::{Deserialize, Serialize};

/// Bytes of a block, of data and of hashes.
pub const BLOCK: usize = 4096;
/// The same as an offset.
pub const BLOCK_BYTES: u64 = 4096;
/// Digests in a block.
const DIGESTS: u64 = BLOCK_BYTES / 32;
/// Bytes of a salt at most: the field of the superblock.
pub const MAX_SALT: usize = 256;
/// Data blocks at most: 64 GiB, far above any slot, so that no arithmetic overflows and an index fits in 32 bits.
pub const MAX_DATA_BLOCKS: u64 = 1 << 24;

/// What a manifest or a kernel command line says of an image.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
pub struct Geometry {
    /// Blocks of data.
    pub data_blocks: u64,
    /// In front of every block that is hashed.
    #[serde(with = "salt")]
    pub salt: Vec<u8>,
    /// Digest of the top of the tree.
    pub root_hash: Digest,
}

impl Geometry {
    /// Whether the numbers are within bounds.
    pub fn check(&self) -> Result<(), VerityError> {
        if !(1..=MAX_DATA_BLOCKS).contains(&self.data_blocks) {
            return Err(VerityError::DataBlocks { found: self.data_blocks });
        }
        if self.salt.len() > MAX_SALT {
            return Err(VerityError::Salt { found: hex(&self.salt) });
        }
        Ok(())
    }

    /// Blocks of superblock and tree.
    #[must_use]
    pub fn tree_blocks(&self) -> u64 {
        1 + levels(self.data_blocks).iter().sum::<u64>()
    }

    /// Blocks of data, superblock and tree: what a slot has to hold.
    #[must_use]
    pub fn slot_blocks(&self) -> u64 {
        self.data_blocks + self.tree_blocks()
    }
}

/// Blocks of each level, the top first. A single block of data needs no tree: its digest is the root hash.
fn levels(data_blocks: u64) -> Vec<u64> {
    let mut levels = Vec::new();
    let mut blocks = data_blocks;
    while blocks > 1 {
        blocks = blocks.div_ceil(DIGESTS);
        levels.insert(0, blocks);
    }
    levels
}

/// A hash tree or superblock that is not the image's.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum VerityError {
    /// The number of data blocks is out of bounds.
    #[error("an image of {found} blocks is not possible: 1 to {MAX_DATA_BLOCKS} are")]
    DataBlocks {
        /// Blocks.
        found: u64,
    },
    /// The salt is too long.
    #[error("the salt {found} is longer than {MAX_SALT} bytes")]
    Salt {
        /// Hexadecimal digits.
        found: String,
    },
    /// The tree's size does not go with the number of data blocks.
    #[error("the hash tree has {found} bytes, {expected} belong to its image: it is cut off or that of another image")]
    Size {
        /// Bytes that are there.
        found: u64,
        /// Bytes there should be.
        expected: u64,
    },
    /// Not a superblock this reads.
    #[error("no verity superblock: {what}")]
    Superblock {
        /// What is wrong with it.
        what: &'static str,
    },
    /// The superblock is another image's.
    #[error("the superblock of the hash tree says {found}, the manifest {expected}: they are of different releases")]
    Other {
        /// What the superblock says.
        found: String,
        /// What was expected.
        expected: String,
    },
    /// A block of the tree has another digest than the block above it says.
    #[error("block {block} of the hash tree does not match the root hash: it is damaged or forged; fetch it again")]
    Tree {
        /// Counted from the superblock.
        block: u64,
    },
}

/// A salt as hexadecimal digits; `-` for none, as in the kernel's table line.
#[must_use]
pub fn salt_words(salt: &[u8]) -> String {
    if salt.is_empty() { "-".to_owned() } else { hex(salt) }
}

/// A salt in JSON, in the words of [`salt_words`].
mod salt {
    use super::salt_words;
    use crate::digest::unhex;
    use serde::{Deserialize, Deserializer, Serializer, de};

    pub(super) fn serialize<S: Serializer>(salt: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&salt_words(salt))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
        let text = String::deserialize(deserializer)?;
        let digits = if text == "-" { "" } else { text.as_str() };
        unhex(digits).ok_or_else(|| de::Error::custom("the salt is not hexadecimal digits in lower case"))
    }
}
