//! What a disk with a volatile write cache holds after power was cut: decided here, carried out by `image.rs`.
//!
//! A change is *durable* when it was answered before a flush arrived that was itself answered before the cut, or when it
//! had FUA and was answered. Durable changes are there in full. Of later ones, answered or still in flight, each sector
//! is kept or lost by the generator; with several changes of one sector since, any of them may be the one that is left;
//! and some sectors are torn: the head of one version, the tail of another.

use super::random::Random;
use super::trace::{Event, Record};
use std::collections::BTreeMap;

/// What a disk writes at once, or tears.
pub const SECTOR: u64 = 512;

/// What is lost together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Grain {
    /// Each sector for itself.
    Sector,
    /// All sectors of a request, as when a cache writes requests in an order of its own.
    Request,
}

/// How a cut treats what was not flushed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Temper {
    /// Of a thousand versions, so many reach the medium.
    pub keep: u16,
    /// Of a thousand sectors, so many are torn.
    pub torn: u16,
    /// What is lost together.
    pub grain: Grain,
}

impl Temper {
    /// One of a seed. Caches are caught early, late and half-way through their work, so the rates differ by seed: with one
    /// half for all sectors, no file of some size would ever survive as a whole.
    pub fn drawn(seed: u64) -> Self {
        let mut random = Random::of(&[seed, 0x7465_6d70]);
        Self {
            keep: random.pick(&[0, 100, 500, 900, 1000]).unwrap_or(500),
            torn: random.pick(&[0, 20, 250]).unwrap_or(0),
            grain: if random.chance(250) { Grain::Request } else { Grain::Sector },
        }
    }
}

/// A version of a sector: a record's number, or what was durable.
pub type Version = Option<usize>;

/// What a sector that was written since the last flush holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// One version in full.
    Whole(Version),
    /// `head` before byte `split`, `tail` from it on.
    Torn {
        /// 1 to 511.
        split: u16,
        /// Version of the first bytes.
        head: Version,
        /// Version of the last bytes.
        tail: Version,
    },
}

/// What makes the image after a cut.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Plan {
    /// Numbers of the durable changes, to be applied in this order.
    pub durable: Vec<usize>,
    /// Sector number → what it holds, over the durable changes.
    pub sectors: BTreeMap<u64, Fate>,
}

/// Plans a cut before record `at` with the temper of the seed.
pub fn plan(records: &[Record], at: usize, seed: u64) -> Plan {
    tempered(records, at, seed, Temper::drawn(seed))
}

/// Plans a cut before record `at`; the same arguments make the same plan.
pub fn tempered(records: &[Record], at: usize, seed: u64, temper: Temper) -> Plan {
    let records = &records[..at.min(records.len())];
    let durable = durable(records);
    let mut plan = Plan::default();
    let mut volatile: BTreeMap<u64, Vec<usize>> = BTreeMap::new();
    for (number, record) in records.iter().enumerate() {
        let Event::Change { range, .. } = &record.event else { continue };
        let sectors = range.start / SECTOR..range.end.div_ceil(SECTOR);
        if durable[number] {
            plan.durable.push(number);
            let over: Vec<u64> = volatile.range(sectors).map(|(sector, _)| *sector).collect();
            for sector in over {
                volatile.remove(&sector);
            }
        } else {
            for sector in sectors {
                volatile.entry(sector).or_default().push(number);
            }
        }
    }
    plan.sectors = volatile.iter().map(|(sector, versions)| (*sector, fate(*sector, versions, seed, temper))).collect();
    plan
}

/// For each record whether it is a change that must have survived.
fn durable(records: &[Record]) -> Vec<bool> {
    let mut answered = vec![None; records.len()];
    let mut last_flush = 0;
    for (number, record) in records.iter().enumerate() {
        if let Event::Done(request) = record.event {
            answered[request] = Some(number);
            if records[request].event == Event::Flush {
                last_flush = last_flush.max(request);
            }
        }
    }
    records
        .iter()
        .zip(answered)
        .map(|(record, answered)| match (&record.event, answered) {
            (Event::Change { fua, .. }, Some(answered)) => *fua || answered < last_flush,
            _ => false,
        })
        .collect()
}

/// `versions` are the volatile ones, oldest first.
fn fate(sector: u64, versions: &[usize], seed: u64, temper: Temper) -> Fate {
    let kept = |version: &&usize| {
        let word = **version as u64;
        match temper.grain {
            Grain::Request => Random::of(&[seed, 1, word]).chance(temper.keep),
            Grain::Sector => Random::of(&[seed, 2, word, sector]).chance(temper.keep),
        }
    };
    let version = versions.iter().rev().find(kept).copied();
    let mut random = Random::of(&[seed, 3, sector]);
    if !random.chance(temper.torn) {
        return Fate::Whole(version);
    }
    let others: Vec<Version> =
        std::iter::once(None).chain(versions.iter().copied().map(Some)).filter(|other| *other != version).collect();
    let other = random.pick(&others).flatten();
    let split = u16::try_from(1 + random.below(SECTOR - 1)).unwrap_or(1);
    let (head, tail) = if random.chance(500) { (version, other) } else { (other, version) };
    Fate::Torn { split, head, tail }
}
