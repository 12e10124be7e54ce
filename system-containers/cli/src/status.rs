//! `hull status` and `hull ps`: the answer of `GET /hull/status` and its rendering; pure.

use anyhow::{Context, Result};
use serde::Deserialize;
use serde_json::Value;
use std::fmt::Write as _;

const RED: &str = "\x1b[31m";
const GREEN: &str = "\x1b[32m";
const YELLOW: &str = "\x1b[33m";
const BOLD: &str = "\x1b[1m";
const PLAIN: &str = "\x1b[0m";

/// Enough digits of the root hash to compare by eye.
const HASH_DIGITS: usize = 16;
/// Keys of a change that are named: they are to fit in a line.
const SHOWN_KEYS: usize = 4;

/// What is shown of the answer; keys that are missing are left out of the picture.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Status {
    version: String,
    slot: String,
    root_hash: String,
    root_state: Option<String>,
    boot: String,
    since_boot_seconds: f64,
    state: State,
    user_data: UserData,
    pending_change: Option<PendingChange>,
    pressure: Vec<Pressure>,
    pub(crate) services: Vec<Service>,
    messages: Vec<Message>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct State {
    kind: String,
    device: Option<String>,
    first_boot: bool,
    reason: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct UserData {
    datasource: String,
    instance_id: String,
    commands: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct PendingChange {
    keys: Vec<String>,
    seconds_left: u32,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Pressure {
    resource: String,
    machine: Option<Shares>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Shares {
    some_avg10: f64,
}

/// One service.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Service {
    name: String,
    state: String,
    health: String,
    ready_us: Option<u64>,
    restarts: u32,
    pid: Option<i32>,
    required: bool,
    next_run: Option<String>,
    status: Option<String>,
    last_error: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Message {
    severity: String,
    source: String,
    line: Option<u64>,
    key: Option<String>,
    text: String,
}

/// The answer, as far as it is shown. A state that is `null` is like none.
pub(crate) fn parse(mut value: Value) -> Result<Status> {
    if let Some(object) = value.as_object_mut() {
        object.retain(|_, value| !value.is_null());
    }
    serde_json::from_value(value).context("the answer to /hull/status has another shape: client and daemon differ?")
}

/// One screen.
pub(crate) fn summary(status: &Status, colours: bool) -> String {
    let paint = Paint(colours);
    let mut rows = vec![
        ("version", format!("{}, slot {}", or_unknown(&status.version), or_unknown(&status.slot))),
        ("boot", format!("{}, up {}", boot(&status.boot, paint), span(status.since_boot_seconds))),
        ("root", root(status, paint)),
        ("state", state(&status.state, paint)),
    ];
    let UserData { datasource, instance_id, commands } = &status.user_data;
    if !datasource.is_empty() {
        rows.push(("user data", format!("{datasource}, instance {instance_id}, commands {commands}")));
    }
    rows.extend(status.pending_change.as_ref().map(|change| ("change", pending(change, paint))));
    let well = status.services.iter().filter(|service| service.well()).count();
    rows.push(("services", format!("{well} of {} well", status.services.len())));
    rows.extend(pressure(&status.pressure).map(|text| ("pressure", text)));
    let mut text = String::new();
    for (name, value) in rows {
        line(&mut text, &format!("{:9} {value}", paint.bold(name, 9)));
    }
    line(&mut text, "");
    text += &table(&status.services, colours);
    if !status.messages.is_empty() {
        line(&mut text, "");
        for message in &status.messages {
            line(&mut text, &paint.message(message));
        }
    }
    text
}

/// One line a service.
pub(crate) fn table(services: &[Service], colours: bool) -> String {
    let paint = Paint(colours);
    let head = ["SERVICE", "STATE", "READY", "RESTARTS", "PID", "REMARK"].map(str::to_owned);
    let rows: Vec<[String; 6]> = std::iter::once(head).chain(services.iter().map(Service::row)).collect();
    let mut widths = [0; 6];
    for row in &rows {
        // The last column is as long as it likes.
        for (width, cell) in widths.iter_mut().zip(&row[..5]) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let mut text = String::new();
    for (index, row) in rows.iter().enumerate() {
        let mut cells = String::new();
        for (column, (cell, width)) in row.iter().zip(widths).enumerate() {
            let padded = format!("{cell:width$}");
            let painted = match index.checked_sub(1).and_then(|index| services.get(index)) {
                None => paint.colour(BOLD, &padded),
                Some(service) if column == 1 => paint.colour(service.colour(), &padded),
                Some(_) => padded,
            };
            cells += &painted;
            cells += "  ";
        }
        line(&mut text, cells.trim_end());
    }
    text
}

impl Service {
    /// Nothing for anybody to do.
    fn well(&self) -> bool {
        matches!(self.state.as_str(), "ready" | "ended" | "idle") && self.health != "unhealthy"
    }

    fn colour(&self) -> &'static str {
        match self.state.as_str() {
            _ if self.well() => GREEN,
            "failed" => RED,
            _ => YELLOW,
        }
    }

    fn row(&self) -> [String; 6] {
        let health = if matches!(self.health.as_str(), "" | "none" | "healthy") {
            String::new()
        } else {
            format!(" ({})", self.health)
        };
        let remark = match (&self.last_error, &self.status) {
            (Some(error), _) if !self.well() => error.clone(),
            (_, Some(status)) => status.clone(),
            _ => self.next_run.as_ref().map(|next| format!("next run {next}")).unwrap_or_default(),
        };
        [
            format!("{}{}", self.name, if self.required { "*" } else { "" }),
            format!("{}{health}", self.state),
            self.ready_us.map(|time| format!("{:.2} s", seconds(time))).unwrap_or_default(),
            self.restarts.to_string(),
            self.pid.map(|pid| pid.to_string()).unwrap_or_default(),
            remark,
        ]
    }
}

/// Microseconds to seconds.
fn seconds(microseconds: u64) -> f64 {
    std::time::Duration::from_micros(microseconds).as_secs_f64()
}

fn boot(word: &str, paint: Paint) -> String {
    let colour = match word {
        "complete" => GREEN,
        "degraded" => RED,
        _ => YELLOW,
    };
    paint.colour(colour, or_unknown(word))
}

fn root(status: &Status, paint: Paint) -> String {
    let hash = status.root_hash.get(..HASH_DIGITS).unwrap_or(&status.root_hash);
    match status.root_state.as_deref() {
        Some("verified") => format!("{}, hash {hash}", paint.colour(GREEN, "verified")),
        Some("corrupted") => {
            format!("{}, hash {hash}: a block of the root partition is damaged", paint.colour(RED, "CORRUPTED"))
        }
        _ => paint.colour(YELLOW, "not verified"),
    }
}

fn state(state: &State, paint: Paint) -> String {
    match (state.kind.as_str(), &state.device) {
        ("disk", Some(device)) if state.first_boot => format!("{device}, made at this boot"),
        ("disk", Some(device)) => device.clone(),
        ("tmpfs", _) => {
            let reason = state.reason.as_deref().unwrap_or("no state partition");
            format!("{}: {reason}", paint.colour(YELLOW, "in memory, lost at power off"))
        }
        _ => "unknown".into(),
    }
}

/// What is taken back unless somebody confirms it.
fn pending(change: &PendingChange, paint: Paint) -> String {
    let mut keys = change.keys.iter().take(SHOWN_KEYS).map(String::as_str).collect::<Vec<_>>().join(", ");
    match change.keys.len() {
        0 => keys += "the configuration",
        count if count > SHOWN_KEYS => keys += &format!(" and {} more", count - SHOWN_KEYS),
        _ => {}
    }
    match change.seconds_left {
        0 => format!("{keys}: {}", paint.colour(YELLOW, "being taken back")),
        left => {
            let waits = format!("taken back in {} unless you run: hull config confirm", span(left.into()));
            format!("{keys}: {}", paint.colour(YELLOW, &waits))
        }
    }
}

/// Share of the last seconds in which work waited for each resource.
fn pressure(all: &[Pressure]) -> Option<String> {
    let one =
        |pressure: &Pressure| Some(format!("{} {:.0} %", pressure.resource, pressure.machine.as_ref()?.some_avg10));
    let known: Vec<String> = all.iter().filter_map(one).collect();
    (!known.is_empty()).then(|| known.join(", "))
}

fn or_unknown(text: &str) -> &str {
    if text.is_empty() { "unknown" } else { text }
}

/// `42 s`, `3 min 5 s`, `2 h 1 min`, `12 d 3 h`.
fn span(seconds: f64) -> String {
    let total = std::time::Duration::try_from_secs_f64(seconds).unwrap_or_default().as_secs();
    let (days, hours, minutes) = (total / 86400, total / 3600 % 24, total / 60 % 60);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{total} s"),
        (0, 0, _) => format!("{minutes} min {} s", total % 60),
        (0, ..) => format!("{hours} h {minutes} min"),
        _ => format!("{days} d {hours} h"),
    }
}

fn line(text: &mut String, line: &str) {
    // Writing to a string cannot fail.
    writeln!(text, "{line}").ok();
}

/// Colours, or none.
#[derive(Debug, Clone, Copy)]
struct Paint(bool);

impl Paint {
    fn colour(self, colour: &str, text: &str) -> String {
        if self.0 { format!("{colour}{text}{PLAIN}") } else { text.into() }
    }

    fn bold(self, text: &str, width: usize) -> String {
        self.colour(BOLD, &format!("{text:width$}"))
    }

    fn message(self, message: &Message) -> String {
        let colour = match message.severity.as_str() {
            "error" => RED,
            "warning" => YELLOW,
            _ => PLAIN,
        };
        let mut place = message.source.clone();
        if let Some(line) = message.line {
            place += &format!(":{line}");
        }
        if let Some(key) = &message.key {
            place += &format!(": {key}");
        }
        let separator = if place.is_empty() { "" } else { ": " };
        format!("{} {place}{separator}{}", self.colour(colour, &format!("{:7}", message.severity)), message.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_whole_screen() {
        let status = parse(serde_json::from_str(include_str!("../testdata/status.json")).unwrap()).unwrap();
        assert_eq!(summary(&status, false), include_str!("../testdata/status.txt"));
    }

    #[test]
    fn colours_change_nothing_else() {
        let status = parse(serde_json::from_str(include_str!("../testdata/status.json")).unwrap()).unwrap();
        let mut text = summary(&status, true);
        assert!(text.contains("\x1b[31mfailed"), "{text}");
        for colour in [RED, GREEN, YELLOW, BOLD, PLAIN] {
            text = text.replace(colour, "");
        }
        assert_eq!(text, summary(&status, false));
    }

    #[test]
    fn a_poor_answer_is_shown_too() {
        for poor in ["{}", r#"{"state": null, "services": [{"name": "x", "new-key": 1}]}"#] {
            let status = parse(serde_json::from_str(poor).unwrap()).unwrap();
            assert!(summary(&status, false).contains("not verified"), "{poor}");
        }
        assert!(parse(serde_json::json!({ "services": 3 })).is_err());
    }

    #[test]
    fn a_change_that_waits() {
        for (keys, left, expected) in [
            (&["hostname"][..], 40, "hostname: taken back in 40 s unless you run: hull config confirm"),
            (&[], 40, "the configuration: taken back in 40 s unless"),
            (&["hostname"], 0, "hostname: being taken back"),
            (&["a", "b", "c", "d", "e", "f"], 40, "a, b, c, d and 2 more: taken back"),
        ] {
            let change = PendingChange { keys: keys.iter().map(|key| (*key).to_owned()).collect(), seconds_left: left };
            let text = pending(&change, Paint(false));
            assert!(text.starts_with(expected), "{text}");
        }
    }

    #[test]
    fn spans() {
        for (seconds, text) in [
            (4.9, "4 s"),
            (185.0, "3 min 5 s"),
            (7260.0, "2 h 1 min"),
            (1_047_600.0, "12 d 3 h"),
            (-1.0, "0 s"),
            (f64::NAN, "0 s"),
        ] {
            assert_eq!(span(seconds), text);
        }
    }
}
