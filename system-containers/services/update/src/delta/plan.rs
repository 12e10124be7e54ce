//! What to do about each block. Pure.

use std::ops::Range;

/// Blocks of a request at most: 8 MiB, so that one that breaks off or is refused costs little.
pub const REQUEST: u64 = 2048;

/// Where a block lies that is needed elsewhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// In the running slot, which nobody writes.
    Running(u32),
    /// In the target, where it is in place: nothing is written over it.
    Target(u32),
}

/// One block to copy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Copy {
    /// From where.
    pub from: Source,
    /// To which block of the target.
    pub to: u32,
}

/// What to do with the blocks of an image.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Plan {
    /// Blocks that stay.
    pub in_place: u64,
    /// Blocks to copy, in the order of the target.
    pub copies: Vec<Copy>,
    /// Blocks to fetch, in ascending order.
    pub missing: Vec<u32>,
}

/// Plans from what the survey found: whether each wanted block is in place, and where else the same bytes lie.
#[must_use]
pub fn plan<'a>(
    wanted: impl Iterator<Item = &'a [u8; 32]>,
    in_place: &[bool],
    source: impl Fn(&[u8; 32]) -> Option<Source>,
) -> Plan {
    let mut plan = Plan::default();
    for ((hash, is_in_place), to) in wanted.zip(in_place).zip(0..) {
        match source(hash) {
            _ if *is_in_place => plan.in_place += 1,
            Some(from) => plan.copies.push(Copy { from, to }),
            None => plan.missing.push(to),
        }
    }
    plan
}

/// The blocks to ask for in one request, from the first of `missing` on; `None` when nothing is missing. Nothing is fetched
/// along to save requests: what erofs says of moved files lies scattered, and gaps of 2 blocks already cost 4 % more for half
/// of the requests.
#[must_use]
pub fn range(missing: &[u32]) -> Option<Range<u64>> {
    let start = u64::from(*missing.first()?);
    let mut end = start + 1;
    for block in missing[1..].iter().map(|block| u64::from(*block)) {
        if block > end || block >= start + REQUEST {
            break;
        }
        end = block + 1;
    }
    Some(start..end)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn ranges(mut missing: &[u32]) -> Vec<Range<u64>> {
        let mut ranges = Vec::new();
        while let Some(range) = range(missing) {
            missing = &missing[missing.partition_point(|block| u64::from(*block) < range.end)..];
            ranges.push(range);
        }
        ranges
    }

    #[test]
    fn neighbours_are_one_request() {
        assert_eq!(ranges(&[]), []);
        assert_eq!(range(&[3]), Some(3..4));
        assert_eq!(ranges(&[3, 4, 6]), [3..5, 6..7]);
        let all: Vec<u32> = (0..5000).collect();
        assert_eq!(ranges(&all), [0..2048, 2048..4096, 4096..5000]);
    }

    #[test]
    fn blocks_stay_before_they_are_copied_and_are_copied_before_they_are_fetched() {
        let wanted = [[1; 32], [2; 32], [3; 32]];
        let source = |hash: &[u8; 32]| (hash[0] != 3).then_some(Source::Running(7));
        let found = plan(wanted.iter(), &[true, false, false], source);
        let copies = vec![Copy { from: Source::Running(7), to: 1 }];
        assert_eq!(found, Plan { in_place: 1, copies, missing: vec![2] });
    }

    proptest! {
        #[test]
        fn every_missing_block_is_asked_for_once(blocks in proptest::collection::btree_set(0u32..20_000, 0..400)) {
            let missing: Vec<u32> = blocks.into_iter().collect();
            let ranges = ranges(&missing);
            for block in &missing {
                let hits = ranges.iter().filter(|range| range.contains(&u64::from(*block))).count();
                prop_assert_eq!(hits, 1);
            }
            for pair in ranges.windows(2) {
                let full = pair[0].end - pair[0].start == REQUEST;
                prop_assert!(pair[0].end < pair[1].start || full);
            }
            prop_assert!(ranges.iter().all(|range| range.end - range.start <= REQUEST));
        }
    }
}
