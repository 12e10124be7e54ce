//! UDF, reading only, as it is on optical media: blocks of 2048 bytes and one plain partition. Specifications: ECMA-167 (3rd
//! edition), OSTA UDF 2.60. Azure gives its provisioning data on such a medium.
//!
//! ```text
//! sector 256: anchor ─ volume descriptors ─┬─ partition
//!                                          └─ logical volume: label, file set ─ root directory ─ entries ─ file entry
//! ```

use super::{Error, MAX_DIRECTORY, bounded};
use crate::seed::bytes::{Bytes, half, word};

const SECTOR: usize = 2048;
/// Where every reader begins.
const ANCHOR: u64 = 256;
/// Volume descriptors that are looked at; media have about six.
const MAX_DESCRIPTORS: u32 = 64;
/// Identifiers of tags.
const ANCHOR_TAG: u16 = 2;
const PARTITION_TAG: u16 = 5;
const LOGICAL_VOLUME_TAG: u16 = 6;
const TERMINATOR_TAG: u16 = 8;
const FILE_SET_TAG: u16 = 256;
const IDENTIFIER_TAG: u16 = 257;
const FILE_TAG: u16 = 261;
const EXTENDED_FILE_TAG: u16 = 266;
/// Types of file entries.
const DIRECTORY: u8 = 4;
const FILE: u8 = 5;
/// Characteristics of a file identifier: deleted, or the parent.
const NOT_A_CHILD: u8 = 0x04 | 0x08;
/// Bytes of a file identifier before its variable fields.
const IDENTIFIER: usize = 38;

type Sector = [u8; SECTOR];

/// An open file system.
#[derive(Debug)]
pub struct Udf<'d, D: ?Sized> {
    device: &'d D,
    /// First sector of the partition.
    partition: u64,
    /// Block of the root directory's file entry.
    root: u32,
}

/// The label; `None` where there is no UDF.
pub fn label(device: &(impl Bytes + ?Sized)) -> Option<String> {
    let (volume, _) = descriptors(device).ok()?;
    let field = &volume[84..212];
    text(&field[..usize::from(field[127]).min(127)]).filter(|label| !label.is_empty())
}

impl<'d, D: Bytes + ?Sized> Udf<'d, D> {
    /// Reads the volume descriptors.
    pub(super) fn open(device: &'d D) -> Result<Self, Error> {
        let (volume, partition) = descriptors(device)?;
        let (maps, first) = (word(&volume, 268), &volume[440..446]);
        if word(&volume, 212) != 2048 || maps != 1 || first[..2] != [1, 6] {
            return Err(Error::Unsupported("UDF with other blocks than 2048 bytes, or with special partitions"));
        }
        let mut udf = Self { device, partition, root: 0 };
        let file_set = udf.block(word(&volume, 252))?;
        if tag(&file_set) != Some(FILE_SET_TAG) {
            return Err(Error::Damaged("there is no file set"));
        }
        udf.root = word(&file_set, 404);
        Ok(udf)
    }

    fn block(&self, number: u32) -> Result<Sector, Error> {
        Ok(self.device.array((self.partition + u64::from(number)) * SECTOR as u64)?)
    }

    /// See [`Volume::read`](super::Volume::read).
    pub(super) fn read(&self, path: &str, limit: usize) -> Result<Option<Vec<u8>>, Error> {
        let mut entry = self.block(self.root)?;
        for name in path.split('/') {
            if entry[27] != DIRECTORY {
                return Ok(None);
            }
            match find(&self.content(&entry, MAX_DIRECTORY)?, name)? {
                Some(block) => entry = self.block(block)?,
                None => return Ok(None),
            }
        }
        match entry[27] {
            FILE => self.content(&entry, limit).map(Some),
            _ => Err(Error::NotAFile),
        }
    }

    /// Content of a file entry.
    fn content(&self, entry: &Sector, limit: usize) -> Result<Vec<u8>, Error> {
        let (attributes, base) = match tag(entry) {
            Some(FILE_TAG) => (168, 176),
            Some(EXTENDED_FILE_TAG) => (208, 216),
            _ => return Err(Error::Damaged("a file entry is none")),
        };
        let high = word(entry, 60);
        let size = bounded(if high == 0 { word(entry, 56) } else { u32::MAX }, limit)?;
        let length = |at| usize::try_from(word(entry, at)).unwrap_or(usize::MAX);
        let start = length(attributes).saturating_add(base);
        let fields = start.checked_add(length(attributes + 4)).and_then(|end| entry.get(start..end));
        let fields = fields.ok_or(Error::Damaged("a file entry is longer than its block"))?;
        match half(entry, 34) & 7 {
            0 => self.extents(fields, 8, size),
            1 => self.extents(fields, 16, size),
            3 => fields.get(..size).map(<[u8]>::to_vec).ok_or(Error::Damaged("a file ends early")),
            _ => Err(Error::Unsupported("UDF with extended allocation descriptors")),
        }
    }

    /// The bytes of extents, described in `width` bytes each.
    fn extents(&self, descriptors: &[u8], width: usize, size: usize) -> Result<Vec<u8>, Error> {
        let mut content = Vec::new();
        for extent in descriptors.chunks_exact(width) {
            let length = usize::try_from(word(extent, 0)).unwrap_or(usize::MAX);
            let left = size - content.len();
            if left == 0 || length == 0 {
                break;
            }
            // The two highest bits: not recorded, or more descriptors elsewhere.
            if length >> 30 != 0 || (width == 16 && half(extent, 8) != 0) {
                return Err(Error::Unsupported("UDF with sparse files or several partitions"));
            }
            let start = (self.partition + u64::from(word(extent, 4))) * SECTOR as u64;
            content.extend(self.device.at(start, length.min(left))?);
        }
        if content.len() == size { Ok(content) } else { Err(Error::Damaged("a file ends early")) }
    }
}

/// The logical volume's descriptor, and the first sector of its partition.
fn descriptors(device: &(impl Bytes + ?Sized)) -> Result<(Sector, u64), Error> {
    let anchor: Sector = device.array(ANCHOR * SECTOR as u64)?;
    if tag(&anchor) != Some(ANCHOR_TAG) {
        return Err(Error::Damaged("there is no anchor"));
    }
    let (count, first) = (word(&anchor, 16) / 2048, word(&anchor, 20));
    let (mut volume, mut partition) = (None, None);
    for number in 0..count.min(MAX_DESCRIPTORS) {
        let descriptor: Sector = device.array((u64::from(first) + u64::from(number)) * SECTOR as u64)?;
        match tag(&descriptor) {
            Some(PARTITION_TAG) => partition = Some(u64::from(word(&descriptor, 188))),
            Some(LOGICAL_VOLUME_TAG) => volume = Some(descriptor),
            Some(TERMINATOR_TAG) => break,
            _ => {}
        }
    }
    volume.zip(partition).ok_or(Error::Damaged("there is no volume with a partition"))
}

/// Identifier of a descriptor's tag, if its checksum is right.
fn tag(descriptor: &[u8]) -> Option<u16> {
    let tag = descriptor.get(..16)?;
    let sum = tag.iter().enumerate().filter(|(at, _)| *at != 4).fold(0_u8, |sum, (_, byte)| sum.wrapping_add(*byte));
    (sum == tag[4]).then(|| half(tag, 0))
}

/// Block of the file entry of a name in a directory; letters compare without regard to case.
fn find(directory: &[u8], name: &str) -> Result<Option<u32>, Error> {
    let mut rest = directory;
    while rest.len() >= IDENTIFIER {
        if tag(rest) != Some(IDENTIFIER_TAG) {
            return Err(Error::Damaged("a file identifier is none"));
        }
        let start = IDENTIFIER + usize::from(half(rest, 36));
        let end = start + usize::from(rest[19]);
        let found = rest.get(start..end).ok_or(Error::Damaged("a name is longer than its directory"))?;
        if rest[18] & NOT_A_CHILD == 0 && text(found).is_some_and(|found| found.eq_ignore_ascii_case(name)) {
            return Ok(Some(word(rest, 24)));
        }
        rest = rest.get(end.next_multiple_of(4)..).unwrap_or_default();
    }
    Ok(None)
}

/// OSTA compressed Unicode: 8 or 16 bits a character.
fn text(bytes: &[u8]) -> Option<String> {
    match bytes.split_first()? {
        (8, rest) => Some(rest.iter().map(|&byte| char::from(byte)).collect()),
        (16, rest) => {
            let units = rest.chunks_exact(2).map(|pair| u16::from_be_bytes([pair[0], pair[1]]));
            String::from_utf16(&units.collect::<Vec<_>>()).ok()
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{FILES, file_of, udf};
    use super::*;

    #[test]
    fn what_another_tool_wrote_is_read() {
        let image = udf();
        assert_eq!(label(&image[..]).as_deref(), Some("cidata"));
        let volume = Udf::open(&image[..]).unwrap();
        for path in FILES {
            assert_eq!(volume.read(path, 1 << 20).unwrap().unwrap(), file_of(path), "{path}");
        }
        assert_eq!(volume.read("USER-DATA", 1 << 20).unwrap().unwrap(), file_of("user-data"));
        for path in ["none", "user-data/x", "openstack/none"] {
            assert!(volume.read(path, 1 << 20).unwrap().is_none(), "{path}");
        }
        assert!(matches!(volume.read("openstack", 1 << 20), Err(Error::NotAFile)));
        assert!(matches!(volume.read("user-data", 9), Err(Error::TooLarge { limit: 9 })));
    }

    #[test]
    fn names_in_both_widths() {
        assert_eq!(text(b"\x08ovf-env.xml").as_deref(), Some("ovf-env.xml"));
        assert_eq!(text(b"\x10\0o\x20\xac").as_deref(), Some("o€"));
        assert_eq!((text(b""), text(b"\x07a")), (None, None));
    }

    #[test]
    fn other_bytes_are_no_udf() {
        assert_eq!(label(&vec![0; 1 << 20][..]), None);
        let mut image = udf();
        image[256 * SECTOR + 4] ^= 1;
        assert!(matches!(Udf::open(&image[..]), Err(Error::Damaged("there is no anchor"))));
    }
}
