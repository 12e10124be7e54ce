//! TOML text to [`Node`].

use super::node::{Entry, Kind, Node, Scalar, Value};
use crate::report::Place;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// Why a fragment cannot be used at all.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not valid TOML: {text}")]
pub struct TomlError {
    /// Where.
    pub place: Place,
    /// What.
    pub text: String,
}

/// Reads a whole document.
pub fn parse(text: &str) -> Result<Node, TomlError> {
    let table = DeTable::parse(text).map_err(|error| TomlError {
        place: error.span().map(|span| place(text, span.start)).unwrap_or_default(),
        text: error.message().to_owned(),
    })?;
    Ok(Node { place: Place::new(1, 1), value: map(text, table.get_ref()) })
}

fn map(source: &str, table: &DeTable<'_>) -> Value {
    let mut entries: Vec<Entry> = table
        .iter()
        .map(|(key, value)| Entry {
            key: key.get_ref().to_string(),
            place: place(source, key.span().start),
            node: node(source, value),
        })
        .collect();
    entries.sort_by_key(|entry| (entry.place.line, entry.place.column));
    Value::Map(entries)
}

fn node(source: &str, value: &Spanned<DeValue<'_>>) -> Node {
    let scalar = |text: String, kind: Kind| Value::Scalar(Scalar { text, kind });
    let tree = match value.get_ref() {
        DeValue::String(text) => scalar(text.to_string(), Kind::Text),
        DeValue::Integer(number) => {
            let kind = i64::from_str_radix(number.as_str(), number.radix()).map_or(Kind::Float, Kind::Int);
            scalar(number.to_string(), kind)
        }
        DeValue::Float(number) => scalar(number.as_str().to_owned(), Kind::Float),
        DeValue::Boolean(truth) => scalar(truth.to_string(), Kind::Bool(*truth)),
        DeValue::Datetime(time) => scalar(time.to_string(), Kind::Text),
        DeValue::Array(items) => Value::List(items.iter().map(|item| node(source, item)).collect()),
        DeValue::Table(table) => map(source, table),
    };
    Node { place: place(source, value.span().start), value: tree }
}

fn place(source: &str, offset: usize) -> Place {
    let before = &source.as_bytes()[..offset.min(source.len())];
    let line = before.iter().filter(|&&byte| byte == b'\n').count() + 1;
    let column = before.iter().rev().take_while(|&&byte| byte != b'\n').count() + 1;
    let number = |value: usize| u32::try_from(value).unwrap_or(u32::MAX);
    Place::new(number(line), number(column))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_keep_their_place() {
        let node = parse("hostname = \"a\"\n[engine]\nlive-restore = true\n").unwrap();
        let value = node.get("engine").unwrap().get("live-restore").unwrap();
        assert_eq!(value.boolean(), Some(true));
        assert_eq!((value.place.line, value.place.column), (3, 16));
    }

    #[test]
    fn syntax_errors_have_a_line() {
        let error = parse("a = 1\nb = \n").unwrap_err();
        assert_eq!(error.place.line, 2, "{error:?}");
    }
}
