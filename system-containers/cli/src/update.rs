//! `hull update`: what there is, what is newer, and the verbs that change it.

use crate::arguments::update::Update;
use crate::client::Client;
use crate::progress::{clean, follow};
use anyhow::{Context, Result};
use hull_service::calendar::civil;
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::process::ExitCode;

/// Versions that failed, lines of notes: the latest; the rest is in the JSON.
const SHOWN: usize = 5;

/// The answer of `GET /hull/update`; keys that are missing are left out of the picture.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Status {
    version: String,
    slot: String,
    slots: BTreeMap<String, Slot>,
    available: Option<Available>,
    hold: Option<Hold>,
    trial: Option<Trial>,
    bad: Vec<Bad>,
    last: Option<Last>,
    settings: Settings,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Slot {
    state: String,
    version: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Available {
    version: String,
    size: u64,
    notes: Option<String>,
    eligible_from: Value,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Hold {
    reason: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Trial {
    version: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Bad {
    version: String,
    reason: String,
    time: Value,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Last {
    what: String,
    when: Value,
    outcome: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Settings {
    url: Option<String>,
    channel: String,
    policy: String,
}

pub(crate) fn run(client: &Client, verb: &Update) -> Result<ExitCode> {
    match verb {
        Update::Status { json: true } => crate::print(&crate::pretty(&client.get("/hull/update")?)?)?,
        Update::Status { json: false } => crate::print(&screen(client.get("/hull/update")?)?)?,
        Update::Run { action, force, no_reboot } => {
            let request = json!({ "force": force, "no_reboot": no_reboot });
            follow(client, &format!("/hull/update/{}", action.word()), &request, "hull update")?;
        }
        Update::Hold { reason } => hold(client, true, reason)?,
        Update::Unhold => hold(client, false, "")?,
    }
    Ok(ExitCode::SUCCESS)
}

fn hold(client: &Client, hold: bool, reason: &str) -> Result<()> {
    client.post("/hull/update/hold", Some(&json!({ "hold": hold, "reason": reason })))?;
    crate::print(if hold { "updates are held; hull update unhold lets them go on\n" } else { "updates go on\n" })
}

/// One screen.
fn screen(mut answer: Value) -> Result<String> {
    if let Some(object) = answer.as_object_mut() {
        object.retain(|_, value| !value.is_null());
    }
    let status: Status = serde_json::from_value(answer)
        .context("the answer to /hull/update has another shape: client and daemon differ?")?;
    let mut text = String::new();
    for (name, value) in rows(&status) {
        // Writing to a string cannot fail.
        writeln!(text, "{}", format!("{name:9} {}", clean(&value)).trim_end()).ok();
    }
    Ok(text)
}

fn rows(status: &Status) -> Vec<(&'static str, String)> {
    let Settings { url, channel, policy } = &status.settings;
    let from = match url {
        Some(url) => format!("{policy}, channel {channel} of {url}"),
        None => "off, no update.url is configured".into(),
    };
    let mut rows = vec![("version", format!("{}, slot {}", status.version, status.slot)), ("updates", from)];
    for (name, slot) in [("slot a", "a"), ("slot b", "b")] {
        if let Some(found) = status.slots.get(slot) {
            rows.push((name, describe(found, status.slot == slot)));
        }
    }
    if let Some(Trial { version }) = &status.trial {
        rows.push(("trial", format!("{version} has to pass its gate yet")));
    }
    if let Some(hold) = &status.hold {
        let reason = hold.reason.as_deref().filter(|reason| !reason.is_empty()).unwrap_or("no reason given");
        rows.push(("held", format!("{reason}; hull update unhold lets updates go on")));
    }
    match &status.available {
        Some(available) => {
            let Available { version, size, notes, eligible_from } = available;
            let from = time(eligible_from).map(|time| format!(", by itself from {time} on")).unwrap_or_default();
            rows.push(("available", format!("{version}, {}{from}; hull update apply installs it", bytes(*size))));
            let notes = notes.as_deref().unwrap_or_default().lines().filter(|line| !line.trim().is_empty());
            rows.extend(notes.take(SHOWN).map(|line| ("", format!("  {line}"))));
        }
        None => rows.push(("available", "nothing newer is known".into())),
    }
    for bad in status.bad.iter().rev().take(SHOWN) {
        let time = time(&bad.time).map(|time| format!(" ({time})")).unwrap_or_default();
        rows.push(("failed", format!("{}: {}{time}", bad.version, bad.reason)));
    }
    if let Some(Last { what, when, outcome }) = &status.last {
        let time = time(when).map(|time| format!(", {time}")).unwrap_or_default();
        rows.push(("last", format!("{what}{time}: {outcome}")));
    }
    rows
}

fn describe(slot: &Slot, runs: bool) -> String {
    let state = match slot.state.as_str() {
        "trial" => "on trial",
        "bad" => "given up",
        "written" => "written, not booted yet",
        other => other,
    };
    let version = slot.version.as_deref().map(|version| format!("{version}, ")).unwrap_or_default();
    format!("{version}{state}{}", if runs { ", runs" } else { "" })
}

/// Seconds since 1970 as date and time; a text as it is.
fn time(value: &Value) -> Option<String> {
    if let Some(text) = value.as_str() {
        return Some(text.to_owned());
    }
    let seconds = value.as_i64().filter(|seconds| (1..1 << 40).contains(seconds))?;
    let (year, month, day) = civil(seconds / 86_400);
    Some(format!("{year}-{month:02}-{day:02} {:02}:{:02} UTC", seconds / 3600 % 24, seconds / 60 % 60))
}

fn bytes(size: u64) -> String {
    match size {
        0..0x10_0000 => format!("{} KiB", size.div_ceil(1 << 10)),
        _ => format!("{} MiB", size.div_ceil(1 << 20)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_whole_screen() {
        let answer = serde_json::from_str(include_str!("../testdata/update.json")).unwrap();
        assert_eq!(screen(answer).unwrap(), include_str!("../testdata/update.txt"));
    }

    #[test]
    fn a_poor_answer_is_shown_too() {
        for poor in ["{}", r#"{"hold": null, "slots": {"a": {"state": "good", "new-key": 1}}, "available": null}"#] {
            let text = screen(serde_json::from_str(poor).unwrap()).unwrap();
            assert!(text.contains("no update.url") && text.contains("nothing newer"), "{text}");
        }
        assert!(screen(json!({ "bad": 3 })).is_err());
    }

    #[test]
    fn times_and_sizes() {
        assert_eq!(time(&json!(1_772_195_400)).as_deref(), Some("2026-02-27 12:30 UTC"));
        assert_eq!(time(&json!("2026-02-27T12:30:00Z")).as_deref(), Some("2026-02-27T12:30:00Z"));
        assert_eq!((time(&json!(0)), time(&Value::Null), time(&json!(-5))), (None, None, None));
        assert_eq!((bytes(1), bytes(3 << 20), bytes((3 << 20) + 1)), ("1 KiB".into(), "3 MiB".into(), "4 MiB".into()));
    }
}
