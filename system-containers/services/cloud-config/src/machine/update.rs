//! `update`: where updates come from, how far they go by themselves, and what a new version has to prove.
//!
//! The values end in [`hull_update::settings`], which the daemon reads. A mistake anywhere in it leaves nothing to happen by
//! itself but looking for releases: a gate with a check missing, or a window misread, would restart the machine wrongly.

use super::json_schema;
use crate::document::{Fields, Node};
use crate::report::Messages;
use hull_service::calendar::Calendar;
use hull_update::loader::MOST_TRIES;
use hull_update::settings::{Check, DEFAULT_TIMEOUT, Policy, Probe, Schedule, Settings, Window};
use schemars::JsonSchema;
use serde::Serialize;

/// Seconds a gate or one of its checks may be given.
const SECONDS: std::ops::RangeInclusive<u32> = 1..=3600;
/// Checks of a gate.
const MOST_CHECKS: usize = 64;
const LONGEST_NAME: usize = 64;
const LONGEST_URL: usize = 2048;

/// The keys.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(deny_unknown_fields)]
pub struct Update {
    /// Directory of releases.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// Which of its channels.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub channel: Option<String>,
    /// How far updates go by themselves.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(default, schema_with = "json_schema::policy")]
    pub policy: Option<Policy>,
    /// When a release is looked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub check: Option<Schedule>,
    /// When the machine may restart by itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(default, schema_with = "json_schema::texts")]
    pub window: Option<Vec<Window>>,
    /// Seconds for the whole gate.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 3600))]
    pub gate_timeout: Option<u32>,
    /// Boots a new version gets.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 9))]
    pub tries: Option<u32>,
    /// What has to work.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gate: Option<Vec<GateCheck>>,
}

/// One check: a container, a URL, or a command in a container.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct GateCheck {
    /// Its name in reports.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 3600))]
    pub timeout: Option<u32>,
    /// Name of an application container.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub container: Option<String>,
    /// What is asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// What it has to answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 100, max = 599))]
    pub status: Option<u32>,
    /// What is run in the container.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub command: Option<Vec<String>>,
}

impl Update {
    pub(super) fn overlaid_with(self, upper: Self) -> Self {
        Self {
            url: upper.url.or(self.url),
            channel: upper.channel.or(self.channel),
            policy: upper.policy.or(self.policy),
            check: upper.check.or(self.check),
            window: upper.window.or(self.window),
            gate_timeout: upper.gate_timeout.or(self.gate_timeout),
            tries: upper.tries.or(self.tries),
            gate: upper.gate.or(self.gate),
        }
    }

    /// The settings with every default in its place. Without a URL nothing happens by itself.
    pub fn settings(&self) -> Settings {
        let default = Settings::default();
        let policy = match self.url {
            Some(_) => self.policy.unwrap_or(Policy::Check),
            None => Policy::Off,
        };
        Settings {
            url: self.url.clone(),
            channel: self.channel.clone().unwrap_or(default.channel),
            policy,
            check: self.check.clone().unwrap_or(default.check),
            window: self.window.clone().unwrap_or_default(),
            gate: self.gate.iter().flatten().filter_map(GateCheck::check).collect(),
            gate_timeout: self.gate_timeout.unwrap_or(default.gate_timeout),
            tries: self.tries.and_then(|tries| u8::try_from(tries).ok()).unwrap_or(default.tries),
        }
    }
}

impl GateCheck {
    /// None of one that is not exactly one of the kinds.
    fn check(&self) -> Option<Check> {
        let probe = match (self.container.clone(), self.url.clone(), self.command.clone(), self.status) {
            (Some(container), None, None, None) => Probe::Container { container },
            (Some(container), None, Some(command), None) => Probe::Command { container, command },
            (None, Some(url), None, status) => Probe::Url { url, status: u16::try_from(status.unwrap_or(200)).ok()? },
            _ => return None,
        };
        let name = self.name.clone().unwrap_or_else(|| probe.default_name());
        Some(Check { name, timeout: self.timeout.unwrap_or(DEFAULT_TIMEOUT), probe })
    }
}

/// Reads the mapping at `path`.
pub(super) fn read(node: &Node, path: &str, messages: &mut Messages) -> Option<Update> {
    let before = messages.list().len();
    let mut fields = Fields::new(node, path, messages)?;
    let policy = |text: &str| match text {
        "off" => Some(Policy::Off),
        "check" => Some(Policy::Check),
        "fetch" => Some(Policy::Fetch),
        "apply" => Some(Policy::Apply),
        _ => None,
    };
    let is_release = |text: &str| is_url(text, &["https://", "http://"]);
    let is_window = |text: &str| text.parse::<Window>().is_ok();
    let expected = "a span from 1m to 31d such as 6h, or a time of the calendar such as 0 3 * * *";
    // YAML 1.1 has `off` for false.
    let off = fields.take_raw("policy").filter(|node| !node.is_null());
    let mut update = Update {
        url: fields.checked("url", is_release, "a URL such as https://releases.example/hull", messages),
        channel: fields.checked("channel", is_word, "the name of a channel, such as stable", messages),
        check: fields
            .checked("check", |text| schedule(text).is_some(), expected, messages)
            .as_deref()
            .and_then(schedule),
        window: fields
            .texts("window", true, is_window, "a window such as Sat 02:00-05:00 or 02:00-05:00, in UTC", messages)
            .map(|texts| texts.iter().filter_map(|text| text.parse().ok()).collect()),
        gate_timeout: fields.number("gate-timeout", SECONDS, messages),
        tries: fields.number("tries", 1..=MOST_TRIES.into(), messages),
        ..Update::default()
    };
    if let Some(node) = off {
        update.policy = match node.boolean() {
            Some(false) => Some(Policy::Off),
            _ => node.text().and_then(policy),
        };
        if update.policy.is_none() {
            messages.error(node.place, &fields.path("policy"), "expected off, check, fetch or apply");
        }
    }
    if let Some(node) = fields.take("gate") {
        update.gate = read_gate(node, &fields.path("gate"), messages);
    }
    fields.deny_rest(messages);
    if messages.list().len() > before {
        update.policy = Some(update.policy.unwrap_or(Policy::Check).min(Policy::Check));
    }
    Some(update)
}

fn read_gate(node: &Node, path: &str, messages: &mut Messages) -> Option<Vec<GateCheck>> {
    let Some(items) = node.list() else {
        messages.error(node.place, path, format!("expected a list of checks, found {}", node.describe()));
        return None;
    };
    let mut gate: Vec<GateCheck> = Vec::new();
    let mut names: Vec<String> = Vec::new();
    for (index, item) in items.iter().enumerate() {
        let path = format!("{path}[{index}]");
        let Some(check) = read_check(item, &path, messages) else { continue };
        let name = check.check().map(|check| check.name).unwrap_or_default();
        if names.contains(&name) {
            messages.error(item.place, &path, "another check has this name; give it one with name");
        } else if gate.len() == MOST_CHECKS {
            messages.error(item.place, &path, format!("more than {MOST_CHECKS} checks"));
            break;
        } else {
            names.push(name);
            gate.push(check);
        }
    }
    Some(gate)
}

fn read_check(node: &Node, path: &str, messages: &mut Messages) -> Option<GateCheck> {
    let before = messages.list().len();
    let mut fields = Fields::new(node, path, messages)?;
    let is_local = |text: &str| is_url(text, &["http://"]);
    let is_name = |text: &str| !text.is_empty() && text.len() <= LONGEST_NAME && !text.chars().any(char::is_control);
    let check = GateCheck {
        name: fields.checked("name", is_name, "a name of at most 64 bytes", messages),
        timeout: fields.number("timeout", SECONDS, messages),
        container: fields.checked("container", is_container, "the name of an application container", messages),
        url: fields.checked("url", is_local, "a URL such as http://127.0.0.1/", messages),
        status: fields.number("status", 100..=599, messages),
        command: fields.texts("command", false, |text| !text.contains('\0'), "text", messages),
    };
    fields.deny_rest(messages);
    let is_empty = check.command.as_ref().is_some_and(Vec::is_empty);
    if messages.list().len() == before && (check.check().is_none() || is_empty) {
        let text = "expected a container, a container and a command, or a url and its status";
        messages.error(node.place, path, text);
    }
    (messages.list().len() == before).then_some(check)
}

fn schedule(text: &str) -> Option<Schedule> {
    let schedule: Schedule = text.parse().ok()?;
    let sound = match &schedule {
        Schedule::Every(_) => true,
        Schedule::Calendar(text) => text.parse::<Calendar>().is_ok(),
    };
    sound.then_some(schedule)
}

fn is_url(text: &str, schemes: &[&str]) -> bool {
    let rest = schemes.iter().find_map(|scheme| text.strip_prefix(scheme));
    rest.is_some_and(|rest| !rest.is_empty() && !rest.starts_with('/'))
        && text.len() <= LONGEST_URL
        && text.bytes().all(|byte| byte.is_ascii_graphic())
}

/// Part of a URL's path: a channel is a file there.
fn is_word(text: &str) -> bool {
    text.len() <= LONGEST_NAME
        && text.starts_with(|first: char| first.is_ascii_alphanumeric())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.'))
}

/// Docker's rule for names.
fn is_container(text: &str) -> bool {
    text.len() <= 255
        && text.starts_with(|first: char| first.is_ascii_alphanumeric())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::document::{toml_tree, yaml};
    use crate::machine::schema;

    const YAML: &str = "update:
  url: https://r.example/hull
  channel: beta
  policy: apply
  check: 0 3 * * *
  window: [Sat 02:00-05:00, '22:00-04:00']
  gate-timeout: 600
  tries: 3
  gate:
  - {container: web}
  - {url: 'http://127.0.0.1/health', status: 204, timeout: 10}
  - {container: db, command: [pg_isready], name: database}
";

    fn load(text: &str) -> (Update, String) {
        let mut messages = Messages::new("t");
        let node = yaml::parse(text, &mut messages).unwrap();
        let update = schema::read(&node, "", &mut messages).unwrap().update;
        (update, messages.list().iter().map(|message| format!("{message}\n")).collect())
    }

    #[test]
    fn user_data_toml_and_settings_agree() {
        let (update, messages) = load(YAML);
        assert_eq!(messages, "");
        let config = schema::MachineConfig { update: update.clone(), ..Default::default() };
        let text = toml::to_string(&config).unwrap();
        let mut messages = Messages::new("t");
        let again = schema::read(&toml_tree::parse(&text).unwrap(), "", &mut messages).unwrap();
        assert_eq!((&again.update, messages.list()), (&update, &[][..]), "{text}");
        let settings = update.settings();
        let json = serde_json::to_string(&settings).unwrap();
        assert_eq!(serde_json::from_str::<Settings>(&json).unwrap(), settings);
        assert_eq!((settings.policy, settings.tries, settings.gate_timeout), (Policy::Apply, 3, 600));
        let names: Vec<_> = settings.gate.iter().map(|check| (check.name.as_str(), check.timeout)).collect();
        assert_eq!(names, [("web", 60), ("http://127.0.0.1/health", 10), ("database", 60)]);
        assert!(settings.open_at(6, 120) && !settings.open_at(5, 300));
    }

    #[test]
    fn defaults_depend_on_the_url() {
        assert_eq!(load("update: {}").0.settings(), Settings::default());
        assert_eq!(load("update: {policy: apply}").0.settings().policy, Policy::Off);
        assert_eq!(load("update: {url: 'http://r.example'}").0.settings().policy, Policy::Check);
        assert_eq!(load("update: {url: 'http://r.example', policy: off}").0.settings().policy, Policy::Off);
    }

    #[test]
    fn upper_keys_win_one_by_one() {
        let lower = load("update: {url: 'http://r.example', policy: apply, tries: 3}").0;
        let both = lower.overlaid_with(load("update: {policy: fetch, gate: []}").0);
        assert_eq!(
            (both.policy, both.tries, both.gate.map(|gate| gate.len())),
            (Some(Policy::Fetch), Some(3), Some(0))
        );
    }

    #[test]
    fn mistakes_have_line_and_key_and_restart_nothing() {
        for (text, expected) in [
            ("uri: x", "line 2 column 3 update.uri: unknown key"),
            ("url: ftp://r.example", "line 2 column 8 update.url: expected a URL"),
            ("url: 'http:///x'", "update.url: expected a URL"),
            ("channel: ../x", "update.channel: expected the name"),
            ("policy: on", "update.policy: expected off, check, fetch or apply"),
            ("check: 6s", "update.check: expected a span"),
            ("check: 0 25 * * *", "update.check: expected a span"),
            ("window: Sat", "update.window[0]: expected a window"),
            ("window: [02:00-05:00, 02:00]", "update.window[1]: expected a window"),
            ("tries: 10", "update.tries: expected a whole number from 1 to 9"),
            ("gate-timeout: 0", "update.gate-timeout: expected a whole number"),
            ("gate: {}", "update.gate: expected a list of checks"),
            ("gate: [{}]", "update.gate[0]: expected a container"),
            ("gate: [{container: a, url: 'http://b'}]", "update.gate[0]: expected a container"),
            ("gate: [{container: a, status: 200}]", "update.gate[0]: expected a container"),
            ("gate: [{container: a, command: []}]", "update.gate[0]: expected a container"),
            ("gate: [{url: 'http://b', command: [a]}]", "update.gate[0]: expected a container"),
            ("gate: [{container: a/b}]", "update.gate[0].container: expected the name"),
            ("gate: [{url: 'file:///x'}]", "update.gate[0].url: expected a URL"),
            ("gate: [{url: 'http://b', status: 20}]", "update.gate[0].status: expected a whole number"),
            ("gate: [{container: a, retries: 2}]", "update.gate[0].retries: unknown key"),
            ("gate: [{container: a}, {container: a}]", "update.gate[1]: another check has this name"),
        ] {
            let (update, messages) = load(&format!("update:\n  {text}\n"));
            assert!(messages.contains(expected), "{text}: {messages}");
            assert_eq!(messages.lines().count(), 1, "{text}: {messages}");
            assert_eq!(update.policy, Some(Policy::Check));
        }
    }
}
