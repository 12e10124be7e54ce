//! A UDF medium. Its readers begin at byte 524288, which is beyond the size of an input; so an input holds the first 512 bytes of
//! each sector that matters, and all other bytes of these are zeros:
//!
//! ```text
//! sectors 32 to 39   volume descriptors, where genisoimage -udf puts them
//! sectors from 256   anchor, partition
//! ```
#![no_main]

use hull_cloud_config::seed::bytes::Bytes;
use hull_cloud_config::seed::volume::{Volume, udf};
use libfuzzer_sys::fuzz_target;
use std::io;

const SECTOR: usize = 2048;
/// Bytes of a sector in the input: all fields that are read are in them.
const KEPT: usize = 512;
const DESCRIPTORS: std::ops::Range<u64> = 32..40;
const ANCHOR: u64 = 256;
/// Below the size of an input, so that it is reached.
const LIMIT: usize = 2048;

struct Medium<'b>(&'b [u8]);

impl Medium<'_> {
    /// What is kept of a sector.
    fn sector(&self, number: u64) -> Option<&[u8]> {
        let slot = match number {
            number if DESCRIPTORS.contains(&number) => number - DESCRIPTORS.start,
            number => number.checked_sub(ANCHOR)? + (DESCRIPTORS.end - DESCRIPTORS.start),
        };
        self.0.chunks_exact(KEPT).nth(usize::try_from(slot).ok()?)
    }
}

impl Bytes for Medium<'_> {
    fn fill_from(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        let mut at = usize::try_from(offset % SECTOR as u64).map_err(io::Error::other)?;
        let (mut number, mut rest) = (offset / SECTOR as u64, buffer);
        while !rest.is_empty() {
            let kept = self.sector(number).ok_or(io::ErrorKind::UnexpectedEof)?;
            let (part, left) = rest.split_at_mut(rest.len().min(SECTOR - at));
            let known = kept.get(at..).unwrap_or_default();
            let count = known.len().min(part.len());
            part[..count].copy_from_slice(&known[..count]);
            part[count..].fill(0);
            (number, rest, at) = (number + 1, left, 0);
        }
        Ok(())
    }
}

fuzz_target!(|data: &[u8]| {
    let medium = Medium(data);
    drop(udf::label(&medium));
    let Ok(volume) = Volume::open(&medium, "udf") else { return };
    for path in ["user-data", "ovf-env.xml", "openstack/latest/user_data"] {
        if let Ok(Some(content)) = volume.read(path, LIMIT) {
            assert!(content.len() <= LIMIT);
        }
    }
});
