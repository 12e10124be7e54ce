//! The tree that the YAML and TOML readers give and that everything else reads.

use crate::report::Place;

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
