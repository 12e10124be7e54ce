//! Which slot the boot loader takes: a trial, its end, and the way back.

use super::Worker;
use crate::job::{Done, FailedTrial};
use crate::record::Trial;
use crate::slot::SlotState;
use crate::version::Version;
use anyhow::{Context, Result, bail};
use serde_json::Map;

/// What is known of a version that never said anything.
const SILENT: &str = "it did not come up: the boot loader went back after its last try";

impl Worker<'_> {
    pub(super) fn activate(&mut self) -> Result<Done> {
        let other = self.machine.slot.other();
        let image = self.record.image(other).context("the other slot holds no whole image: hull update fetch first")?;
        let version = image.version.clone();
        let loader = self.loader()?;
        // Before the loader: a trial that nobody remembers would never be settled.
        self.record.trial = Some(Trial {
            version: version.clone(),
            slot: other,
            from: self.machine.version.clone(),
            started_time: self.now,
            later: Map::new(),
        });
        self.remember()?;
        loader.try_slot(other, &version, self.settings.tries)?;
        Ok(Done::Activated { version })
    }

    pub(super) fn bless(&mut self) -> Result<Done> {
        let version = self.machine.version.clone();
        self.loader()?.bless(self.machine.slot)?;
        if let Some(trial) = self.record.trial.take() {
            self.record.mark_good(&trial.from);
        }
        self.record.mark_good(&version);
        let highest = self.record.highest_blessed.as_ref().and_then(|highest| highest.parse::<Version>().ok());
        let this = version.parse::<Version>().ok();
        if this.is_some_and(|this| highest.is_none_or(|highest| highest < this)) {
            self.record.highest_blessed = Some(version);
        }
        self.record.available = None;
        Ok(Done::Noted { failed: None })
    }

    pub(super) fn condemn(&mut self, reason: &str) -> Result<Done> {
        // Before the loader: if that fails, the reason is known when it has counted to the end.
        let version = self.machine.version.clone();
        self.record.mark_bad(&version, reason, self.now);
        self.remember()?;
        self.loader()?.condemn(self.machine.slot)?;
        Ok(Done::Noted { failed: Some(FailedTrial { version, reason: reason.into() }) })
    }

    pub(super) fn rollback(&mut self) -> Result<Done> {
        let other = self.machine.slot.other();
        let image = self.record.image(other).context("the other slot holds no version to go back to")?;
        let version = image.version.clone();
        let loader = self.loader()?;
        if !self.record.is_good(&version) {
            bail!("version {version} in the other slot never ran well here; hull update apply tries it");
        }
        self.record.mark_bad(&self.machine.version, "given up by an administrator", self.now);
        self.remember()?;
        loader.prefer(other)?;
        Ok(Done::RolledBack { version })
    }

    /// A boot of a version that is not on trial, while one is remembered to be.
    pub(super) fn settle(&mut self) -> Result<Done> {
        let Some(trial) = self.record.trial.clone() else { return Ok(Done::Noted { failed: None }) };
        let loader = self.loader()?;
        let state = loader.read()?.state(trial.slot);
        let is_running = trial.slot == self.machine.slot && trial.version == self.machine.version;
        let failed = match state {
            // Power failed between the loader and the record.
            SlotState::Good if is_running => return self.bless(),
            // The boot loader was not told of it yet: power failed just before.
            SlotState::Empty | SlotState::Written | SlotState::Good => None,
            // Somebody chose this version in the loader's menu; the trial goes on at the next boot.
            SlotState::Trial(_) => return Ok(Done::Noted { failed: None }),
            SlotState::Bad => Some(self.failed(&trial)),
        };
        self.record.trial = None;
        self.record.available = None;
        if let Some(failed) = &failed {
            self.record.mark_bad(&failed.version, &failed.reason, self.now);
            self.record.note("apply", self.now, &format!("{} failed: {}", failed.version, failed.reason));
        }
        Ok(Done::Noted { failed })
    }

    /// What the version said itself, where it could.
    fn failed(&self, trial: &Trial) -> FailedTrial {
        let own = self.record.bad.iter().find(|bad| bad.version == trial.version && bad.time >= trial.started_time);
        FailedTrial {
            version: trial.version.clone(),
            reason: own.map_or_else(|| SILENT.into(), |bad| bad.reason.clone()),
        }
    }
}
