//! GRUB's environment block. Pure.
//!
//! ```text
//! # GRUB Environment Block       1024 bytes; the three lines stand first and never change their width, so that a
//! hull_trial=b                   change overwrites three bytes in place
//! hull_left=2
//! hull_good=a
//! ######…
//!
//! trial left good
//!   -    0    a    a boots; b is good too when its files are there
//!   b    2    a    left becomes 1, then b boots
//!   b    0    a    a boots; b used up its tries, was given up or is being written
//!   b    n    b    of an interrupted write: b boots, as if trial were -
//! ```
//! Whatever part of these three bytes an interrupted write leaves old, the slot chosen is the old or the new one.

use crate::slot::Slot;

/// Size of the block.
pub(super) const SIZE: usize = 1024;
const HEAD: &str = "# GRUB Environment Block\n";

/// The three variables.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Environment {
    /// The slot on trial, or the one that is given up when `left` is 0.
    pub trial: Option<Slot>,
    /// Boots the trial has left, 0 to 9.
    pub left: u8,
    /// What boots otherwise.
    pub good: Slot,
}

impl Environment {
    fn text(self) -> String {
        let trial = self.trial.map_or('-', Slot::letter);
        format!("{HEAD}hull_trial={trial}\nhull_left={}\nhull_good={}\n", self.left.min(9), self.good)
    }

    /// Reads a block; the error says what is wrong with it.
    pub(super) fn parse(block: &[u8]) -> Result<Self, &'static str> {
        if block.len() != SIZE {
            return Err("it does not have 1024 bytes");
        }
        let lines = block.strip_prefix(HEAD.as_bytes()).ok_or("its first line is another one")?;
        let mut lines = lines.split(|byte| *byte == b'\n').map(|line| std::str::from_utf8(line).unwrap_or_default());
        let mut value = |name: &str| lines.next()?.strip_prefix(name)?.strip_prefix('=').map(str::to_owned);
        let (trial, left, good) = (value("hull_trial"), value("hull_left"), value("hull_good"));
        let trial = match trial.as_deref() {
            Some("-") => None,
            Some(letter) => Some(Slot::from_letter(letter).ok_or("hull_trial is no slot")?),
            None => return Err("hull_trial is missing"),
        };
        let left = left.filter(|text| text.len() == 1).and_then(|text| text.parse().ok());
        let left = left.ok_or("hull_left is not a digit")?;
        let good = good.and_then(|letter| Slot::from_letter(&letter)).ok_or("hull_good is no slot")?;
        Ok(Self { trial, left, good })
    }

    /// The slot that is on trial or given up, beside a good one.
    pub(super) fn beside(self) -> Option<(Slot, u8)> {
        self.trial.filter(|trial| *trial != self.good).map(|trial| (trial, self.left))
    }

    /// A block with these variables and whatever else `block` holds.
    pub(super) fn into_block(self, mut block: Vec<u8>) -> Vec<u8> {
        let text = self.text();
        block[..text.len()].copy_from_slice(text.as_bytes());
        block
    }
}

/// A whole new block.
#[must_use]
pub fn environment_block(environment: Environment) -> Vec<u8> {
    environment.into_block(vec![b'#'; SIZE])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_come_back() {
        for trial in [None, Some(Slot::A), Some(Slot::B)] {
            for left in 0..=9 {
                for good in Slot::ALL {
                    let environment = Environment { trial, left, good };
                    let block = environment_block(environment);
                    assert_eq!((block.len(), Environment::parse(&block)), (SIZE, Ok(environment)));
                }
            }
        }
    }

    #[test]
    fn other_variables_stay() {
        let mut block = environment_block(Environment { trial: None, left: 0, good: Slot::A });
        block[70..75].copy_from_slice(b"\nx=1\n");
        let changed = Environment { trial: Some(Slot::B), left: 2, good: Slot::A }.into_block(block.clone());
        assert_eq!(changed.iter().zip(&block).filter(|(new, old)| new != old).count(), 2);
    }

    #[test]
    fn damage_is_told() {
        let block = environment_block(Environment { trial: None, left: 0, good: Slot::A });
        let with = |at: usize, byte| {
            let mut block = block.clone();
            block[at] = byte;
            Environment::parse(&block)
        };
        let head = HEAD.len();
        for (at, byte) in [(0, 0), (head, b'x'), (head + 11, b'c'), (head + 23, b'x'), (head + 35, b'-')] {
            assert!(with(at, byte).is_err(), "{at}");
        }
        assert!(Environment::parse(&block[..1023]).is_err());
        assert!(Environment::parse(&vec![b'#'; SIZE]).is_err());
        assert!(Environment::parse(&[]).is_err());
    }
}
