//! What a cut may and may not do to sectors, against a model that knows nothing of plans.

use super::super::cut::{Grain, SECTOR, Temper, plan, tempered};
use super::super::trace::Writer;
use super::super::{Image, Trace};
use super::{Bed, bytes};
use proptest::prelude::*;

const SECTORS: u64 = 12;
const SIZE: u64 = SECTORS * SECTOR;

#[derive(Debug, Clone)]
enum Step {
    Write(u64, u64, bool),
    Zeroes(u64, u64),
    Flush,
    /// Answers the oldest request that waits.
    Answer,
}

fn step() -> impl Strategy<Value = Step> {
    let range = || (0..SECTORS, 1..4_u64).prop_map(|(first, count)| (first, count.min(SECTORS - first)));
    prop_oneof![
        4 => (range(), prop::bool::weighted(0.2)).prop_map(|((first, count), fua)| Step::Write(first, count, fua)),
        1 => range().prop_map(|(first, count)| Step::Zeroes(first, count)),
        2 => Just(Step::Flush),
        5 => Just(Step::Answer),
    ]
}

/// A version of a sector, as the model sees it.
#[derive(Debug, Clone)]
struct Version {
    byte: Vec<u8>,
    fua: bool,
    answered: bool,
    durable: bool,
    number: usize,
}

/// Each sector's versions, the oldest first.
type Model = Vec<Vec<Version>>;

/// Bytes that tell record, sector and place apart.
fn pattern(number: usize, sector: u64) -> Vec<u8> {
    (0..SECTOR).map(|i| (number as u64 * 31 + sector * 7 + i * 3 + 1) as u8).collect()
}

/// Writes the steps to a trace; `models[n]` is what is known before record `n`.
fn record(bed: &Bed, steps: &[Step]) -> (Trace, Vec<Model>) {
    let mut writer = Writer::create(&bed.path("trace"), SIZE).unwrap();
    let base = |sector: u64| Version {
        byte: vec![sector as u8; SECTOR as usize],
        fua: false,
        answered: true,
        durable: true,
        number: usize::MAX,
    };
    let mut model: Model = (0..SECTORS).map(|sector| vec![base(sector)]).collect();
    let mut models = vec![model.clone()];
    let mut waiting = std::collections::VecDeque::new();
    // For each flush what had been answered when it arrived.
    let mut covered: Vec<(usize, Vec<usize>)> = Vec::new();
    let mut answered = Vec::new();
    for step in steps {
        let add = |model: &mut Model, number, first: u64, count, fua, zero: bool| {
            for sector in first..first + count {
                let byte = if zero { vec![0; SECTOR as usize] } else { pattern(number, sector) };
                model[sector as usize].push(Version { byte, fua, answered: false, durable: false, number });
            }
        };
        match *step {
            Step::Write(first, count, fua) => {
                let number = models.len() - 1;
                let data: Vec<u8> = (first..first + count).flat_map(|sector| pattern(number, sector)).collect();
                assert_eq!(writer.write(first * SECTOR, &data, fua).unwrap().0, number);
                add(&mut model, number, first, count, fua, false);
                waiting.push_back(number);
            }
            Step::Zeroes(first, count) => {
                let number = writer.zeroes(first * SECTOR..(first + count) * SECTOR, false).unwrap();
                add(&mut model, number, first, count, false, true);
                waiting.push_back(number);
            }
            Step::Flush => {
                let number = writer.flush().unwrap();
                covered.push((number, answered.clone()));
                waiting.push_back(number);
            }
            Step::Answer => {
                let Some(number) = waiting.pop_front() else { continue };
                writer.done(number).unwrap();
                answered.push(number);
                let flushed = covered.iter().find(|(flush, _)| *flush == number).map(|(_, covered)| covered.clone());
                for version in model.iter_mut().flatten() {
                    version.answered |= version.number == number;
                    version.durable |= version.answered && version.fua;
                    version.durable |= flushed.as_ref().is_some_and(|covered| covered.contains(&version.number));
                }
            }
        }
        models.push(model.clone());
    }
    (Trace::open(&bed.path("trace")).unwrap(), models)
}

/// What may be left of a sector: the last durable version and those after it.
fn candidates(versions: &[Version]) -> &[Version] {
    let last = versions.iter().rposition(|version| version.durable).unwrap();
    &versions[last..]
}

fn mixed(got: &[u8], versions: &[Version]) -> bool {
    versions.iter().any(|head| {
        let same = got.iter().zip(&head.byte).take_while(|(a, b)| a == b).count();
        versions.iter().any(|tail| (0..=same).rev().any(|split| got[split..] == tail.byte[split..]))
    })
}

fn bed() -> (Bed, Image) {
    let base: Vec<u8> = (0..SECTORS).flat_map(|sector| vec![sector as u8; SECTOR as usize]).collect();
    let bed = Bed::new(&base);
    let image = bed.base(SIZE);
    (bed, image)
}

proptest! {
    #[test]
    fn what_was_flushed_is_there_and_the_rest_is_old_new_or_torn(
        steps in prop::collection::vec(step(), 0..40), at in any::<prop::sample::Index>(), seed: u64, torn in any::<bool>(),
    ) {
        let (bed, base) = bed();
        let (trace, models) = record(&bed, &steps);
        let at = at.index(models.len());
        let temper = Temper { torn: if torn { 300 } else { 0 }, ..Temper::drawn(seed) };
        let image = base.after(&trace, &tempered(&trace.records, at, seed, temper)).unwrap();
        let content = bytes(&image);
        for (sector, versions) in models[at].iter().enumerate() {
            let got = &content[sector * 512..][..512];
            let may = candidates(versions);
            if may.len() == 1 {
                prop_assert!(got == may[0].byte, "sector {} was flushed", sector);
            } else if torn {
                prop_assert!(mixed(got, may), "sector {}", sector);
            } else {
                prop_assert!(may.iter().any(|version| got == version.byte), "sector {}", sector);
            }
        }
        // The same seed, the same image; and a file of it is the same too.
        let again = base.after(&trace, &tempered(&trace.records, at, seed, temper)).unwrap();
        prop_assert_eq!(bytes(&again), content.clone());
        prop_assert_eq!(super::exported(&image, &bed.path("export")), content);
    }

    #[test]
    fn with_nothing_unflushed_it_is_the_full_image(steps in prop::collection::vec(step(), 0..40), seed: u64) {
        let (bed, base) = bed();
        let answers = steps.len() + 1;
        let steps: Vec<Step> = steps.into_iter().chain(vec![Step::Answer; answers])
            .chain([Step::Flush, Step::Answer]).collect();
        let (trace, models) = record(&bed, &steps);
        let image = base.after(&trace, &plan(&trace.records, trace.records.len(), seed)).unwrap();
        let full: Vec<u8> = models.last().unwrap().iter().flat_map(|versions| versions.last().unwrap().byte.clone()).collect();
        prop_assert_eq!(bytes(&image), full);
    }
}

proptest! {
    #[test]
    fn a_cache_that_loses_all_leaves_the_flushed_and_one_that_loses_nothing_the_newest(
        steps in prop::collection::vec(step(), 0..40), at in any::<prop::sample::Index>(), seed: u64,
    ) {
        let (bed, base) = bed();
        let (trace, models) = record(&bed, &steps);
        let at = at.index(models.len());
        for (keep, grain) in [(0, Grain::Sector), (0, Grain::Request), (1000, Grain::Sector), (1000, Grain::Request)] {
            let temper = Temper { keep, torn: 0, grain };
            let content = bytes(&base.after(&trace, &tempered(&trace.records, at, seed, temper)).unwrap());
            for (sector, versions) in models[at].iter().enumerate() {
                let may = candidates(versions);
                let want = if keep == 0 { may.first() } else { may.last() };
                prop_assert!(content[sector * 512..][..512] == want.unwrap().byte, "sector {} keep {}", sector, keep);
            }
        }
    }
}

#[test]
fn seeds_reach_every_outcome() {
    let (bed, base) = bed();
    let steps = [Step::Write(3, 1, false), Step::Answer, Step::Write(3, 1, false), Step::Answer];
    let (trace, models) = record(&bed, &steps);
    let versions = &models.last().unwrap()[3];
    let mut seen = [0; 4];
    for seed in 0..300 {
        let content = bytes(&base.after(&trace, &plan(&trace.records, 4, seed)).unwrap());
        let got = &content[3 * 512..4 * 512];
        seen[versions.iter().position(|version| version.byte == got).unwrap_or(3)] += 1;
    }
    assert!(seen.iter().all(|count| *count > 5), "old, first, second, torn: {seen:?}");
}

#[test]
fn a_request_is_lost_as_a_whole_when_that_is_the_grain() {
    let (bed, base) = bed();
    let (trace, models) = record(&bed, &[Step::Write(0, 3, false), Step::Write(3, 3, false)]);
    let temper = Temper { keep: 500, torn: 0, grain: Grain::Request };
    let mut seen = std::collections::BTreeSet::new();
    for seed in 0..100 {
        let content = bytes(&base.after(&trace, &tempered(&trace.records, 2, seed, temper)).unwrap());
        let kept = |sector: usize| content[sector * 512..][..512] == models[2][sector][1].byte;
        assert!(kept(0) == kept(1) && kept(1) == kept(2) && kept(3) == kept(5));
        seen.insert((kept(0), kept(3)));
    }
    assert_eq!(seen.len(), 4);
}
