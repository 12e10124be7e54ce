//! The verity superblock, `struct verity_sb` of cryptsetup's `lib/verity/verity.c`; all numbers little-endian.
//!
//! ```text
//!   0  8  "verity\0\0"        64  4  bytes of a data block     80   2  bytes of salt
//!   8  4  version: 1          68  4  bytes of a hash block     82   6  zeros
//!  12  4  hash type: 1        72  8  data blocks               88 256  salt
//!  16 16  UUID                                                344 168  zeros
//!  32 32  "sha256\0…"
//! ```

use super::{BLOCK, Geometry, MAX_DATA_BLOCKS, MAX_SALT, VerityError};
use crate::digest::hex;

/// What a superblock begins with.
pub const MAGIC: &[u8; 8] = b"verity\0\0";

/// What a superblock says. The root hash is not in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Superblock {
    /// Of the image.
    pub uuid: [u8; 16],
    /// Blocks of data.
    pub data_blocks: u64,
    /// In front of every block that is hashed.
    pub salt: Vec<u8>,
}

impl Superblock {
    /// Reads the beginning of a block; format 1, SHA-256 and blocks of 4096 bytes are the only kind known.
    pub fn parse(block: &[u8]) -> Result<Self, VerityError> {
        let fault = |what| VerityError::Superblock { what };
        let block = block.first_chunk::<512>().ok_or(fault("it is cut off"))?;
        let long = |at: usize| block[at..].first_chunk().copied().map_or(0, u64::from_le_bytes);
        let word = |at: usize| block[at..].first_chunk().copied().map_or(0, u32::from_le_bytes);
        if &block[..8] != MAGIC {
            return Err(fault("it does not begin with \"verity\""));
        }
        if word(8) != 1 || word(12) != 1 {
            return Err(fault("its version or hash type is not 1"));
        }
        let (name, rest) = block[32..64].split_at(6);
        if name != b"sha256" || rest.iter().any(|byte| *byte != 0) {
            return Err(fault("its algorithm is not sha256"));
        }
        if [word(64), word(68)] != [4096; 2] {
            return Err(fault("its blocks have not 4096 bytes"));
        }
        let data_blocks = long(72);
        if !(1..=MAX_DATA_BLOCKS).contains(&data_blocks) {
            return Err(fault("its number of data blocks is out of bounds"));
        }
        let length = usize::from(u16::from_le_bytes([block[80], block[81]]));
        let salt = block[88..344].get(..length).ok_or(fault("its salt is too long"))?;
        let mut uuid = [0; 16];
        uuid.copy_from_slice(&block[16..32]);
        Ok(Self { uuid, data_blocks, salt: salt.to_vec() })
    }

    /// The superblock as a block; a salt that is too long is cut off.
    #[must_use]
    pub fn to_block(&self) -> Vec<u8> {
        let mut block = vec![0; BLOCK];
        let mut put = |at: usize, bytes: &[u8]| block[at..at + bytes.len()].copy_from_slice(bytes);
        let salt = &self.salt[..self.salt.len().min(MAX_SALT)];
        put(0, MAGIC);
        put(8, &1u32.to_le_bytes());
        put(12, &1u32.to_le_bytes());
        put(16, &self.uuid);
        put(32, b"sha256");
        put(64, &4096u32.to_le_bytes());
        put(68, &4096u32.to_le_bytes());
        put(72, &self.data_blocks.to_le_bytes());
        put(80, &u16::try_from(salt.len()).unwrap_or_default().to_le_bytes());
        put(88, salt);
        block
    }

    /// Whether it is of the image described.
    pub fn check(&self, geometry: &Geometry) -> Result<(), VerityError> {
        let words = |blocks: u64, salt: &[u8]| format!("{blocks} data blocks, salt {}", hex(salt));
        let found = words(self.data_blocks, &self.salt);
        let expected = words(geometry.data_blocks, &geometry.salt);
        if found == expected { Ok(()) } else { Err(VerityError::Other { found, expected }) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::digest::Digest;
    use proptest::prelude::*;

    fn sample() -> Superblock {
        Superblock { uuid: *b"0123456789abcdef", data_blocks: 129, salt: vec![0x5a, 0x17] }
    }

    #[test]
    fn superblocks_are_read_as_they_are_written() {
        assert_eq!(Superblock::parse(&sample().to_block()), Ok(sample()));
    }

    #[test]
    fn every_field_counts() {
        for (at, part) in [
            (0, "begin"),
            (8, "version"),
            (12, "version"),
            (33, "sha256"),
            (40, "sha256"),
            (65, "4096"),
            (69, "4096"),
            (78, "bounds"),
            (81, "salt"),
        ] {
            let mut block = sample().to_block();
            block[at] ^= 0x80;
            let error = Superblock::parse(&block).unwrap_err().to_string();
            assert!(error.contains(part), "{at}: {error}");
        }
        assert!(Superblock::parse(&sample().to_block()[..511]).is_err());
        let geometry = Geometry { data_blocks: 129, salt: vec![0x5a, 0x17], root_hash: Digest::of(b"") };
        assert_eq!(sample().check(&geometry), Ok(()));
        assert!(sample().check(&Geometry { data_blocks: 130, ..geometry.clone() }).is_err());
        assert!(sample().check(&Geometry { salt: vec![0x5a], ..geometry }).is_err());
    }

    proptest! {
        #[test]
        fn any_block_has_an_answer(bytes in proptest::collection::vec(any::<u8>(), 0..600), at in 0usize..512) {
            Superblock::parse(&bytes).ok();
            let mut block = sample().to_block();
            for (to, from) in block[at..].iter_mut().zip(&bytes) {
                *to = *from;
            }
            if let Ok(found) = Superblock::parse(&block) {
                prop_assert_eq!(Superblock::parse(&found.to_block()), Ok(found));
            }
        }
    }
}
