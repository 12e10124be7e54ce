//! The two slots and what state each is in. Pure.
//!
//! ```text
//!            write            activate           gate passed
//!  Empty ───────────► Written ─────────► Trial ───────────────► Good
//!    ▲  ▲                ▲                 │ tries used up, gate failed,
//!    │  └── write begins ┴── write again ──┤ given up by hand
//!    │                                     ▼
//!    └─────────────── write begins ────── Bad
//! ```
//!
//! Only a slot on trial counts its boots down; a good one never does. The slot that runs is never written.

use serde::{Deserialize, Serialize};
use std::fmt;

/// One of the two places for an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Slot {
    /// `root-a`.
    A,
    /// `root-b`.
    B,
}

impl Slot {
    /// Both.
    pub const ALL: [Self; 2] = [Self::A, Self::B];

    /// The one beside it.
    #[must_use]
    pub fn other(self) -> Self {
        match self {
            Self::A => Self::B,
            Self::B => Self::A,
        }
    }

    /// `a` or `b`.
    #[must_use]
    pub fn letter(self) -> char {
        match self {
            Self::A => 'a',
            Self::B => 'b',
        }
    }

    /// The slot of a letter.
    #[must_use]
    pub fn from_letter(letter: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|slot| letter.chars().eq([slot.letter()]))
    }

    /// Name of its partition in the GPT.
    #[must_use]
    pub fn partition(self) -> &'static str {
        match self {
            Self::A => "root-a",
            Self::B => "root-b",
        }
    }
}

impl fmt::Display for Slot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.letter())
    }
}

/// What a slot is good for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum SlotState {
    /// Nothing that boots.
    Empty,
    /// A whole image, verified, that the loader does not know yet.
    Written,
    /// The loader boots it this many more times, then the other one.
    Trial(u8),
    /// It passed its gate.
    Good,
    /// It used up its tries or was given up; booted only when the other one cannot be.
    Bad,
}

impl SlotState {
    /// For people and clients.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Empty => "empty",
            Self::Written => "written",
            Self::Trial(_) => "trial",
            Self::Good => "good",
            Self::Bad => "bad",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn letters_come_back() {
        for slot in Slot::ALL {
            assert_eq!(Slot::from_letter(&slot.to_string()), Some(slot));
            assert_eq!(slot.other().other(), slot);
        }
        assert_eq!(Slot::from_letter("c"), None);
    }
}
