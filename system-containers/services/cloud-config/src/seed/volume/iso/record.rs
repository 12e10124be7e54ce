//! Directory records: ECMA-119, section 9.1.
//!
//! ```text
//! 0 length │ 1 blocks of attributes │ 2 first block │ 10 size │ 25 flags │ 26 unit │ 27 gap │ 32 length of the name │ 33 name
//! ```
//! The name is padded to an even end; what follows up to the length is the system use area.

use super::super::Error;
use super::SECTOR;
use crate::seed::bytes::word;

/// Bytes before the name.
const FIXED: usize = 33;
const DIRECTORY: u8 = 1 << 1;
/// A file that only belongs to another one, such as the resource fork of a Macintosh file.
const ASSOCIATED: u8 = 1 << 2;
const MORE_EXTENTS: u8 = 1 << 7;

/// A file or a directory.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Record {
    attribute_blocks: u8,
    block: u32,
    /// In bytes.
    pub(super) size: u32,
    flags: u8,
    interleaved: bool,
    name: Vec<u8>,
    /// Rock Ridge says that it is neither a file nor a directory.
    pub(super) special: bool,
}

impl Record {
    pub(super) fn is_directory(&self) -> bool {
        self.flags & DIRECTORY != 0
    }

    /// Neither an associated file nor one of the two records for the directory itself and its parent.
    pub(super) fn is_listed(&self) -> bool {
        self.flags & ASSOCIATED == 0 && !matches!(self.name[..], [0 | 1])
    }

    /// Offset of the first byte.
    pub(super) fn start(&self, block: u32) -> u64 {
        (u64::from(self.block) + u64::from(self.attribute_blocks)) * u64::from(block)
    }

    /// The bytes must lie in one piece.
    pub(super) fn check_place(&self) -> Result<(), Error> {
        if self.flags & MORE_EXTENTS != 0 || self.interleaved {
            return Err(Error::Unsupported("a file of the ISO 9660 file system lies in several pieces"));
        }
        Ok(())
    }

    /// Compares a plain name, without regard to case, version and closing dot.
    pub(super) fn is_plain(&self, name: &str) -> bool {
        let plain = self.name.split(|byte| *byte == b';').next().unwrap_or_default();
        plain.strip_suffix(b".").unwrap_or(plain).eq_ignore_ascii_case(name.as_bytes())
    }

    /// The name of a record of Joliet's tree, without version.
    pub(super) fn joliet_name(&self) -> String {
        let units = self.name.chunks_exact(2).map(|pair| u16::from_be_bytes([pair[0], pair[1]]));
        let text = char::decode_utf16(units).map(|c| c.unwrap_or(char::REPLACEMENT_CHARACTER));
        text.take_while(|character| *character != ';').collect()
    }
}

/// A record and its system use area.
pub(super) fn parse(bytes: &[u8]) -> Result<(Record, &[u8]), Error> {
    const BROKEN: Error = Error::Damaged("a directory has a broken record");
    let (Some(length), Some(name_length)) = (bytes.first(), bytes.get(FIXED - 1)) else { return Err(BROKEN) };
    let end_of_name = FIXED + usize::from(*name_length);
    let record = bytes.get(..usize::from(*length)).ok_or(BROKEN)?;
    let name = record.get(FIXED..end_of_name).ok_or(BROKEN)?;
    let area = record.get(end_of_name.next_multiple_of(2)..).unwrap_or_default();
    let record = Record {
        attribute_blocks: record[1],
        block: word(record, 2),
        size: word(record, 10),
        flags: record[25],
        interleaved: record[26..28] != [0, 0],
        name: name.to_vec(),
        special: false,
    };
    Ok((record, area))
}

/// The records of a directory, each with its system use area. Ends after an error.
#[derive(Debug)]
pub(super) struct Records<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Records<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }
}

impl<'a> Iterator for Records<'a> {
    type Item = Result<(Record, &'a [u8]), Error>;

    fn next(&mut self) -> Option<Self::Item> {
        // A zero fills up the sector: one step a sector at most.
        while *self.bytes.get(self.at)? == 0 {
            self.at = (self.at + 1).next_multiple_of(SECTOR);
        }
        let end = (self.at + 1).next_multiple_of(SECTOR).min(self.bytes.len());
        let parsed = parse(&self.bytes[self.at..end]);
        self.at = if parsed.is_ok() { self.at + usize::from(self.bytes[self.at]) } else { self.bytes.len() };
        Some(parsed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(name: &[u8], area: &[u8]) -> Vec<u8> {
        let mut record = vec![0; FIXED];
        record[32] = u8::try_from(name.len()).unwrap();
        record.extend(name);
        record.resize(record.len().next_multiple_of(2), 0);
        record.extend(area);
        record[0] = u8::try_from(record.len()).unwrap();
        record
    }

    #[test]
    fn plain_names_have_no_case_version_or_closing_dot() {
        for (name, same) in [
            ("USER-DATA.;1", true),
            ("user-data;1", true),
            ("user-data", true),
            ("User-Data.;22", true),
            ("USER_DAT.;1", false),
            ("USER-DATA.A;1", false),
            ("USER-DATA..;1", false),
            ("", false),
        ] {
            let bytes = record(name.as_bytes(), b"");
            assert_eq!(parse(&bytes).unwrap().0.is_plain("user-data"), same, "{name}");
        }
    }

    #[test]
    fn joliet_names_are_ucs_2() {
        for (name, want) in [(&b"\0a\0;\x001"[..], "a"), (b"\0a\xd8\0", "a\u{fffd}"), (b"\0a\0", "a"), (b"", "")] {
            assert_eq!(parse(&record(name, b"")).unwrap().0.joliet_name(), want);
        }
    }

    #[test]
    fn records_go_on_in_the_next_sector_and_never_cross_one() {
        let mut bytes = record(b"A", b"area");
        bytes.resize(SECTOR, 0);
        bytes.extend(record(b"BB", b""));
        let names: Vec<_> =
            Records::new(&bytes).map(|found| found.map(|(record, area)| (record.name, area)).unwrap()).collect();
        assert_eq!(names, [(b"A".to_vec(), &b"area"[..]), (b"BB".to_vec(), b"")]);
        let long = record(&[b'A'; 60], b"");
        let mut crossing = long.repeat(SECTOR / long.len() + 1);
        crossing.resize(2 * SECTOR, 0);
        assert!(Records::new(&crossing).last().unwrap().is_err());
    }

    #[test]
    fn records_that_are_too_short_end_the_directory() {
        for length in [1, 33, 34, 200] {
            let mut bytes = record(b"NAME", b"");
            bytes[0] = length;
            assert!(Records::new(&bytes).next().unwrap().is_err(), "{length}");
            assert_eq!(Records::new(&bytes).count(), 1);
        }
    }

    proptest::proptest! {
        #[test]
        fn any_bytes_end(bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..5000)) {
            for (record, _) in Records::new(&bytes).flatten() {
                drop((record.is_plain("a"), record.joliet_name(), record.is_listed(), record.start(2048)));
            }
        }
    }
}
