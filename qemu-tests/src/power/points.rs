//! Where to cut: at every flush between two marks, and at random records.

use crate::fault_disk::random::Random;
use crate::fault_disk::trace::{Event, Record};
use anyhow::{Context, Result, ensure};
use std::fmt;
use std::ops::Range;

/// Something the guest did between two marks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Operation {
    /// For the table.
    pub name: String,
    /// Mark at its beginning.
    pub begin: String,
    /// The next mark of this text ends it.
    pub end: String,
    /// Its share of the random points, in relation to the others'.
    pub weight: u32,
}

/// A cut to be tried: everything that repeats it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Point {
    /// Name of the operation that is cut.
    pub operation: String,
    /// The first record that does not happen.
    pub at: usize,
    /// Decides what survives.
    pub seed: u64,
}

impl fmt::Display for Point {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} cut before record {}, seed {:#018x}", self.operation, self.at, self.seed)
    }
}

impl Operation {
    /// The records between the marks.
    pub fn span(&self, records: &[Record]) -> Result<Range<usize>> {
        let find = |text: &str, from: usize| {
            let mut rest = records.iter().enumerate().skip(from);
            let found = rest.find(|(_, record)| matches!(&record.event, Event::Mark(mark) if mark == text));
            found.map(|(number, _)| number).with_context(|| format!("{}: no mark {text:?}", self.name))
        };
        let begin = find(&self.begin, 0)?;
        Ok(begin + 1..find(&self.end, begin + 1)?)
    }

    fn point(&self, at: usize, seed: u64) -> Point {
        // The seed of a point does not depend on how many there are.
        Point { operation: self.name.clone(), at, seed: Random::of(&[seed, at as u64]).number() }
    }
}

/// Two cuts for every flush answered within the operation: before its answer, when all since the flush before is in
/// doubt, and after it, when all that it covers is there.
pub fn at_flushes(records: &[Record], operation: &Operation, seed: u64) -> Result<Vec<Point>> {
    let span = operation.span(records)?;
    let answers = span.filter(|number| is_answer(records, *number));
    Ok(answers.flat_map(|number| [number, number + 1]).map(|at| operation.point(at, seed)).collect())
}

/// So many cuts at random records of operations, which are chosen by weight. Within one, a stretch from a flush's answer to
/// the next is drawn first, then a record in it: the few short writes that switch versions count as much as the many that
/// fill a slot.
pub fn at_random(records: &[Record], operations: &[Operation], count: usize, seed: u64) -> Result<Vec<Point>> {
    let total: u64 = operations.iter().map(|operation| u64::from(operation.weight)).sum();
    ensure!(total > 0, "no operation has a weight");
    let stretches = |operation: &Operation| Ok(stretches(records, operation.span(records)?));
    let spans = operations.iter().map(stretches).collect::<Result<Vec<_>>>()?;
    let mut random = Random::of(&[seed]);
    let mut points = Vec::new();
    for index in 0..count {
        let mut share = random.below(total);
        let chosen = operations.iter().zip(&spans).find(|(operation, _)| {
            let found = share < u64::from(operation.weight);
            share = share.saturating_sub(u64::from(operation.weight));
            found
        });
        let (operation, spans) = chosen.context("shares do not add up")?;
        let span = &spans[usize::try_from(random.below(spans.len() as u64))?];
        let at = span.start + usize::try_from(random.below(span.len() as u64))?;
        // Two points at one record are two seeds.
        points.push(operation.point(at, seed ^ Random::of(&[index as u64]).number()));
    }
    Ok(points)
}

/// A span in parts, each of which ends where the answer of a flush is the next record. The end mark itself is a place to
/// cut: everything happened, not everything was flushed.
fn stretches(records: &[Record], span: Range<usize>) -> Vec<Range<usize>> {
    let answers = span.clone().filter(|number| is_answer(records, *number)).map(|number| number + 1);
    let begins = std::iter::once(span.start).chain(answers.clone());
    let ends = answers.chain([span.end + 1]);
    begins.zip(ends).map(|(begin, end)| begin..end).collect()
}

/// Whether a record is the answer to a flush.
fn is_answer(records: &[Record], number: usize) -> bool {
    match records[number].event {
        Event::Done(request) => records[request].event == Event::Flush,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn records(events: Vec<Event>) -> Vec<Record> {
        events.into_iter().map(|event| Record { time: Duration::ZERO, event }).collect()
    }

    #[test]
    fn short_stretches_between_flushes_count_as_much_as_long_ones() {
        let mark = |text: &str| Event::Mark(text.into());
        let mut events = vec![mark("write begins"), Event::Flush, Event::Done(1)];
        events.extend((0..1000).map(|_| Event::Flush));
        events.push(mark("write ends"));
        let points = at_random(&records(events), &[operation("write", 1)], 1000, 7).unwrap();
        let early = points.iter().filter(|point| point.at < 3).count();
        assert!((400..600).contains(&early), "{early}");
    }

    fn operation(name: &str, weight: u32) -> Operation {
        Operation { name: name.into(), begin: format!("{name} begins"), end: format!("{name} ends"), weight }
    }

    fn sample() -> Vec<Record> {
        let mark = |text: &str| Event::Mark(text.into());
        records(vec![
            Event::Flush,          // 0
            mark("write begins"),  // 1
            Event::Done(0),        // 2
            Event::Flush,          // 3
            Event::Done(3),        // 4
            mark("write ends"),    // 5
            mark("switch begins"), // 6
            Event::Flush,          // 7
            mark("switch ends"),   // 8
            Event::Done(7),        // 9
        ])
    }

    #[test]
    fn every_flush_between_the_marks_is_cut_twice() {
        let at = |name| -> Vec<usize> {
            at_flushes(&sample(), &operation(name, 1), 1).unwrap().iter().map(|point| point.at).collect()
        };
        assert_eq!(at("write"), [2, 3, 4, 5]);
        assert!(at("switch").is_empty());
        let error = at_flushes(&sample(), &operation("erase", 1), 1).unwrap_err();
        assert_eq!(error.to_string(), "erase: no mark \"erase begins\"");
    }

    #[test]
    fn random_points_follow_the_weights_and_repeat() {
        let operations = [operation("write", 1), operation("switch", 3)];
        let points = at_random(&sample(), &operations, 1000, 42).unwrap();
        assert_eq!(points, at_random(&sample(), &operations, 1000, 42).unwrap());
        assert_ne!(points, at_random(&sample(), &operations, 1000, 43).unwrap());
        let write = points.iter().filter(|point| point.operation == "write").count();
        assert!((180..320).contains(&write), "{write}");
        for point in &points {
            assert!(if point.operation == "write" { 2..=5 } else { 7..=8 }.contains(&point.at), "{point}");
        }
        assert!((2..=5).all(|at| points.iter().any(|point| point.at == at)));
        let seeds: std::collections::BTreeSet<u64> = points.iter().map(|point| point.seed).collect();
        assert_eq!(seeds.len(), 1000);
        assert!(at_random(&sample(), &[operation("write", 0)], 1, 1).is_err());
    }
}
