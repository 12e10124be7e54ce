//! Rock Ridge in the system use area of a directory record: IEEE P1281 (SUSP) and P1282, 1.12.
//!
//! ```text
//! "SP" 7 1 BE EF skip     in the first record of the root directory: the protocol is used
//! "CE" 28 1 block… offset… length…    the area goes on elsewhere
//! "NM" n 1 flags text…    a piece of the name
//! "PX" n 1 mode…          POSIX mode
//! ```

use super::super::Error;
use super::SECTOR;
use crate::seed::bytes::{Bytes, word};

/// Continuation areas of one record that are followed; one is enough for any name.
const MAX_CONTINUATIONS: usize = 4;
/// In an `NM`: the name goes on in the next one.
const NAME_GOES_ON: u8 = 1;
/// File type in a POSIX mode.
const TYPE: u32 = 0o170_000;
const REGULAR: u32 = 0o100_000;
const DIRECTORY: u32 = 0o040_000;

/// What is used of Rock Ridge.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Extra {
    pub(super) name: Option<Vec<u8>>,
    /// A symbolic link or a device, or a file that is stored compressed.
    pub(super) special: bool,
}

/// Whether the first record of the root directory announces the protocol, and how many bytes are to be skipped in every
/// other area.
pub(super) fn announced(area: &[u8]) -> Option<usize> {
    matches!(area.get(..6)?, b"SP\x07\x01\xBE\xEF").then(|| area.get(6).copied().map(usize::from))?
}

/// Reads an area and what continues it.
pub(super) fn read(device: &(impl Bytes + ?Sized), block: u32, area: &[u8]) -> Result<Extra, Error> {
    let mut extra = Extra::default();
    let mut name_goes_on = true;
    let mut next = entries(area, &mut extra, &mut name_goes_on);
    for _ in 0..MAX_CONTINUATIONS {
        let Some(place) = next else { break };
        let length = usize::try_from(place.length).ok().filter(|length| *length <= SECTOR);
        let length = length.ok_or(Error::Damaged("a continuation area of Rock Ridge is too long"))?;
        let area = device.at(u64::from(place.block) * u64::from(block) + u64::from(place.offset), length)?;
        next = entries(&area, &mut extra, &mut name_goes_on);
    }
    Ok(extra)
}

/// Where an area goes on.
struct Continuation {
    block: u32,
    offset: u32,
    length: u32,
}

fn entries(mut area: &[u8], extra: &mut Extra, name_goes_on: &mut bool) -> Option<Continuation> {
    let mut next = None;
    while let Some(length) = area.get(2).copied().map(usize::from).filter(|length| *length >= 4) {
        let Some((entry, rest)) = area.split_at_checked(length) else { break };
        match (&entry[..2], &entry[4..]) {
            (b"CE", place) if place.len() >= 24 => {
                next = Some(Continuation { block: word(place, 0), offset: word(place, 8), length: word(place, 16) });
            }
            (b"NM", [flags, text @ ..]) if *name_goes_on => {
                extra.name.get_or_insert_default().extend(text);
                *name_goes_on = flags & NAME_GOES_ON != 0;
            }
            (b"PX", mode) if mode.len() >= 4 => {
                extra.special |= !matches!(word(mode, 0) & TYPE, REGULAR | DIRECTORY);
            }
            (b"SL" | b"ZF", _) => extra.special = true,
            (b"ST", _) => break,
            _ => {}
        }
        area = rest;
    }
    next
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(signature: &[u8; 2], content: &[u8]) -> Vec<u8> {
        let mut entry = signature.to_vec();
        entry.extend([u8::try_from(content.len() + 4).unwrap(), 1]);
        entry.extend(content);
        entry
    }

    fn continuation(block: u32, offset: u32, length: u32) -> Vec<u8> {
        let both = |number: u32| [number.to_le_bytes(), number.to_be_bytes()].concat();
        entry(b"CE", &[both(block), both(offset), both(length)].concat())
    }

    fn name_of(area: &[u8], device: &[u8]) -> Option<String> {
        read(device, 512, area).unwrap().name.map(|name| String::from_utf8(name).unwrap())
    }

    #[test]
    fn the_protocol_is_announced() {
        assert_eq!(announced(b"SP\x07\x01\xBE\xEF\x0E"), Some(14));
        for area in [&b""[..], b"SP\x07\x01\xBE\xEF", b"SP\x07\x01\xBE\xEE\0", b"PX"] {
            assert_eq!(announced(area), None);
        }
    }

    #[test]
    fn a_name_is_put_together_from_its_pieces() {
        let (one, two, three) = (entry(b"NM", b"\x01user"), entry(b"NM", b"\0-data"), entry(b"NM", b"\0x"));
        assert_eq!(name_of(&[&one[..], &two, &three].concat(), &[]).unwrap(), "user-data");
        let mut device = vec![0; 512];
        device.extend([0; 3]);
        device.extend(&two);
        let next = continuation(1, 3, u32::try_from(two.len()).unwrap());
        assert_eq!(name_of(&[&next[..], &one].concat(), &device).unwrap(), "user-data");
    }

    #[test]
    fn what_follows_the_end_or_does_not_fit_is_not_looked_at() {
        let name = entry(b"NM", b"\0a");
        for before in [entry(b"ST", b""), b"XX\x03\x01".to_vec(), b"XX\x00\x01".to_vec(), b"XX\xFF\x01".to_vec()] {
            assert_eq!(name_of(&[&before[..], &name].concat(), &[]), None);
        }
        assert_eq!(name_of(&entry(b"NM", b""), &[]), None);
    }

    #[test]
    fn continuations_that_run_in_a_circle_end_and_long_ones_are_damage() {
        let circle = continuation(0, 0, 28);
        assert_eq!(name_of(&circle, &circle), None);
        assert!(matches!(read(&[0; 4096][..], 512, &continuation(0, 0, 4000)), Err(Error::Damaged(_))));
        assert!(matches!(read(&[0; 512][..], 512, &continuation(u32::MAX, u32::MAX, 1)), Err(Error::Read(_))));
    }

    #[test]
    fn links_devices_and_compressed_files_are_special() {
        let mode = |mode: u32| entry(b"PX", &mode.to_le_bytes());
        for (area, special) in [
            (mode(0o100_644), false),
            (mode(0o040_755), false),
            (mode(0o120_777), true),
            (mode(0o060_600), true),
            (entry(b"SL", b"\0\0\x01a"), true),
            (entry(b"ZF", b"pz"), true),
        ] {
            assert_eq!(read(&[][..], 2048, &area).unwrap().special, special);
        }
    }
}
