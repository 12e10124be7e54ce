//! `write_files`.

use super::{format, names};
use crate::document::{Fields, Kind, Node, Scalar, Value};
use crate::report::{Messages, Place};
use base64::Engine;

/// One file.
#[derive(Clone, PartialEq, Eq)]
pub struct WriteFile {
    /// Where the entry stands.
    pub place: Place,
    /// Number of the entry, for messages.
    pub index: usize,
    /// Absolute path.
    pub path: String,
    /// Decoded content.
    pub content: Vec<u8>,
    /// User and group, names or numbers.
    pub owner: (String, Option<String>),
    /// Permission bits.
    pub mode: u32,
    /// Added to the end of an existing file.
    pub append: bool,
    /// Written in the last stage, just before runcmd.
    pub defer: bool,
}

impl std::fmt::Debug for WriteFile {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // The content may be a secret.
        write!(formatter, "WriteFile({}, {} bytes, {:o})", self.path, self.content.len(), self.mode)
    }
}

/// Mode where none is given.
const DEFAULT_MODE: u32 = 0o644;

/// Reads the list.
pub fn read(node: &Node, messages: &mut Messages) -> Vec<WriteFile> {
    let Some(items) = node.list() else {
        messages.error(node.place, "write_files", format!("expected a list of files, found {}", node.describe()));
        return Vec::new();
    };
    items.iter().enumerate().filter_map(|(index, item)| read_file(item, index, messages)).collect()
}

fn read_file(node: &Node, index: usize, messages: &mut Messages) -> Option<WriteFile> {
    let path = format!("write_files[{index}]");
    let mut fields = Fields::new(node, &path, messages)?;
    let target = fields.checked("path", names::is_path, "an absolute path without ..", messages);
    if target.is_none() && node.get("path").is_none_or(Node::is_null) {
        messages.error(node.place, &path, "a file needs a path");
    }
    let before = messages.errors();
    let encoding = fields.text("encoding", messages).unwrap_or_default();
    let content = match (fields.take("content"), fields.take_raw("source")) {
        (None, Some(source)) => {
            messages.error(source.place, &fields.path("source"), "nothing is fetched from the network; use content");
            None
        }
        (None, None) => Some(Vec::new()),
        (Some(content), _) => decode(content, "content", &encoding, &fields, messages),
    };
    let owner = match fields.text("owner", messages) {
        None => Some(("root".to_owned(), Some("root".to_owned()))),
        Some(text) => {
            let (user, group) = text.split_once(':').map_or((text.as_str(), None), |(user, group)| (user, Some(group)));
            let known = |name: &str| names::is_account(name) || name.parse::<u32>().is_ok();
            if known(user) && group.is_none_or(known) {
                Some((user.to_owned(), group.map(str::to_owned)))
            } else {
                messages.error(node.place, &fields.path("owner"), "expected user or user:group");
                None
            }
        }
    };
    let mode = match fields.take("permissions") {
        None => Some(DEFAULT_MODE),
        Some(node) => {
            let mode = permissions(node);
            if mode.is_none() {
                messages.error(node.place, &fields.path("permissions"), "expected an octal mode such as '0644'");
            }
            mode
        }
    };
    let append = fields.boolean("append", messages).unwrap_or(false);
    let defer = fields.boolean("defer", messages).unwrap_or(false);
    fields.ignore_rest(messages);
    // A file with the wrong owner, mode or half its settings can be worse than none.
    if messages.errors() > before {
        messages.error(node.place, &path, "the file is not written");
        return None;
    }
    Some(WriteFile {
        place: node.place,
        index,
        path: target?,
        content: content?,
        owner: owner?,
        mode: mode?,
        append,
        defer,
    })
}

/// `0644` (octal by YAML 1.1), `'0644'`, `'644'`, `0o644`; a plain `644` is what people write for octal, too.
fn permissions(node: &Node) -> Option<u32> {
    let text = node.text()?;
    let digits = text.strip_prefix("0o").unwrap_or(text);
    u32::from_str_radix(digits, 8).ok().filter(|mode| *mode <= 0o7777)
}

/// The bytes of the text at `key`, by its encoding; a fault is reported.
pub(super) fn decode(
    node: &Node,
    key: &str,
    encoding: &str,
    fields: &Fields<'_>,
    messages: &mut Messages,
) -> Option<Vec<u8>> {
    let mut bytes = match &node.value {
        Value::Scalar(Scalar { kind: Kind::Bytes(bytes), .. }) => bytes.clone(),
        Value::Scalar(scalar) => scalar.text.clone().into_bytes(),
        _ => {
            let text = format!("expected text, found {}", node.describe());
            messages.error(node.place, &fields.path(key), text);
            return None;
        }
    };
    let steps: &[&str] = match encoding.trim().to_ascii_lowercase().as_str() {
        "" | "text/plain" => &[],
        "b64" | "base64" => &["b64"],
        "gz" | "gzip" => &["gz"],
        "gz+b64" | "gz+base64" | "gzip+b64" | "gzip+base64" => &["b64", "gz"],
        _ => {
            let text = "expected b64, base64, gz, gzip, gz+b64, gz+base64, gzip+b64, gzip+base64 or text/plain";
            messages.error(node.place, &fields.path("encoding"), text);
            return None;
        }
    };
    for step in steps {
        let result = if *step == "b64" {
            bytes.retain(|byte| !byte.is_ascii_whitespace());
            base64::engine::general_purpose::STANDARD.decode(&bytes).map_err(|_| "not base64".to_owned())
        } else {
            format::gunzip(&bytes, format::MAX_UNPACKED)
        };
        match result {
            Ok(decoded) => bytes = decoded,
            Err(text) => {
                messages.error(node.place, &fields.path(key), text);
                return None;
            }
        }
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::document::yaml;

    fn load(text: &str) -> (Vec<WriteFile>, String) {
        let mut messages = Messages::new("user-data");
        let node = yaml::parse(text, &mut messages).unwrap();
        let files = read(&node, &mut messages);
        (files, messages.list().iter().map(|message| format!("{message}\n")).collect())
    }

    #[test]
    fn contents_owners_and_modes() {
        for (text, content, mode) in [
            ("{path: /a, content: hi}", "hi", 0o644),
            ("{path: /a, content: aGk=, encoding: b64, permissions: 0600}", "hi", 0o600),
            ("{path: /a, content: 'a G\n k=', encoding: base64, permissions: '0755'}", "hi", 0o755),
            ("{path: /a, content: H4sIAAAAAAAAA8vIBACsKpPYAgAAAA==, encoding: gz+b64, permissions: 755}", "hi", 0o755),
            ("{path: /a, content: !!binary aGk=, permissions: '4755'}", "hi", 0o4755),
            ("{path: /a}", "", 0o644),
            ("{path: /a, content: 12}", "12", 0o644),
        ] {
            let (files, messages) = load(&format!("- {text}\n"));
            assert_eq!(messages, "", "{text}");
            assert_eq!((files[0].content.as_slice(), files[0].mode), (content.as_bytes(), mode), "{text}");
        }
        let (files, _) = load("- {path: /a, owner: 'web:docker', append: true, defer: yes}\n");
        assert_eq!(files[0].owner, ("web".into(), Some("docker".into())));
        assert!(files[0].append && files[0].defer);
    }

    #[test]
    fn a_file_with_a_mistake_is_not_written_and_the_others_are() {
        for (text, expected) in [
            ("{path: a}", "write_files[0].path: expected an absolute path"),
            ("{content: x}", "write_files[0]: a file needs a path"),
            ("{path: /a, permissions: 'rw'}", "permissions: expected an octal mode"),
            ("{path: /a, permissions: 0999}", "permissions: expected an octal mode"),
            ("{path: /a, content: [x]}", "content: expected text, found a list"),
            ("{path: /a, content: '%', encoding: b64}", "content: not base64"),
            ("{path: /a, content: x, encoding: gzip}", "content: not used: broken gzip"),
            ("{path: /a, content: x, encoding: rot13}", "encoding: expected b64"),
            ("{path: /a, owner: 'a b'}", "owner: expected user"),
            ("{path: /a, source: {uri: x}}", "source: nothing is fetched"),
            ("text", "write_files[0]: expected a mapping"),
        ] {
            let (files, messages) = load(&format!("- {text}\n- {{path: /b}}\n"));
            assert_eq!(files.len(), 1, "{text}: {messages}");
            assert!(messages.contains(expected) && messages.contains("line 1"), "{text}: {messages}");
        }
    }
}
