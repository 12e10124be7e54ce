//! `#cloud-config-archive`: a YAML list whose items are parts.
//!
//! ```yaml
//! #cloud-config-archive
//! - type: text/x-shellscript      # default: by the first line, else text/cloud-config
//!   filename: setup.sh
//!   content: |
//!     #!/bin/sh
//! - "#cloud-config\nhostname: a"  # the content alone
//! ```
//! Other keys are headers of the part, such as `Merge-Type`.

use crate::document::{Kind, Node, Scalar, Value, yaml};
use crate::report::{Messages, Place};

/// One item.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    /// Where it stands.
    pub place: Place,
    /// `type` in lower case.
    pub content_type: Option<String>,
    /// `filename`.
    pub file_name: Option<String>,
    /// `content`.
    pub content: Vec<u8>,
    /// All keys with plain text, in lower case.
    pub headers: Vec<(String, String)>,
}

impl Item {
    /// Value of a key, which is given in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }
}

/// Reads the list; what is no part is reported and left out.
pub fn read(text: &str, messages: &mut Messages) -> Vec<Item> {
    let root = match yaml::parse(text, messages) {
        Ok(root) => root,
        Err(error) => {
            messages.error(error.place, "", format!("the archive is not used: {}", error.text));
            return Vec::new();
        }
    };
    if root.is_null() {
        return Vec::new();
    }
    let Some(nodes) = root.list() else {
        let text = format!("the archive is not used: expected a list of parts, found {}", root.describe());
        messages.error(root.place, "", text);
        return Vec::new();
    };
    nodes.iter().enumerate().filter_map(|(index, node)| item(node, &format!("[{index}]"), messages)).collect()
}

fn item(node: &Node, path: &str, messages: &mut Messages) -> Option<Item> {
    let source = match &node.value {
        Value::Map(_) => node.get("content"),
        Value::Scalar(_) => Some(node),
        Value::List(_) => None,
    };
    let Some(content) = source.and_then(bytes) else {
        messages.error(node.place, path, "expected a text, or a mapping with the text as content");
        return None;
    };
    let pairs = node.map().unwrap_or_default().iter();
    let headers: Vec<(String, String)> = pairs
        .filter_map(|entry| Some((entry.key.to_ascii_lowercase(), entry.node.text()?.to_owned())))
        .filter(|(key, _)| key != "content")
        .collect();
    let mut item = Item { place: node.place, content_type: None, file_name: None, content, headers };
    item.content_type = item.header("type").map(|name| name.trim().to_ascii_lowercase());
    item.file_name = item.header("filename").map(|name| name.trim().to_owned()).filter(|name| !name.is_empty());
    Some(item)
}

fn bytes(node: &Node) -> Option<Vec<u8>> {
    match &node.value {
        Value::Scalar(Scalar { kind: Kind::Bytes(bytes), .. }) => Some(bytes.clone()),
        Value::Scalar(Scalar { kind: Kind::Text, text }) => Some(text.clone().into_bytes()),
        _ => None,
    }
}
