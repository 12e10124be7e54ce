//! Apply, confirm, revert: one at a time, each told to the person who asked.
//!
//! ```text
//! fragments on the disk ─ checked ─ rendered ─ compared with what is in force
//!   → the way back is on the disk → files are put in place, one by one → services are told
//! ```
//! A step that was begun is known on `/run` until it is done: whoever ends in between goes on where it was.

use super::boot::reverted;
use super::effect::{Effects, Step, effects};
use super::in_force::InForce;
use super::machine::Machine;
use super::record::{self, Before, Change};
use crate::machine::difference;
use crate::machine::fragments::{self, Texts};
use crate::paths::Paths;
use crate::render;
use crate::report::Messages;
use crate::stage::services;
use crate::store;
use anyhow::{Context, bail};
use std::collections::BTreeSet;

const UNFINISHED: &str = "unfinished.json";
/// A handful of words.
const MAX_UNFINISHED: u64 = 4 << 10;
/// A change that cannot be taken back is tried again after so many seconds.
const RETRY: u64 = 30;

/// Tells one line.
pub type Say<'s> = &'s mut dyn FnMut(String);

/// This boot, for records.
#[derive(Debug, Clone)]
pub struct ThisBoot {
    /// The kernel's id.
    pub id: String,
    /// Seconds since boot.
    pub now: fn() -> u64,
}

/// Everything a job works on.
#[derive(Debug)]
pub struct Job<'a, M> {
    /// Directories.
    pub paths: &'a Paths,
    /// Carries steps out.
    pub machine: &'a mut M,
    /// When it is.
    pub boot: ThisBoot,
}

/// Something to say, and that it went wrong.
type Outcome = anyhow::Result<()>;

impl<M: Machine> Job<'_, M> {
    /// Puts the fragments on the disk in force.
    ///
    /// # Errors
    /// What was not done; with `confirm_within` everything is as before then.
    pub fn apply(&mut self, confirm_within: Option<u32>, say: Say<'_>) -> Outcome {
        if record::pending(self.paths)?.is_some() {
            bail!("a change waits to be confirmed: hull config confirm, or hull config revert");
        }
        let in_force = InForce::load(&self.paths.report)?;
        let new = InForce { owner: self.disk(say)?, ..in_force.clone() };
        let before = record::differences(&in_force.owner, &new.owner);
        let wanted = self.compare(&new, say)?;
        if before.is_empty() && wanted.0.steps.is_empty() && wanted.0.later.is_empty() {
            say("nothing to apply: this configuration is in force".into());
            return Ok(());
        }
        let window = confirm_within.filter(|_| !before.is_empty()).map(u64::from);
        if confirm_within.is_some() && before.is_empty() {
            say("no fragment changed, so there is nothing to confirm".into());
        }
        let deadline = window.map(|seconds| (self.boot.now)() + seconds);
        if !before.is_empty() {
            let keys = difference::keys(&in_force.config(self.paths), &new.config(self.paths))?;
            record::begin(self.paths, &Change { boot_id: self.boot.id.clone(), deadline, keys, before })?;
        }
        let done = self.put_in_force(&new, wanted, say);
        match (done, window) {
            (Ok(()), None) => say("applied".into()),
            (Ok(()), Some(seconds)) => {
                say(format!(
                    "applied; taken back in {seconds} s, or by a restart, unless you run: hull config confirm"
                ));
            }
            (Err(error), None) => {
                return Err(error.context("applied, but not all of it works; hull config revert goes back"));
            }
            (Err(error), Some(_)) => {
                say(format!("{error:#}"));
                self.revert(say)?;
                bail!("it did not work and is taken back");
            }
        }
        Ok(())
    }

    /// The change that waits stays.
    ///
    /// # Errors
    /// Nothing waits, or the disk does not take it: then it is taken back at its time.
    pub fn confirm(&mut self, say: Say<'_>) -> Outcome {
        record::pending(self.paths)?.context("no change waits to be confirmed")?;
        record::confirm(self.paths)?;
        say("confirmed: it stays, also after a restart".into());
        Ok(())
    }

    /// Takes the change that waits back, or without one the last.
    ///
    /// # Errors
    /// There is none, or what of it could not be taken back.
    pub fn revert(&mut self, say: Say<'_>) -> Outcome {
        let change = match record::pending(self.paths)? {
            Some(change) => change,
            None => {
                let change = record::last(self.paths)?.context("there is no change to take back")?;
                record::reopen(self.paths)?;
                change
            }
        };
        let kept = self.take_back(&change, say)?;
        let aside =
            if kept.is_empty() { String::new() } else { format!("; the change is kept in {}", kept.join(", ")) };
        say(format!("the configuration before the last change is in force{aside}"));
        Ok(())
    }

    /// What is to be done without being asked: work that was left lying, a change whose time is over. Seconds until it
    /// has to be asked again; none: nothing waits.
    pub fn tend(&mut self, say: Say<'_>) -> Option<u64> {
        if !self.unfinished().is_empty() {
            self.carry_out(BTreeSet::new()).unwrap_or_else(|error| say(format!("{error:#}")));
        }
        let pending = record::pending(self.paths).unwrap_or_else(|error| {
            say(format!("{error:#}"));
            None
        });
        let change = pending?;
        let left = change.deadline.unwrap_or(0).saturating_sub((self.boot.now)());
        if left > 0 && change.boot_id == self.boot.id {
            return Some(left);
        }
        match self.take_back(&change, say) {
            Ok(kept) => say(reverted("in time", &kept)),
            Err(error) => {
                say(format!("the last change was not confirmed, and not all of it is taken back: {error:#}"));
                // The disk may take it later.
                return record::pending(self.paths).ok().flatten().map(|_| RETRY);
            }
        }
        None
    }

    /// The owner's fragments, free of errors.
    fn disk(&self, say: Say<'_>) -> anyhow::Result<Texts> {
        let mut messages = Messages::new("machine configuration");
        let texts = fragments::texts(&self.paths.state_config, &mut messages);
        tell(&messages, say);
        texts.context("nothing is applied: a fragment cannot be read")
    }

    /// Renders a configuration and compares it with the files in force.
    fn compare(&self, new: &InForce, say: Say<'_>) -> anyhow::Result<(Effects, render::Plan)> {
        let mut messages = Messages::new("machine configuration");
        let config = fragments::merge(&new.defaults, &self.paths.state_config, &new.owner, &mut messages);
        let plan = config.map(|config| {
            let network = services::network_of_this_boot();
            services::plan(self.paths, config, network.as_ref(), &mut messages)
        });
        tell(&messages, say);
        let plan = plan.context("nothing is applied: the configuration has errors")?;
        Ok((effects(&render::read(&self.paths.config), &plan), plan))
    }

    fn put_in_force(&mut self, new: &InForce, (wanted, plan): (Effects, render::Plan), say: Say<'_>) -> Outcome {
        self.begin(&wanted.steps)?;
        render::write(&self.paths.config, &plan)?;
        new.save(&self.paths.report)?;
        wanted.later.into_iter().for_each(&mut *say);
        for step in &wanted.steps {
            say(format!("changing live: {}", step.what()));
        }
        self.carry_out(wanted.steps)
    }

    /// The running system first of all: it is what somebody may have lost. The disk takes it before that, if it can.
    fn take_back(&mut self, change: &Change, say: Say<'_>) -> anyhow::Result<Vec<String>> {
        let in_force = InForce::load(&self.paths.report)?;
        let restored = record::restore(self.paths, &change.before);
        let old = InForce { owner: with(in_force.owner, &change.before), ..in_force };
        let wanted = self.compare(&old, say)?;
        let done = self.put_in_force(&old, wanted, say);
        let kept = restored?;
        // Whatever a service makes of it: there is no other way back.
        record::forget(self.paths)?;
        done.map(|()| kept)
    }

    /// All steps, those that were left lying among them, whichever of them fails.
    fn carry_out(&mut self, mut steps: BTreeSet<Step>) -> Outcome {
        steps.extend(self.unfinished());
        let mut failed = Vec::new();
        for step in steps {
            if let Err(error) = self.machine.carry_out(step) {
                failed.push(format!("{}: {error:#}", step.what()));
            }
        }
        self.begin(&BTreeSet::new())?;
        if failed.is_empty() { Ok(()) } else { bail!("{}", failed.join("; ")) }
    }

    /// Makes steps known before they are done; none: all are.
    fn begin(&self, steps: &BTreeSet<Step>) -> Outcome {
        let mut all = self.unfinished();
        all.extend(steps);
        let all = if steps.is_empty() { &BTreeSet::new() } else { &all };
        store::write(&self.paths.report.join(UNFINISHED), &serde_json::to_vec(all)?, 0o600)
    }

    fn unfinished(&self) -> BTreeSet<Step> {
        let content = store::read_bounded(&self.paths.report.join(UNFINISHED), MAX_UNFINISHED).ok().flatten();
        content.and_then(|content| serde_json::from_slice(&content).ok()).unwrap_or_default()
    }
}

/// Fragments with the texts they had.
fn with(mut texts: Texts, before: &Before) -> Texts {
    for (name, text) in before {
        match text {
            Some(text) => texts.insert(name.clone(), text.clone()),
            None => texts.remove(name),
        };
    }
    texts
}

fn tell(messages: &Messages, say: Say<'_>) {
    messages.list().iter().for_each(|message| say(format!("{}: {message}", message.severity.word())));
}
