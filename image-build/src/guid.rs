//! GUIDs that follow from content: the same image has the same ones, built anywhere.

use sha2::{Digest, Sha256};
use std::fmt;

/// 16 bytes in the order in which they are written out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Guid([u8; 16]);

impl Guid {
    /// The first 128 bits of a hash in hexadecimal digits; missing ones count as zero.
    pub(crate) fn from_hex(digits: &str) -> Self {
        let mut bytes = [0; 16];
        for (index, byte) in bytes.iter_mut().enumerate() {
            let pair = digits.get(2 * index..2 * index + 2).unwrap_or("00");
            *byte = u8::from_str_radix(pair, 16).unwrap_or(0);
        }
        Self(bytes)
    }

    /// A GUID of its own for `purpose` on the image with this root hash.
    pub(crate) fn derived(root_hash: &str, purpose: &str) -> Self {
        let digest = Sha256::digest(format!("hull {purpose} {root_hash}"));
        let mut bytes = [0; 16];
        bytes.copy_from_slice(&digest[..16]);
        // RFC 9562, version 8 (own scheme) and the variant bits.
        bytes[6] = bytes[6] & 0x0f | 0x80;
        bytes[8] = bytes[8] & 0x3f | 0x80;
        Self(bytes)
    }

    /// The form on disk (UEFI 2.10, appendix A): the first three fields are little endian.
    pub(crate) fn on_disk(self) -> [u8; 16] {
        let [a, b, c, d, e, f, g, h, rest @ ..] = self.0;
        let mut bytes = [d, c, b, a, f, e, h, g, 0, 0, 0, 0, 0, 0, 0, 0];
        bytes[8..].copy_from_slice(&rest);
        bytes
    }

    /// First four bytes as a number, for identifiers of that size.
    pub(crate) fn short(self) -> u32 {
        u32::from_be_bytes([self.0[0], self.0[1], self.0[2], self.0[3]])
    }
}

impl fmt::Display for Guid {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, byte) in self.0.iter().enumerate() {
            if matches!(index, 4 | 6 | 8 | 10) {
                out.write_str("-")?;
            }
            write!(out, "{byte:02x}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_and_disk_form() {
        let esp = Guid::from_hex("c12a7328f81f11d2ba4b00a0c93ec93bffff");
        assert_eq!(esp.to_string(), "c12a7328-f81f-11d2-ba4b-00a0c93ec93b");
        assert_eq!(esp.on_disk()[..8], [0x28, 0x73, 0x2a, 0xc1, 0x1f, 0xf8, 0xd2, 0x11]);
        assert_eq!(esp.on_disk()[8..], [0xba, 0x4b, 0x00, 0xa0, 0xc9, 0x3e, 0xc9, 0x3b]);
    }

    #[test]
    fn derived_ones_differ_by_purpose_and_image() {
        let all = [Guid::derived("a", "disk"), Guid::derived("a", "esp"), Guid::derived("b", "disk")];
        assert!(all[0] != all[1] && all[0] != all[2] && all[0] == Guid::derived("a", "disk"));
        assert_eq!(all[0].to_string().as_bytes()[14], b'8');
    }
}
