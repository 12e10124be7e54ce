//! What is remembered between boots: `/state/update/record.json`.
//!
//! ```text
//! { "format": 1,         of the program that wrote it first
//!   "readable_by": 1,    the oldest format whose reader understands it
//!   … }                  fields a reader does not know are kept when it writes the file again
//! ```
//! An older program, after a rollback, reads what a newer one wrote as long as `readable_by` lets it. A file that is torn,
//! foreign or too new is set aside as `record.json.bad-<time>` and a fresh one begins: what is lost is a memory, never
//! the machine. The file is written whole beside its name and renamed.

mod file;

pub use file::{Loaded, SetAside, load, save};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::collections::BTreeMap;

use crate::slot::Slot;

/// Where it is.
pub const PATH: &str = "/state/update/record.json";
/// The format this program writes and reads.
pub const FORMAT: u32 = 1;
/// Versions that failed: more are not worth the room.
const MOST_BAD: usize = 16;
/// Two slots hold two versions; a few more for the reader.
const MOST_GOOD: usize = 8;
/// Checks of a gate.
const MOST_CHECKS: usize = 64;
/// Bytes of a text that comes from elsewhere.
const LONGEST_TEXT: usize = 4096;

/// Everything that is remembered. Times are seconds since 1970.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
pub struct Record {
    /// Format of the program that wrote the file first.
    pub format: u32,
    /// The oldest format whose reader understands it.
    pub readable_by: u32,
    /// 32 random bytes in hexadecimal: this machine's place in a staged rollout. Made once.
    pub seed: String,
    /// The highest version that ever passed its gate.
    #[serde(default)]
    pub highest_blessed: Option<String>,
    /// Versions that passed their gate here, the latest last.
    #[serde(default)]
    pub good: Vec<String>,
    /// What signed metadata was seen; nothing older is taken.
    #[serde(default)]
    pub seen: Seen,
    /// Updates are held back.
    #[serde(default)]
    pub hold: Hold,
    /// The images written.
    #[serde(default)]
    pub slots: Slots,
    /// Versions that failed here, the latest last.
    #[serde(default)]
    pub bad: Vec<BadVersion>,
    /// A trial that is under way.
    #[serde(default)]
    pub trial: Option<Trial>,
    /// Checks of the gate before the update, and whether they passed: what failed before does not fail the update.
    #[serde(default)]
    pub baseline: BTreeMap<String, bool>,
    /// What happened last.
    #[serde(default)]
    pub last: Option<Last>,
    /// A version that could be installed.
    #[serde(default)]
    pub available: Option<Available>,
    /// Fields of later formats.
    #[serde(flatten)]
    pub later: Map<String, Value>,
}

/// Metadata that was seen.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, Serialize)]
#[serde(default)]
pub struct Seen {
    /// Version of the root metadata.
    pub root_version: u64,
    /// Version of the channel metadata.
    pub channel_version: u64,
    /// Latest time that was signed: no clock is believed that is behind it.
    pub last_signed_time: u64,
    /// Fields of later formats.
    #[serde(flatten)]
    pub later: Map<String, Value>,
}

/// Whether updates are held back.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, Serialize)]
#[serde(default)]
pub struct Hold {
    /// They are.
    pub held: bool,
    /// Why, in the owner's words.
    pub reason: String,
    /// Fields of later formats.
    #[serde(flatten)]
    pub later: Map<String, Value>,
}

/// What was written into each slot.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, Serialize)]
#[serde(default)]
pub struct Slots {
    /// Slot A.
    pub a: Option<Image>,
    /// Slot B.
    pub b: Option<Image>,
    /// Fields of later formats.
    #[serde(flatten)]
    pub later: Map<String, Value>,
}

/// An image in a slot.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
pub struct Image {
    /// Its version.
    pub version: String,
    /// Root hash of the verity tree, in hexadecimal.
    pub root_hash: String,
    /// Blocks of 4096 bytes before the tree.
    pub data_blocks: u64,
    /// Fields of later formats.
    #[serde(flatten)]
    pub later: Map<String, Value>,
}

/// A version that failed.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
pub struct BadVersion {
    /// Which.
    pub version: String,
    /// Why.
    pub reason: String,
    /// When.
    pub time: u64,
    /// Fields of later formats.
    #[serde(flatten)]
    pub later: Map<String, Value>,
}

/// A trial.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
pub struct Trial {
    /// Of which version.
    pub version: String,
    /// In which slot.
    pub slot: Slot,
    /// The version before.
    pub from: String,
    /// Since when.
    pub started_time: u64,
    /// Fields of later formats.
    #[serde(flatten)]
    pub later: Map<String, Value>,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
pub struct Last {
    /// What was done: `check`, `fetch`, `apply`, …
    pub what: String,
    /// When.
    pub when: u64,
    /// How it ended.
    pub outcome: String,
    /// Fields of later formats.
    #[serde(flatten)]
    pub later: Map<String, Value>,
}

/// What could be installed.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
pub struct Available {
    /// Its version.
    pub version: String,
    /// Bytes to fetch at most.
    pub size: u64,
    /// What its maker says of it.
    pub notes: String,
    /// From when on this machine takes it without being told to.
    pub eligible_from: u64,
    /// Fields of later formats.
    #[serde(flatten)]
    pub later: Map<String, Value>,
}

impl Record {
    /// Nothing is remembered but the seed.
    #[must_use]
    pub fn new(seed: [u8; 32]) -> Self {
        Self {
            format: FORMAT,
            readable_by: FORMAT,
            seed: seed.iter().map(|byte| format!("{byte:02x}")).collect(),
            highest_blessed: None,
            good: Vec::new(),
            seen: Seen::default(),
            hold: Hold::default(),
            slots: Slots::default(),
            bad: Vec::new(),
            trial: None,
            baseline: BTreeMap::new(),
            last: None,
            available: None,
            later: Map::new(),
        }
    }

    /// The image in a slot.
    #[must_use]
    pub fn image(&self, slot: Slot) -> Option<&Image> {
        match slot {
            Slot::A => self.slots.a.as_ref(),
            Slot::B => self.slots.b.as_ref(),
        }
    }

    /// Remembers the image in a slot, or that there is none.
    pub fn set_image(&mut self, slot: Slot, image: Option<Image>) {
        match slot {
            Slot::A => self.slots.a = image,
            Slot::B => self.slots.b = image,
        }
    }

    /// Whether a version failed here.
    #[must_use]
    pub fn is_bad(&self, version: &str) -> bool {
        self.bad.iter().any(|bad| bad.version == version)
    }

    /// Whether a version passed its gate here and was not given up since.
    #[must_use]
    pub fn is_good(&self, version: &str) -> bool {
        self.good.iter().any(|good| good == version)
    }

    /// Remembers that a version passed.
    pub fn mark_good(&mut self, version: &str) {
        self.bad.retain(|bad| bad.version != version);
        self.good.retain(|good| good != version);
        self.good.push(version.into());
        self.bound();
    }

    /// Remembers that a version failed; of the same version the latest reason, of all the latest ones.
    pub fn mark_bad(&mut self, version: &str, reason: &str, time: u64) {
        self.good.retain(|good| good != version);
        self.bad.retain(|bad| bad.version != version);
        self.bad.push(BadVersion { version: version.into(), reason: reason.into(), time, later: Map::new() });
        self.bound();
    }

    /// Remembers what happened.
    pub fn note(&mut self, what: &str, when: u64, outcome: &str) {
        self.last = Some(Last { what: what.into(), when, outcome: outcome.into(), later: Map::new() });
    }

    /// Cuts what others could make grow.
    fn bound(&mut self) {
        self.bad.drain(..self.bad.len().saturating_sub(MOST_BAD));
        self.good.drain(..self.good.len().saturating_sub(MOST_GOOD));
        while self.baseline.len() > MOST_CHECKS {
            self.baseline.pop_last();
        }
        let texts = self.bad.iter_mut().map(|bad| &mut bad.reason);
        let texts = texts.chain(self.last.iter_mut().map(|last| &mut last.outcome)).chain([&mut self.hold.reason]);
        for text in texts.chain(self.available.iter_mut().map(|available| &mut available.notes)) {
            let end = (0..=LONGEST_TEXT.min(text.len())).rev().find(|end| text.is_char_boundary(*end));
            text.truncate(end.unwrap_or(0));
        }
    }
}
