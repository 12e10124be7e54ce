//! Entries of systemd-boot: type 1 of the Boot Loader Specification (UAPI.1). Pure.
//!
//! ```text
//! hull-b.conf          good
//! hull-b+2.conf        on trial, two boots left
//! hull-b+1-1.conf      one left, one done: systemd-boot renames before it boots
//! hull-b+0-2.conf      none left: sorted last, booted only when nothing else can be
//!
//! title Hull 1.2.0
//! version 7            the generation: of entries with boots left or without a counter, the highest boots
//! sort-key hull        the same for all, or it would come before the version
//! efi /hull/b/hull.efi an entry whose file is missing is passed over
//! ```

use super::TextError;
use crate::slot::Slot;
use std::cmp::Ordering;

/// Generation of the entry in a new image.
pub const FIRST_GENERATION: u64 = 1;

/// The counter in the name of an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Counter {
    /// Boots left.
    pub(super) left: u32,
    /// Boots done.
    pub(super) done: u32,
}

/// One of our entries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry {
    /// File name.
    pub(super) name: String,
    /// What it boots.
    pub(super) slot: Slot,
    /// None for a good one.
    pub(super) counter: Option<Counter>,
    /// Its place in the order.
    pub(super) generation: u64,
    /// The text names the image: systemd-boot passes over a damaged one.
    pub(super) boots: bool,
}

impl Entry {
    /// Reads name and text; none of a file that is not one of ours.
    pub(super) fn parse(name: &str, text: &str) -> Option<Self> {
        let (slot, counter) = parse_name(name)?;
        let version = text.lines().find_map(|line| line.strip_prefix("version "));
        let generation = version.and_then(|number| number.trim().parse().ok()).unwrap_or(0);
        let image = format!("efi /hull/{slot}/hull.efi");
        let boots = text.lines().any(|line| line == image);
        Some(Self { name: name.to_owned(), slot, counter, generation, boots })
    }

    /// systemd-boot's order, the first one boots: `boot_entry_compare` with one sort key, without machine identity. Damaged
    /// ones are behind all.
    pub(super) fn order(&self, other: &Self) -> Ordering {
        let used_up = |entry: &Self| entry.counter.is_some_and(|counter| counter.left == 0);
        (!self.boots, used_up(self))
            .cmp(&(!other.boots, used_up(other)))
            .then(other.generation.cmp(&self.generation))
            .then(other.slot.cmp(&self.slot))
            .then(self.counter.is_some().cmp(&other.counter.is_some()))
    }
}

/// Slot and counter of a file name.
pub(super) fn parse_name(name: &str) -> Option<(Slot, Option<Counter>)> {
    let stem = name.strip_prefix("hull-")?.strip_suffix(".conf")?;
    let Some((letter, counter)) = stem.split_once('+') else {
        return Some((Slot::from_letter(stem)?, None));
    };
    let number = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok()).flatten();
    let (left, done) = counter.split_once('-').unwrap_or((counter, "0"));
    Some((Slot::from_letter(letter)?, Some(Counter { left: number(left)?, done: number(done)? })))
}

/// File name of an entry below `loader/entries`.
pub(super) fn name(slot: Slot, counter: Option<Counter>) -> String {
    match counter {
        None => format!("hull-{slot}.conf"),
        Some(Counter { left, done: 0 }) => format!("hull-{slot}+{left}.conf"),
        Some(Counter { left, done }) => format!("hull-{slot}+{left}-{done}.conf"),
    }
}

/// File name of the entry of a good slot below `loader/entries`.
#[must_use]
pub fn entry_name(slot: Slot) -> String {
    name(slot, None)
}

/// Text of an entry; `version` is one line of printable characters.
pub fn entry_text(version: &str, generation: u64, slot: Slot) -> Result<String, TextError> {
    if let Some(character) = version.chars().find(|character| !character.is_ascii_graphic()) {
        return Err(TextError { what: "a version", character });
    }
    Ok(format!("title Hull {version}\nversion {generation}\nsort-key hull\nefi /hull/{slot}/hull.efi\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_come_back() {
        let counted = |left, done| Some(Counter { left, done });
        for (text, expected) in [
            ("hull-a.conf", Some((Slot::A, None))),
            ("hull-b+2.conf", Some((Slot::B, counted(2, 0)))),
            ("hull-b+1-1.conf", Some((Slot::B, counted(1, 1)))),
            ("hull-b+0-12.conf", Some((Slot::B, counted(0, 12)))),
            ("hull-c.conf", None),
            ("hull-a+.conf", None),
            ("hull-a++2.conf", None),
            ("hull-a+2-.conf", None),
            ("hull-a.new", None),
            ("other.conf", None),
        ] {
            assert_eq!(parse_name(text), expected, "{text}");
            if let Some((slot, counter)) = expected {
                assert_eq!(name(slot, counter), text);
            }
        }
    }

    #[test]
    fn text_is_one_line_a_key() {
        let text = entry_text("1.2.0", 7, Slot::B).unwrap();
        assert_eq!(text, "title Hull 1.2.0\nversion 7\nsort-key hull\nefi /hull/b/hull.efi\n");
        assert_eq!(Entry::parse("hull-b+2.conf", &text).unwrap().generation, 7);
        assert!(Entry::parse("hull-b+2.conf", &text).unwrap().boots);
        assert!(!Entry::parse("hull-a+2.conf", &text).unwrap().boots);
        assert!(!Entry::parse("hull-b+2.conf", &text[..20]).unwrap().boots);
        assert!(entry_text("1\nefi /x", 1, Slot::A).is_err());
    }
}
