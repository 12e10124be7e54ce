//! The verity superblock, as `veritysetup format` writes it between data and hash tree (cryptsetup's wiki, DMVerity,
//! "verity superblock format"). Pure.
//!
//! ```text
//!   0  "verity\0\0"        64  data block size   80  salt size (u16)
//!   8  version, hash type   68  hash block size   88  salt, 256 bytes
//!  16  UUID                 72  data blocks
//!  32  algorithm
//! ```

/// Bytes of the block that holds it.
pub(crate) const BYTES: usize = 4096;
const MAGIC: &[u8] = b"verity\0\0";
const SALT: usize = 88;
const SALT_MAXIMUM: usize = 256;

/// What tells one image from another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Superblock {
    /// Length of the file system in blocks.
    pub(crate) data_blocks: u64,
    salt: Vec<u8>,
}

impl Superblock {
    /// `None` for anything else.
    pub(crate) fn parse(block: &[u8; BYTES]) -> Option<Self> {
        let salt_bytes = usize::from(u16::from_le_bytes([block[80], block[81]]));
        if !block.starts_with(MAGIC) || salt_bytes > SALT_MAXIMUM {
            return None;
        }
        let mut blocks = [0; 8];
        blocks.copy_from_slice(&block[72..80]);
        Some(Self { data_blocks: u64::from_le_bytes(blocks), salt: block[SALT..SALT + salt_bytes].to_vec() })
    }

    /// As on the kernel command line: lower-case hex, `-` for none.
    pub(crate) fn salt_hex(&self) -> String {
        if self.salt.is_empty() {
            return "-".to_owned();
        }
        self.salt.iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use proptest::prelude::*;

    pub(crate) fn block(data_blocks: u64, salt: &[u8]) -> [u8; BYTES] {
        let mut block = [0; BYTES];
        block[..8].copy_from_slice(MAGIC);
        block[72..80].copy_from_slice(&data_blocks.to_le_bytes());
        block[80] = u8::try_from(salt.len()).expect("short salt");
        block[SALT..SALT + salt.len()].copy_from_slice(salt);
        block
    }

    #[test]
    fn fields() {
        let found = Superblock::parse(&block(77, &[0xab, 1])).expect("superblock");
        assert_eq!((found.data_blocks, found.salt_hex().as_str()), (77, "ab01"));
        assert_eq!(Superblock::parse(&block(1, &[])).expect("superblock").salt_hex(), "-");
        assert_eq!(Superblock::parse(&[0; BYTES]), None);
    }

    proptest! {
        #[test]
        fn never_panics(head in prop::collection::vec(any::<u8>(), 100), ours in any::<bool>()) {
            let mut block = [0xff; BYTES];
            block[..100].copy_from_slice(&head);
            if ours {
                block[..8].copy_from_slice(MAGIC);
            }
            Superblock::parse(&block);
        }
    }
}
