//! Files other parts of the OS write for the daemon. A missing or torn one is no error: it says less.

use super::model::Message;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::path::Path;

/// `boot.json`, written by PID 1 before the daemon starts.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct BootReport {
    /// Version of the image.
    pub version: String,
    /// `a` or `b`.
    pub slot: String,
    /// The boot loader counts this boot: somebody must say that the version is good.
    pub trial: bool,
    /// Root hash of the verified root, hexadecimal; empty when it is not verified.
    pub root_hash: String,
    /// Length of the verified root in 4096-byte blocks.
    pub data_blocks: u64,
    /// Node of what the verified root is on.
    pub root_device: String,
    /// Node of the system disk; empty where the root came with the initrd.
    pub system_disk: Option<String>,
    /// Nodes of its partitions by their names in the partition table.
    pub partitions: BTreeMap<String, String>,
    /// The state partition, as PID 1 says it.
    pub state: Value,
    /// What PID 1 has to say to people.
    pub messages: Vec<BootMessage>,
    /// Microseconds of `CLOCK_BOOTTIME` by name.
    pub times_us: Map<String, Value>,
}

impl BootReport {
    /// Whether the root came with the initrd.
    pub fn is_live(&self) -> bool {
        self.system_disk.as_deref() == Some("")
    }
}

/// A message of `boot.json`.
#[derive(Debug, Clone, Deserialize)]
pub struct BootMessage {
    /// `error`, `warning` or `info`.
    pub severity: String,
    /// For people.
    pub text: String,
}

/// `report.json` of cloud-config.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct CloudReport {
    /// Where the user data came from.
    pub datasource: String,
    /// Whom it was for.
    pub instance_id: String,
    /// How far its commands are: `pending`, `running`, `done` or `failed`.
    #[serde(rename = "final")]
    pub commands: String,
    /// What it found in the user data.
    pub messages: Vec<CloudMessage>,
}

/// A message about user data.
#[derive(Debug, Clone, Deserialize)]
pub struct CloudMessage {
    /// `error`, `warning` or `info`.
    pub severity: String,
    /// Which data it is about.
    #[serde(default)]
    pub source: String,
    /// Line in the data, from 1.
    pub line: Option<u32>,
    /// Column, from 1.
    pub column: Option<u32>,
    /// Dotted key.
    pub key: Option<String>,
    /// For people.
    pub text: String,
}

impl From<&BootMessage> for Message {
    fn from(message: &BootMessage) -> Self {
        Self { severity: message.severity.clone(), source: "init".into(), text: message.text.clone() }
    }
}

impl From<&CloudMessage> for Message {
    fn from(message: &CloudMessage) -> Self {
        let mut text = String::new();
        if let Some(line) = message.line {
            text += &format!("line {line}");
            if let Some(column) = message.column {
                text += &format!(", column {column}");
            }
            text += ": ";
        }
        if let Some(key) = &message.key {
            text += &format!("{key}: ");
        }
        Self { severity: message.severity.clone(), source: message.source.clone(), text: text + &message.text }
    }
}

/// Reads a JSON report.
pub fn read<T: DeserializeOwned + Default>(file: &Path) -> T {
    let parsed = std::fs::read(file)
        .map_err(|error| error.to_string())
        .and_then(|bytes| serde_json::from_slice(&bytes).map_err(|error| error.to_string()));
    parsed.unwrap_or_else(|error| {
        log::debug!("{}: {error}", file.display());
        T::default()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reports_are_read_as_far_as_they_go() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("report.json");
        assert!(read::<BootReport>(&file).version.is_empty());
        std::fs::write(&file, "{\"version\":\"1\",\"messages\":[{\"severity\":\"info\",\"text\":\"x\"}],\"new\":1}")
            .unwrap();
        let report: BootReport = read(&file);
        assert_eq!((report.version.as_str(), report.messages.len()), ("1", 1));
    }

    #[test]
    fn a_cloud_message_names_line_and_key() {
        let text = "{\"severity\":\"error\",\"source\":\"user-data\",\"line\":3,\"column\":7,\"key\":\"users[0]\",\"text\":\"no\"}";
        let message: CloudMessage = serde_json::from_str(text).unwrap();
        assert_eq!(Message::from(&message).text, "line 3, column 7: users[0]: no");
    }
}
