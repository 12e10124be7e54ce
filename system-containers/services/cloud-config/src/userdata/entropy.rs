//! `random_seed`: bytes for the kernel's random numbers.

use super::{files, names};
use crate::document::{Fields, Node};
use crate::report::{Messages, Place};

/// The device that mixes what is written to it into the kernel's random numbers: random(4).
const DEVICE: &str = "/dev/urandom";

/// Bytes and where they go.
#[derive(Clone, PartialEq, Eq)]
pub struct Seed {
    /// Where the entry stands.
    pub place: Place,
    /// Absolute path.
    pub file: String,
    /// Decoded.
    pub data: Vec<u8>,
}

impl std::fmt::Debug for Seed {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "Seed({}, {} bytes)", self.file, self.data.len())
    }
}

/// Reads the mapping; nothing without data.
pub fn read(node: &Node, messages: &mut Messages) -> Option<Seed> {
    let mut fields = Fields::new(node, "random_seed", messages)?;
    let is_given = node.get("file").is_some_and(|file| !file.is_null());
    let file = fields.checked("file", names::is_path, "an absolute path without ..", messages);
    let encoding = fields.text("encoding", messages).unwrap_or_default();
    let encoding = if encoding == "raw" { "" } else { &encoding };
    let data = fields.take("data").and_then(|data| files::decode(data, "data", encoding, &fields, messages));
    for key in ["command", "command_required"] {
        if let Some(node) = fields.take(key) {
            let text = "ignored: the kernel gathers random numbers by itself; run the program in bootcmd";
            messages.warning(node.place, &fields.path(key), text);
        }
    }
    fields.ignore_rest(messages);
    let file = if is_given { file? } else { DEVICE.into() };
    data.map(|data| Seed { place: node.place, file, data })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::document::yaml;

    #[test]
    fn seeds() {
        for (text, found, message) in [
            ("{data: abc}", Some(("/dev/urandom", "abc")), ""),
            ("{data: abc, encoding: raw}", Some(("/dev/urandom", "abc")), ""),
            ("{data: YWJj, encoding: b64, file: /var/lib/seed}", Some(("/var/lib/seed", "abc")), ""),
            ("{command: [pollinate], command_required: true}", None, "random_seed.command: ignored"),
            ("{data: secret-word, encoding: hex}", None, "random_seed.encoding: expected b64"),
            ("{data: secret-word, file: seed}", None, "random_seed.file: expected an absolute path"),
            ("{data: [secret-word]}", None, "random_seed.data: expected text, found a list"),
        ] {
            let mut messages = Messages::new("user-data");
            let seed = read(&yaml::parse(text, &mut messages).unwrap(), &mut messages);
            let expected = found.map(|(file, data)| (file.to_owned(), data.as_bytes().to_vec()));
            assert_eq!(seed.map(|seed| (seed.file, seed.data)), expected, "{text}");
            let said: String = messages.list().iter().map(|message| format!("{message}\n")).collect();
            assert!(said.contains(message) && said.is_empty() == message.is_empty(), "{text}: {said}");
            assert!(!said.contains("secret-word"), "{said}");
        }
    }
}
