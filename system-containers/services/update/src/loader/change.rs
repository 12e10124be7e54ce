//! The changes, and which of them are refused. Pure.

use super::{BootFiles, LoaderError, MOST_TRIES};
use crate::slot::{Slot, SlotState};

/// What the loader knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Selection {
    /// State of slot A: never [`SlotState::Written`], which the loader cannot see.
    pub a: SlotState,
    /// The same of slot B.
    pub b: SlotState,
    /// What boots next; nothing when neither slot has what it needs.
    pub next: Option<Slot>,
}

/// One change; see the methods of [`super::BootControl`].
#[derive(Debug)]
pub enum Change<'a> {
    /// Take out of the choice, remove the files.
    Clear {
        /// Which.
        slot: Slot,
    },
    /// Write the files.
    Install {
        /// Where.
        slot: Slot,
        /// What.
        files: BootFiles<'a>,
    },
    /// Put on trial.
    Try {
        /// Which.
        slot: Slot,
        /// Its version, for the menu.
        version: &'a str,
        /// How many boots.
        tries: u8,
    },
    /// The trial is passed.
    Bless {
        /// Which.
        slot: Slot,
    },
    /// Give up.
    Condemn {
        /// Which.
        slot: Slot,
    },
    /// Roll back.
    Prefer {
        /// To which.
        slot: Slot,
    },
    /// Begin anew.
    Restore {
        /// The slot that is good.
        good: Slot,
        /// Its version, for the menu.
        version: &'a str,
    },
}

impl Selection {
    /// What a slot is.
    #[must_use]
    pub fn state(&self, slot: Slot) -> SlotState {
        match slot {
            Slot::A => self.a,
            Slot::B => self.b,
        }
    }

    /// Refuses what makes no sense and what would leave no good slot. Whether files are there is checked elsewhere.
    pub(super) fn permits(&self, change: &Change<'_>) -> Result<(), LoaderError> {
        use SlotState::{Bad, Empty, Good, Trial};
        let keeps_a_good_one = |slot: Slot| match self.state(slot.other()) {
            Good => Ok(()),
            _ => Err(LoaderError::LastGood { slot }),
        };
        let only_of = |slot: Slot, change, allowed: fn(SlotState) -> bool| match self.state(slot) {
            state if allowed(state) => Ok(()),
            state => Err(LoaderError::State { slot, state, change }),
        };
        match *change {
            Change::Clear { slot } => keeps_a_good_one(slot),
            Change::Install { slot, .. } => only_of(slot, "installing", |state| state == Empty),
            Change::Try { tries, .. } if tries == 0 || tries > MOST_TRIES => Err(LoaderError::Tries { tries }),
            Change::Try { slot, .. } => {
                keeps_a_good_one(slot)?;
                only_of(slot, "a trial", |state| state != Good)
            }
            Change::Bless { slot } => only_of(slot, "blessing", |state| state != Empty),
            Change::Condemn { slot } => {
                only_of(slot, "giving up", |state| state != Empty)?;
                keeps_a_good_one(slot)
            }
            Change::Prefer { slot } => only_of(slot, "rolling back to it", |state| matches!(state, Good | Bad)),
            Change::Restore { good, .. } => only_of(good, "restoring", |state| !matches!(state, Trial(_))),
        }
    }
}
