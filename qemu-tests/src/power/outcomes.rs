//! What became of each cut, and the closing line.

use super::points::Point;
use std::collections::BTreeMap;
use std::fmt;

/// What a machine did after a cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Outcome {
    /// Booted the system it had before.
    Old,
    /// Booted the system it was being given.
    New,
    /// Did not boot.
    Unbootable,
    /// Booted, or was not tried, and something on the disk is lost that must not be.
    Damaged,
}

impl Outcome {
    fn good(self) -> bool {
        matches!(self, Self::Old | Self::New)
    }
}

/// Outcomes so far, by operation.
#[derive(Debug, Default)]
pub struct Table {
    counts: BTreeMap<String, BTreeMap<Outcome, usize>>,
    bad: Vec<String>,
}

impl Table {
    /// Adds one; what is wrong is kept for the end.
    pub fn add(&mut self, point: &Point, outcome: Outcome, detail: &str) {
        *self.counts.entry(point.operation.clone()).or_default().entry(outcome).or_default() += 1;
        if !outcome.good() {
            self.bad.push(format!("{outcome:?}: {point}: {detail}"));
        }
    }

    /// Every cut booted, and nothing was lost. No cut at all proves nothing.
    pub fn passed(&self) -> bool {
        self.bad.is_empty() && !self.counts.is_empty()
    }
}

impl fmt::Display for Table {
    /// What went wrong, a line for each operation, and one for all.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for bad in &self.bad {
            writeln!(formatter, "{bad}")?;
        }
        let mut all: BTreeMap<Outcome, usize> = BTreeMap::new();
        for (operation, counts) in &self.counts {
            writeln!(formatter, "{operation}: {}", line(counts))?;
            for (outcome, count) in counts {
                *all.entry(*outcome).or_default() += count;
            }
        }
        write!(formatter, "{}", line(&all))
    }
}

fn line(counts: &BTreeMap<Outcome, usize>) -> String {
    let [old, new, unbootable, damaged] = [Outcome::Old, Outcome::New, Outcome::Unbootable, Outcome::Damaged]
        .map(|outcome| counts.get(&outcome).copied().unwrap_or(0));
    let all: usize = counts.values().sum();
    format!("{all} cuts: {old} booted old, {new} booted new, {unbootable} unbootable, {damaged} damaged")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_counts_and_names_what_failed() {
        let point = |operation: &str| Point { operation: operation.into(), at: 7, seed: 0xabc };
        let mut table = Table::default();
        assert!(!table.passed());
        table.add(&point("update"), Outcome::Old, "");
        table.add(&point("update"), Outcome::New, "");
        table.add(&point("bless"), Outcome::New, "");
        assert!(table.passed());
        table.add(&point("bless"), Outcome::Unbootable, "no root");
        assert!(!table.passed());
        assert_eq!(
            table.to_string(),
            "Unbootable: bless cut before record 7, seed 0x0000000000000abc: no root\n\
             bless: 2 cuts: 0 booted old, 1 booted new, 1 unbootable, 0 damaged\n\
             update: 2 cuts: 1 booted old, 1 booted new, 0 unbootable, 0 damaged\n\
             4 cuts: 1 booted old, 2 booted new, 1 unbootable, 0 damaged"
        );
    }
}
