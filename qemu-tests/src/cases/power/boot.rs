//! A cut disk is booted, and everything that was promised is asked for.

use super::counter::{FILE, NAME};
use super::recording::Recording;
use crate::cases::update::NEW;
use crate::guest::Guest;
use crate::power::outcomes::Outcome;
use crate::power::points::Point;
use crate::power::story::{Promised, Step};
use anyhow::{Context, Result, ensure};
use serde::Deserialize;
use std::time::{Duration, Instant};

/// Seconds, for a machine that is not emulated; a second boot may be part of it, when a trial fails.
const BOOT: u32 = 150;
const ANSWER: u32 = 60;
const UPDATE: u32 = 150;
const SETTLE: Duration = Duration::from_secs(300);
const POLL: Duration = Duration::from_secs(2);

/// The keys of `hull status --json` that are looked at.
#[derive(Debug, Deserialize)]
pub(super) struct Status {
    pub(super) version: String,
    boot: String,
    state: State,
    messages: Vec<Message>,
}

#[derive(Debug, Deserialize)]
struct State {
    kind: String,
}

#[derive(Debug, Deserialize)]
struct Message {
    severity: String,
    source: String,
    text: String,
}

/// The keys of `hull update status --json` that are looked at.
#[derive(Debug, Deserialize)]
struct Update {
    version: String,
    trial: Option<serde::de::IgnoredAny>,
}

/// Asks the system daemon.
pub(super) fn status(guest: &mut Guest) -> Result<Status> {
    let text = guest.hull("status --json")?;
    serde_json::from_str(&text).with_context(|| format!("hull status: {text}"))
}

/// Boots a prepared guest and says what became of it, with a sentence when it is not well.
pub(super) fn outcome(guest: &mut Guest, recording: &Recording, point: &Point) -> (Outcome, String) {
    if let Err(error) = guest.start().and_then(|()| guest.wait_console("boot complete", BOOT)) {
        return (Outcome::Unbootable, format!("{error:#}"));
    }
    match whole(guest, recording, point) {
        Ok(version) if version == recording.old => (Outcome::Old, String::new()),
        Ok(_) => (Outcome::New, String::new()),
        Err(error) => (Outcome::Damaged, format!("{error:#}")),
    }
}

/// The version that runs once the machine has settled.
fn whole(guest: &mut Guest, recording: &Recording, point: &Point) -> Result<String> {
    let step = recording.step(&point.operation)?;
    let promised = Promised::before(recording.records(), point.at);
    settle(guest)?;
    let status = status(guest)?;
    let Status { version, boot, state, messages } = &status;
    ensure!(*version == recording.old || (*version == NEW && step.may_boot_new()), "version {version} runs");
    ensure!(boot == "complete", "the boot is {boot}");
    ensure!(state.kind == "disk", "the state is kept in {}", state.kind);
    if let Some(Message { source, text, .. }) = messages.iter().find(|message| message.severity == "error") {
        anyhow::bail!("hull status says {source}: {text}");
    }
    promised.check_configuration(content(guest, "/state/config/60-test.toml")?.as_deref())?;
    promised.check_lines(content(guest, &format!("/state{FILE}"))?.as_deref())?;
    // Also: the user exists, ssh works, the engine answers.
    guest.retry(ANSWER, "docker ps -a")?;
    // Docker does not sync the layers that it unpacks: soon after a pull the program may be lost.
    if step >= Step::Apply {
        guest.retry(ANSWER, &format!("docker inspect -f '{{{{.State.Running}}}}' {NAME} | grep -qx true"))?;
    }
    if matches!(step, Step::Fetch | Step::Apply) && *version == recording.old {
        updates_again(guest)?;
    }
    Ok(status.version)
}

/// The update that was cut off can be made: the other slot is written to its end.
fn updates_again(guest: &mut Guest) -> Result<()> {
    let text = guest.hull_within("update fetch", UPDATE)?;
    ensure!(text.contains(&format!("version {NEW}")) && text.contains("in the other slot"), "fetched again: {text}");
    Ok(())
}

/// Waits until no version is on trial; one that fails its gate restarts the machine.
fn settle(guest: &mut Guest) -> Result<()> {
    let deadline = Instant::now() + SETTLE * guest.patience();
    loop {
        let answer = guest.hull("update status --json").and_then(|text| {
            serde_json::from_str::<Update>(&text).with_context(|| format!("hull update status: {text}"))
        });
        match answer {
            Ok(Update { trial: None, .. }) => return Ok(()),
            Ok(Update { version, .. }) => ensure!(Instant::now() < deadline, "{version} stays on trial"),
            Err(error) if Instant::now() >= deadline => return Err(error.context("the machine does not settle")),
            Err(_) => {}
        }
        std::thread::sleep(POLL);
    }
}

fn content(guest: &mut Guest, path: &str) -> Result<Option<String>> {
    let text = guest.host(&format!("if test -e {path}; then echo there; cat {path}; fi"))?;
    Ok(text.strip_prefix("there\n").map(str::to_owned))
}
