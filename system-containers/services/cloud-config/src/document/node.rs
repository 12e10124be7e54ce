//! The tree that the YAML and TOML readers give and that everything else reads.

use crate::report::Place;

/// Weight of a whole tree: real documents stay below 100 KB, and 512 MiB machines must survive.
pub const MAX_WEIGHT: usize = 16 << 20;
/// Weight of a node beside its text, about its size in memory.
pub(super) const NODE_WEIGHT: usize = 128;

/// A value and where it stands.
#[derive(Debug, Clone, PartialEq)]
pub struct Node {
    /// First character of the value.
    pub place: Place,
    /// The value.
    pub value: Value,
}

/// A value.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// Text, number, truth value or nothing.
    Scalar(Scalar),
    /// A sequence.
    List(Vec<Node>),
    /// A mapping in the order of the source; keys are unique.
    Map(Vec<Entry>),
}

/// One key of a mapping.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// The key's text.
    pub key: String,
    /// First character of the key.
    pub place: Place,
    /// Its value.
    pub node: Node,
}

/// A scalar keeps its text: `hostname: 007` is meant as text, `uid: 007` as a number, and only the reader knows.
#[derive(Debug, Clone, PartialEq)]
pub struct Scalar {
    /// As written, without quotes.
    pub text: String,
    /// What the format's rules make of it.
    pub kind: Kind,
}

/// What a scalar is.
#[derive(Debug, Clone, PartialEq)]
pub enum Kind {
    /// Nothing.
    Null,
    /// A truth value.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// Any other number.
    Float,
    /// Text.
    Text,
    /// `!!binary`, decoded.
    Bytes(Vec<u8>),
}

impl Node {
    /// Nothing: `null`, `~` or an empty value.
    pub fn is_null(&self) -> bool {
        matches!(&self.value, Value::Scalar(Scalar { kind: Kind::Null, .. }))
    }

    /// Text, or a number as it was written.
    pub fn text(&self) -> Option<&str> {
        match &self.value {
            Value::Scalar(Scalar { text, kind: Kind::Text | Kind::Int(_) | Kind::Float }) => Some(text),
            _ => None,
        }
    }

    /// A truth value; like cloud-init also the texts `"true"`, `"yes"`, `"false"` and so on.
    pub fn boolean(&self) -> Option<bool> {
        match &self.value {
            Value::Scalar(Scalar { kind: Kind::Bool(value), .. }) => Some(*value),
            Value::Scalar(Scalar { text, kind: Kind::Text }) => super::scalar::boolean(text),
            _ => None,
        }
    }

    /// A whole number; also one in quotes.
    pub fn integer(&self) -> Option<i64> {
        match &self.value {
            Value::Scalar(Scalar { kind: Kind::Int(value), .. }) => Some(*value),
            Value::Scalar(Scalar { text, kind: Kind::Text }) => text.parse().ok(),
            _ => None,
        }
    }

    /// The items of a list.
    pub fn list(&self) -> Option<&[Node]> {
        match &self.value {
            Value::List(items) => Some(items),
            _ => None,
        }
    }

    /// The entries of a mapping.
    pub fn map(&self) -> Option<&[Entry]> {
        match &self.value {
            Value::Map(entries) => Some(entries),
            _ => None,
        }
    }

    /// Value of a key of a mapping.
    pub fn get(&self, key: &str) -> Option<&Node> {
        self.map()?.iter().find(|entry| entry.key == key).map(|entry| &entry.node)
    }

    /// The same tree as JSON, by the rules of YAML 1.2: `no`, `0755` and `80:80` are texts. Binary data becomes text.
    pub fn to_json(&self) -> serde_json::Value {
        use serde_json::Value as Json;
        match &self.value {
            Value::List(items) => Json::Array(items.iter().map(Self::to_json).collect()),
            Value::Map(entries) => {
                Json::Object(entries.iter().map(|entry| (entry.key.clone(), entry.node.to_json())).collect())
            }
            Value::Scalar(scalar) => match &scalar.kind {
                Kind::Null => Json::Null,
                Kind::Bool(truth) if scalar.text == truth.to_string() => Json::Bool(*truth),
                Kind::Int(number) if scalar.text == number.to_string() => Json::from(*number),
                Kind::Float => scalar.text.parse::<f64>().map_or_else(|_| Json::from(scalar.text.as_str()), Json::from),
                Kind::Bool(_) | Kind::Int(_) | Kind::Text => Json::from(scalar.text.as_str()),
                Kind::Bytes(bytes) => Json::from(String::from_utf8_lossy(bytes)),
            },
        }
    }

    /// About the bytes it takes.
    pub fn weight(&self) -> usize {
        let children = match &self.value {
            Value::Scalar(scalar) => scalar.text.len(),
            Value::List(items) => items.iter().map(Self::weight).sum(),
            Value::Map(entries) => {
                entries.iter().map(|entry| NODE_WEIGHT + entry.key.len() + entry.node.weight()).sum()
            }
        };
        NODE_WEIGHT + children
    }

    /// Levels of lists and mappings.
    pub fn depth(&self) -> usize {
        match &self.value {
            Value::Scalar(_) => 0,
            Value::List(items) => 1 + items.iter().map(Self::depth).max().unwrap_or(0),
            Value::Map(entries) => 1 + entries.iter().map(|entry| entry.node.depth()).max().unwrap_or(0),
        }
    }

    /// For messages: what is there instead of what was expected.
    pub fn describe(&self) -> &'static str {
        match &self.value {
            Value::List(_) => "a list",
            Value::Map(_) => "a mapping",
            Value::Scalar(scalar) => match scalar.kind {
                Kind::Null => "nothing",
                Kind::Bool(_) => "true/false (yes, no, on and off count as such without quotes)",
                Kind::Int(_) | Kind::Float => "a number",
                Kind::Text => "text",
                Kind::Bytes(_) => "binary data",
            },
        }
    }
}
