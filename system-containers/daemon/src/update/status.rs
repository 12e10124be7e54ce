//! What is shown of updates: `GET /hull/update`. From the record and PID 1's report; the ESP is not asked.

use super::{trial, verbs, work};
use crate::lifecycle::System;
use hull_update::record::{Record, Trial};
use hull_update::settings::Policy;
use hull_update::slot::{Slot, SlotState};
use serde::Serialize;
use std::collections::BTreeMap;

/// The answer.
#[derive(Debug, Serialize)]
pub struct Status {
    /// Version that runs.
    pub version: String,
    /// Its slot.
    pub slot: String,
    /// Both slots, by letter.
    pub slots: BTreeMap<String, SlotStatus>,
    /// A release that could be applied.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub available: Option<Available>,
    /// The schedule is held.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hold: Option<Hold>,
    /// The running version is not judged yet.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trial: Option<OnTrial>,
    /// Versions that failed, the latest last.
    pub bad: Vec<Bad>,
    /// What happened last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last: Option<Last>,
    /// Where releases come from.
    pub settings: Settings,
}

/// One slot.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct SlotStatus {
    /// Word of [`SlotState`]; how often a trial may still be booted is the boot loader's to know.
    pub state: &'static str,
    /// What it holds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
}

/// A release.
#[derive(Debug, Serialize)]
pub struct Available {
    /// Its version.
    pub version: String,
    /// Bytes at most.
    pub size: u64,
    /// What its maker says.
    pub notes: String,
    /// When this machine takes it by itself, seconds since 1970.
    pub eligible_from: u64,
}

/// A hold.
#[derive(Debug, Serialize)]
pub struct Hold {
    /// The owner's words.
    pub reason: String,
}

/// A trial.
#[derive(Debug, Serialize)]
pub struct OnTrial {
    /// The version that runs.
    pub version: String,
}

/// A version that failed.
#[derive(Debug, Serialize)]
pub struct Bad {
    /// Which.
    pub version: String,
    /// Why.
    pub reason: String,
    /// Seconds since 1970.
    pub time: u64,
}

/// What happened.
#[derive(Debug, Serialize)]
pub struct Last {
    /// Which job.
    pub what: String,
    /// Seconds since 1970.
    pub when: u64,
    /// How it ended.
    pub outcome: String,
}

/// Those that explain the rest.
#[derive(Debug, Serialize)]
pub struct Settings {
    /// Of the releases.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// The channel.
    pub channel: String,
    /// What is done without being asked.
    pub policy: Policy,
}

/// Everything known now.
pub fn gather(system: &System) -> Status {
    let report = &system.boot_report;
    let record = verbs::record(system);
    let settings = work::settings(system);
    let on_trial = trial::is_on(system);
    let running = Slot::from_letter(&report.slot);
    let slots = running.map(|running| slots(running, &report.version, on_trial, record.as_ref())).unwrap_or_default();
    let record = record.as_ref();
    Status {
        version: report.version.clone(),
        slot: report.slot.clone(),
        slots,
        available: record.and_then(|record| record.available.as_ref()).map(|it| Available {
            version: it.version.clone(),
            size: it.size,
            notes: it.notes.clone(),
            eligible_from: it.eligible_from,
        }),
        hold: record.filter(|record| record.hold.held).map(|record| Hold { reason: record.hold.reason.clone() }),
        trial: on_trial.then(|| OnTrial { version: report.version.clone() }),
        bad: record
            .iter()
            .flat_map(|record| &record.bad)
            .map(|it| Bad { version: it.version.clone(), reason: it.reason.clone(), time: it.time })
            .collect(),
        last: record.and_then(|record| record.last.as_ref()).map(|it| Last {
            what: it.what.clone(),
            when: it.when,
            outcome: it.outcome.clone(),
        }),
        settings: Settings { url: settings.url, channel: settings.channel, policy: settings.policy },
    }
}

fn slots(running: Slot, version: &str, on_trial: bool, record: Option<&Record>) -> BTreeMap<String, SlotStatus> {
    let this = SlotStatus {
        state: if on_trial { SlotState::Trial(0) } else { SlotState::Good }.word(),
        version: Some(version.to_owned()),
    };
    let other = running.other();
    let image = record.and_then(|record| record.image(other));
    let tried = |trial: &Trial| image.is_some_and(|image| trial.slot == other && trial.version == image.version);
    let state = match (record, image) {
        (Some(record), Some(image)) if record.is_bad(&image.version) => SlotState::Bad,
        (Some(record), Some(_)) if record.trial.as_ref().is_some_and(tried) => SlotState::Trial(0),
        (Some(record), Some(image)) if record.is_good(&image.version) => SlotState::Good,
        (_, Some(_)) => SlotState::Written,
        (_, None) => SlotState::Empty,
    };
    let that = SlotStatus { state: state.word(), version: image.map(|image| image.version.clone()) };
    [(running.to_string(), this), (other.to_string(), that)].into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use hull_update::record::Image;

    #[test]
    fn the_other_slot_is_what_the_record_says() {
        let mut record = Record::new([0; 32]);
        let other = |record: &Record| slots(Slot::A, "1", false, Some(record)).remove("b").unwrap();
        assert_eq!(other(&record), SlotStatus { state: "empty", version: None });
        let image = Image { version: "2".into(), root_hash: "00".into(), data_blocks: 1, later: Default::default() };
        record.set_image(Slot::B, Some(image));
        assert_eq!(other(&record), SlotStatus { state: "written", version: Some("2".into()) });
        record.mark_good("2");
        assert_eq!(other(&record).state, "good");
        record.mark_bad("2", "x", 1);
        assert_eq!(other(&record).state, "bad");
        assert_eq!(slots(Slot::A, "1", true, None)["a"].state, "trial");
    }
}
