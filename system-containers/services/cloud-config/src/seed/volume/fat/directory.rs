//! Entries of a FAT directory, with their long names.
//!
//! ```text
//! 0x42 "a" checksum │ 0x01 "user-dat" checksum │ "USER-D~1   " attributes cluster size
//! └─────── long name, last piece first ───────┘ └──────────── the entry ───────────┘
//! ```
//! Names are compared without regard to case, as vfat does. So the flags by which Windows marks a short name as written
//! in lower case do not matter.

use crate::seed::bytes::{half, word};

const ENTRY: usize = 32;
const READ_ONLY_HIDDEN_SYSTEM_LABEL: u8 = 0x0F;
const LABEL: u8 = 0x08;
const DIRECTORY: u8 = 0x10;
const DELETED: u8 = 0xE5;
/// In the order number of the last piece of a long name.
const LAST_PIECE: u8 = 0x40;
/// Pieces of a long name: 255 characters, 13 a piece.
const MAX_PIECES: u8 = 20;

/// A file or a directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) directory: bool,
    /// First cluster, of which FAT12 and FAT16 have the lower half only.
    pub(super) cluster: u32,
    pub(super) size: u32,
}

/// The entry with a name, long or short.
pub(super) fn find(directory: &[u8], name: &str) -> Option<Entry> {
    let mut long = LongName::default();
    for entry in directory.chunks_exact(ENTRY) {
        match (entry[0], entry[11]) {
            (0, _) => return None,
            (DELETED, _) => long = LongName::default(),
            (_, attributes) if attributes & 0x3F == READ_ONLY_HIDDEN_SYSTEM_LABEL => long.add(entry),
            (_, attributes) if attributes & LABEL != 0 => long = LongName::default(),
            (_, attributes) => {
                let is_it = std::mem::take(&mut long).of(entry).is_some_and(|long| long.eq_ignore_ascii_case(name));
                if is_it || short_name(entry).eq_ignore_ascii_case(name.as_bytes()) {
                    return Some(Entry {
                        directory: attributes & DIRECTORY != 0,
                        cluster: u32::from(half(entry, 20)) << 16 | u32::from(half(entry, 26)),
                        size: word(entry, 28),
                    });
                }
            }
        }
    }
    None
}

/// `NAME.EXT` of an entry's eleven bytes.
fn short_name(entry: &[u8]) -> Vec<u8> {
    let mut name = entry[..8].trim_ascii_end().to_vec();
    let extension = entry[8..11].trim_ascii_end();
    if !extension.is_empty() {
        name.push(b'.');
        name.extend(extension);
    }
    name
}

/// A long name while its pieces come, the last one first.
#[derive(Debug, Default)]
struct LongName {
    /// Pieces as they came.
    pieces: Vec<[u16; 13]>,
    /// Number of the piece that came last; 1 is the first of the name.
    number: u8,
    checksum: u8,
}

impl LongName {
    /// Adds a piece; one that does not fit ends the name.
    fn add(&mut self, entry: &[u8]) {
        let (number, checksum) = (entry[0] & !LAST_PIECE, entry[13]);
        if entry[0] & LAST_PIECE != 0 {
            *self = Self { pieces: Vec::new(), number: number.saturating_add(1), checksum };
        }
        if number == 0 || number > MAX_PIECES || number + 1 != self.number || checksum != self.checksum {
            *self = Self::default();
            return;
        }
        let mut piece = [0; 13];
        for (character, at) in piece.iter_mut().zip([1, 3, 5, 7, 9, 14, 16, 18, 20, 22, 24, 28, 30]) {
            *character = half(entry, at);
        }
        self.pieces.push(piece);
        self.number = number;
    }

    /// The name, if it is whole and that of the entry.
    fn of(self, entry: &[u8]) -> Option<String> {
        let sum = entry[..11].iter().fold(0_u8, |sum, byte| sum.rotate_right(1).wrapping_add(*byte));
        let characters = self.pieces.iter().rev().flatten().copied().take_while(|character| *character != 0);
        let text = || char::decode_utf16(characters).map(|c| c.unwrap_or(char::REPLACEMENT_CHARACTER)).collect();
        (self.number == 1 && self.checksum == sum).then(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn short(name: &[u8; 11], attributes: u8) -> [u8; 32] {
        let mut entry = [0; 32];
        entry[..11].copy_from_slice(name);
        entry[11] = attributes;
        entry[26] = 7;
        entry[28] = 9;
        entry
    }

    fn piece(number: u8, text: &str, checksum: u8) -> [u8; 32] {
        let mut entry = [0xFF; 32];
        (entry[0], entry[11], entry[12], entry[13]) = (number, 0x0F, 0, checksum);
        let places = [1, 3, 5, 7, 9, 14, 16, 18, 20, 22, 24, 28, 30];
        for (character, at) in text.encode_utf16().chain([0]).zip(places) {
            entry[at..at + 2].copy_from_slice(&character.to_le_bytes());
        }
        entry
    }

    /// Of `USER-D~1   `, by hand.
    const SUM: u8 = 0xB0;

    fn has(entries: &[[u8; 32]], name: &str) -> bool {
        find(&entries.concat(), name).is_some()
    }

    #[test]
    fn short_names_are_found_in_any_case() {
        let file = short(b"LATEST  TXT", 0x20);
        let want = Entry { directory: false, cluster: 7, size: 9 };
        assert_eq!(find(&file, "latest.txt"), Some(want));
        assert_eq!(find(&short(b"LATEST     ", 0x10), "latest").map(|entry| entry.directory), Some(true));
        assert!(!has(&[file], "latest"));
    }

    #[test]
    fn labels_deleted_files_and_what_follows_the_end_are_not_found() {
        let (mut deleted, file) = (short(b"A          ", 0x20), short(b"A          ", 0x20));
        assert!(has(&[deleted, file], "a"));
        deleted[0] = DELETED;
        assert!(!has(&[deleted, short(b"A          ", 0x08), [0; 32], file], "a"));
    }

    #[test]
    fn a_long_name_counts_when_it_is_whole_and_belongs_to_its_entry() {
        let entry = short(b"USER-D~1   ", 0x20);
        let whole = piece(0x41, "user-data", SUM);
        assert!(has(&[whole, entry], "user-data"));
        assert!(has(&[whole, entry], "USER-DATA"));
        assert!(has(&[piece(0x42, "n", SUM), piece(1, "a name of two", SUM), entry], "a name of twon"));
        for pieces in [
            vec![piece(0x41, "user-data", SUM + 1)],
            vec![piece(0x42, "user-data", SUM)],
            vec![piece(0x43, "ta", SUM), piece(1, "user-da", SUM)],
            vec![piece(1, "user-data", SUM)],
            vec![piece(0x40, "user-data", SUM)],
            vec![piece(0x7F, "user-data", SUM)],
            vec![whole, short(b"LABEL      ", 0x08)],
            vec![whole, short(b"OTHER      ", 0x20)],
        ] {
            assert!(!has(&[&pieces[..], &[entry]].concat(), "user-data"), "{pieces:?}");
        }
    }
}
