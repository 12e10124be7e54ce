//! Messages for the machine's owner and `report.json`, which the system daemon shows in `hull status`.
//!
//! Messages name source, line, column and key. They never carry values of the user data: a value may be a secret.
//! Called by every stage; writing the file is [`Report::save`].

use crate::store;
use serde::{Deserialize, Serialize};
use std::io::Write;
use std::path::Path;

/// More messages than this help nobody, and hostile input must not fill `/run`.
const MAX_MESSAGES: usize = 200;
/// Bytes of foreign text (a key) repeated in a message.
const MAX_QUOTED: usize = 60;
/// Name of the report below the report directory.
const FILE_NAME: &str = "report.json";

/// How much a message matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Something asked for was not done.
    Error,
    /// Something asked for is not supported, or is suspicious.
    Warning,
    /// Good to know.
    Info,
}

impl Severity {
    /// As compilers write it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warning => "warning",
            Self::Info => "note",
        }
    }

    /// Priority prefix of sd-daemon(3): the daemon echoes 4 and below on the system console.
    fn prefix(self) -> &'static str {
        match self {
            Self::Error => "<3>",
            Self::Warning => "<4>",
            Self::Info => "<6>",
        }
    }
}

/// One message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Message {
    /// How much it matters.
    pub severity: Severity,
    /// `user-data`, `network-config`, a file name, or the stage that failed.
    pub source: String,
    /// Line in the source, from 1.
    pub line: Option<u32>,
    /// Column in the source, from 1.
    pub column: Option<u32>,
    /// Path of the key, such as `users[1].sudo`.
    pub key: Option<String>,
    /// What happened and what to do.
    pub text: String,
}

impl std::fmt::Display for Message {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{}", self.source)?;
        if let Some(line) = self.line {
            write!(formatter, " line {line}")?;
        }
        if let Some(column) = self.column {
            write!(formatter, " column {column}")?;
        }
        if let Some(key) = &self.key {
            write!(formatter, " {key}")?;
        }
        write!(formatter, ": {}", self.text)
    }
}

/// Where something stands; 0 means unknown.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Place {
    /// Number of the source among [`Messages::sources`], so that values of several sources can be mixed in one tree;
    /// 0: the one being read.
    pub source: u16,
    /// Line, from 1.
    pub line: u32,
    /// Column, from 1.
    pub column: u32,
}

impl Place {
    /// A line and a column of the source being read.
    pub fn new(line: u32, column: u32) -> Self {
        Self { source: 0, line, column }
    }
}

/// Collects the messages about one source, or about several that are read one after the other.
#[derive(Debug, Clone, Default)]
pub struct Messages {
    /// Names by number; number 0 belongs to no source.
    sources: Vec<String>,
    current: u16,
    list: Vec<Message>,
}

impl Messages {
    /// An empty list about `source`.
    pub fn new(source: impl Into<String>) -> Self {
        let mut messages = Self { sources: vec![String::new()], current: 0, list: Vec::new() };
        messages.turn_to(source);
        messages
    }

    /// What follows is about another source: places that name none are places of this one.
    pub fn turn_to(&mut self, source: impl Into<String>) {
        let source = source.into();
        let position = self.sources.iter().position(|known| *known == source).unwrap_or_else(|| {
            self.sources.push(source);
            self.sources.len() - 1
        });
        self.current = u16::try_from(position).unwrap_or(0);
    }

    /// Number of the source being read.
    pub fn current(&self) -> u16 {
        self.current
    }

    /// Names of all sources so far, for [`Messages::about`].
    pub fn sources(&self) -> &[String] {
        &self.sources
    }

    /// An empty list about what was read from these sources; the first of them is current.
    pub fn about(sources: &[String]) -> Self {
        Self { sources: sources.to_vec(), current: u16::from(sources.len() > 1), list: Vec::new() }
    }

    /// Adds an error.
    pub fn error(&mut self, place: Place, key: &str, text: impl Into<String>) {
        self.add(Severity::Error, place, key, text.into());
    }

    /// Adds a warning.
    pub fn warning(&mut self, place: Place, key: &str, text: impl Into<String>) {
        self.add(Severity::Warning, place, key, text.into());
    }

    /// Adds a remark.
    pub fn info(&mut self, place: Place, key: &str, text: impl Into<String>) {
        self.add(Severity::Info, place, key, text.into());
    }

    /// Takes over all messages of another source.
    pub fn append(&mut self, other: Self) {
        for message in other.list {
            self.push(message);
        }
    }

    /// Everything collected.
    pub fn list(&self) -> &[Message] {
        &self.list
    }

    /// Errors among them.
    pub fn errors(&self) -> usize {
        self.list.iter().filter(|message| message.severity == Severity::Error).count()
    }

    fn add(&mut self, severity: Severity, place: Place, key: &str, text: String) {
        let some = |number: u32| (number > 0).then_some(number);
        let source = if place.source > 0 { place.source } else { self.current };
        self.push(Message {
            severity,
            source: self.name(source),
            line: some(place.line),
            column: some(place.column),
            key: (!key.is_empty()).then(|| key.to_owned()),
            text,
        });
    }

    fn name(&self, source: u16) -> String {
        self.sources.get(usize::from(source)).cloned().unwrap_or_default()
    }

    fn push(&mut self, message: Message) {
        match self.list.len() {
            len if len < MAX_MESSAGES => self.list.push(message),
            MAX_MESSAGES => self.list.push(Message {
                severity: Severity::Warning,
                source: self.name(self.current),
                line: None,
                column: None,
                key: None,
                text: "further messages are left out".into(),
            }),
            _ => {}
        }
    }
}

/// A piece of foreign text made fit for a message: control characters escaped, length bounded.
pub fn quote(text: &str) -> String {
    let mut quoted = String::new();
    for character in text.chars() {
        if quoted.len() > MAX_QUOTED {
            quoted.push('…');
            break;
        }
        if character.is_control() { quoted.extend(character.escape_default()) } else { quoted.push(character) }
    }
    quoted
}

/// Where the last stage stands.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Final {
    /// Not begun.
    #[default]
    Pending,
    /// Some of the user data is being fetched.
    #[serde(rename = "waiting for the user data")]
    Waiting,
    /// Waiting for the engine, or running commands.
    Running,
    /// All commands ended with status 0, or there were none.
    Done,
    /// A command failed.
    Failed,
}

/// The whole of `report.json`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// `nocloud:<device or URL>`, `configdrive:<device>`, a cloud such as `ec2`, `cmdline`, `smbios`, `cached` or `none`.
    pub datasource: String,
    /// Identity of this machine instance.
    pub instance_id: String,
    /// Messages of all stages so far.
    pub messages: Vec<Message>,
    /// The last stage.
    #[serde(rename = "final")]
    pub final_stage: Final,
}

impl Report {
    /// Reads the report of this boot; a missing or torn one is an empty one.
    pub fn load(directory: &Path) -> Self {
        std::fs::read(directory.join(FILE_NAME))
            .ok()
            .and_then(|text| serde_json::from_slice(&text).ok())
            .unwrap_or_default()
    }

    /// Prints the new messages with their priority and adds them; a message already there (a stage run again after
    /// a restart of its container) is not added twice.
    pub fn take(&mut self, messages: &Messages) {
        let mut out = std::io::stdout().lock();
        for message in messages.list() {
            // Nobody reads the log of a broken pipe; the report still has the message.
            writeln!(out, "{}{message}", message.severity.prefix()).ok();
            if !self.messages.contains(message) {
                self.messages.push(message.clone());
            }
        }
    }

    /// Writes the report in one step, so that the daemon never reads half of it.
    pub fn save(&self, directory: &Path) -> anyhow::Result<()> {
        let text = serde_json::to_string_pretty(self)?;
        store::write(&directory.join(FILE_NAME), text.as_bytes(), 0o644)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_reads_source_place_key_text() {
        let mut messages = Messages::new("user-data");
        messages.error(Place::new(31, 5), "runcmd[2]", "exited with status 127");
        assert_eq!(messages.list()[0].to_string(), "user-data line 31 column 5 runcmd[2]: exited with status 127");
    }

    #[test]
    fn places_know_their_source() {
        let mut messages = Messages::new("a");
        let early = Place { source: messages.current(), line: 2, column: 1 };
        messages.turn_to("b");
        messages.warning(Place::new(3, 0), "k", "x");
        messages.warning(early, "k", "y");
        messages.turn_to("a");
        messages.warning(Place::default(), "k", "z");
        let mut later = Messages::about(messages.sources());
        later.error(early, "k", "w");
        let texts: Vec<String> = messages.list().iter().chain(later.list()).map(ToString::to_string).collect();
        assert_eq!(texts, ["b line 3 k: x", "a line 2 column 1 k: y", "a k: z", "a line 2 column 1 k: w"]);
    }

    #[test]
    fn messages_are_bounded() {
        let mut messages = Messages::new("user-data");
        for _ in 0..10_000 {
            messages.warning(Place::default(), "x", "y");
        }
        assert_eq!(messages.list().len(), MAX_MESSAGES + 1);
    }

    #[test]
    fn foreign_text_cannot_forge_log_lines() {
        assert_eq!(quote("a\n<0>b\u{1b}[2J"), "a\\n<0>b\\u{1b}[2J");
        assert!(quote(&"x".repeat(1000)).len() < 70);
    }

    #[test]
    fn report_survives_the_round_trip_and_a_second_run() {
        let directory = tempfile::tempdir().unwrap();
        let mut messages = Messages::new("user-data");
        messages.warning(Place::new(3, 1), "packages", "ignored");
        let mut report = Report { datasource: "cmdline".into(), instance_id: "i-1".into(), ..Report::default() };
        report.take(&messages);
        report.take(&messages);
        report.save(directory.path()).unwrap();
        let loaded = Report::load(directory.path());
        assert_eq!(loaded, report);
        assert_eq!(loaded.messages.len(), 1);
        let json = std::fs::read_to_string(directory.path().join(FILE_NAME)).unwrap();
        assert!(json.contains("\"final\": \"pending\"") && json.contains("\"severity\": \"warning\""), "{json}");
    }

    #[test]
    fn torn_report_is_an_empty_one() {
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join(FILE_NAME), "{\"datasource\": ").unwrap();
        assert_eq!(Report::load(directory.path()), Report::default());
    }
}
