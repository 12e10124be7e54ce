//! Typed access to one mapping: wrong types become messages with line, column, key and expectation, and the other
//! keys are still read.

use super::node::{Entry, Node};
use crate::report::{Messages, Place, quote};

/// The keys of one mapping that nobody has read yet.
#[derive(Debug)]
pub struct Fields<'n> {
    path: String,
    place: Place,
    entries: Vec<&'n Entry>,
}

impl<'n> Fields<'n> {
    /// Starts reading `node`, which stands at key `path` (empty for the whole document).
    pub fn new(node: &'n Node, path: &str, messages: &mut Messages) -> Option<Self> {
        let Some(entries) = node.map() else {
            messages.error(node.place, path, format!("expected a mapping (key: value), found {}", node.describe()));
            return None;
        };
        Some(Self { path: path.to_owned(), place: node.place, entries: entries.iter().collect() })
    }

    /// Where the mapping starts.
    pub fn place(&self) -> Place {
        self.place
    }

    /// Full path of one of its keys.
    pub fn path(&self, key: &str) -> String {
        if self.path.is_empty() { quote(key) } else { format!("{}.{}", self.path, quote(key)) }
    }

    /// Whether a key that nobody took yet is there, null or not.
    pub fn has(&self, key: &str) -> bool {
        self.entries.iter().any(|entry| entry.key == key)
    }

    /// Where the value of a key stands that nobody took yet.
    pub fn place_of(&self, key: &str) -> Place {
        self.entries.iter().find(|entry| entry.key == key).map_or(self.place, |entry| entry.node.place)
    }

    /// Takes a key out, null or not.
    pub fn take_raw(&mut self, key: &str) -> Option<&'n Node> {
        let position = self.entries.iter().position(|entry| entry.key == key)?;
        Some(&self.entries.remove(position).node)
    }

    /// Takes a key out; null counts as not given.
    pub fn take(&mut self, key: &str) -> Option<&'n Node> {
        self.take_raw(key).filter(|node| !node.is_null())
    }

    /// A text.
    pub fn text(&mut self, key: &str, messages: &mut Messages) -> Option<String> {
        let node = self.take(key)?;
        let text = node.text().map(str::to_owned);
        self.expect(text, node, key, "text", messages)
    }

    /// A text that passes a check; `expectation` says what would.
    pub fn checked(
        &mut self,
        key: &str,
        check: impl Fn(&str) -> bool,
        expectation: &str,
        messages: &mut Messages,
    ) -> Option<String> {
        let node = self.take(key)?;
        let text = node.text().filter(|text| check(text)).map(str::to_owned);
        if text.is_none() && node.text().is_some() {
            messages.error(node.place, &self.path(key), format!("expected {expectation}"));
            return None;
        }
        self.expect(text, node, key, expectation, messages)
    }

    /// A truth value.
    pub fn boolean(&mut self, key: &str, messages: &mut Messages) -> Option<bool> {
        let node = self.take(key)?;
        self.expect(node.boolean(), node, key, "true or false", messages)
    }

    /// A whole number within bounds.
    pub fn number(&mut self, key: &str, range: std::ops::RangeInclusive<u32>, messages: &mut Messages) -> Option<u32> {
        let node = self.take(key)?;
        let number =
            node.integer().and_then(|number| u32::try_from(number).ok()).filter(|number| range.contains(number));
        let expectation = format!("a whole number from {} to {}", range.start(), range.end());
        if number.is_none() && node.integer().is_some() {
            messages.error(node.place, &self.path(key), format!("expected {expectation}"));
            return None;
        }
        self.expect(number, node, key, &expectation, messages)
    }

    /// A list of texts that each pass a check; with `single`, one text counts as a list of one.
    pub fn texts(
        &mut self,
        key: &str,
        single: bool,
        check: impl Fn(&str) -> bool,
        expectation: &str,
        messages: &mut Messages,
    ) -> Option<Vec<String>> {
        let node = self.take(key)?;
        let items: Vec<&Node> = match node.list() {
            Some(items) => items.iter().collect(),
            None if single && node.text().is_some() => vec![node],
            None => return self.expect(None, node, key, &format!("a list, each item {expectation}"), messages),
        };
        let mut texts = Vec::new();
        for (index, item) in items.into_iter().enumerate() {
            match item.text() {
                Some(text) if check(text) => texts.push(text.to_owned()),
                found => {
                    let found = if found.is_some() { String::new() } else { format!(", found {}", item.describe()) };
                    let path = format!("{}[{index}]", self.path(key));
                    messages.error(item.place, &path, format!("expected {expectation}{found}"));
                }
            }
        }
        Some(texts)
    }

    /// Forgets keys with an empty text, which some writers mean as not given.
    pub fn drop_empty(&mut self) {
        self.entries.retain(|entry| entry.node.text() != Some(""));
    }

    /// The same mapping with some of its keys alone.
    pub fn only(mut self, keep: impl Fn(&str) -> bool) -> Self {
        self.entries.retain(|entry| keep(&entry.key));
        self
    }

    /// The keys nobody took, with their values.
    pub fn rest(self) -> impl Iterator<Item = &'n Entry> {
        self.entries.into_iter()
    }

    /// Reports the keys nobody took as errors.
    pub fn deny_rest(self, messages: &mut Messages) {
        for entry in &self.entries {
            messages.error(entry.place, &self.path(&entry.key), "unknown key");
        }
    }

    /// Reports the keys nobody took as ignored.
    pub fn ignore_rest(self, messages: &mut Messages) {
        for entry in &self.entries {
            messages.warning(entry.place, &self.path(&entry.key), "ignored: not supported");
        }
    }

    fn expect<T>(
        &self,
        value: Option<T>,
        node: &Node,
        key: &str,
        expectation: &str,
        messages: &mut Messages,
    ) -> Option<T> {
        if value.is_none() {
            let text = format!("expected {expectation}, found {}", node.describe());
            messages.error(node.place, &self.path(key), text);
        }
        value
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::document::yaml;

    #[test]
    fn wrong_types_name_line_key_and_expectation_but_not_the_value() {
        let mut messages = Messages::new("user-data");
        let node = yaml::parse("a: [x]\nb: maybe-secret\nc: 70000\nd: [ok, {}]\ne: ~\nf: 1\n", &mut messages).unwrap();
        let mut fields = Fields::new(&node, "", &mut messages).unwrap();
        assert_eq!(fields.text("a", &mut messages), None);
        assert_eq!(fields.boolean("b", &mut messages), None);
        assert_eq!(fields.number("c", 0..=65535, &mut messages), None);
        assert_eq!(fields.texts("d", false, |_| true, "text", &mut messages), Some(vec!["ok".to_owned()]));
        assert_eq!(fields.text("e", &mut messages), None);
        fields.deny_rest(&mut messages);
        let text: Vec<String> = messages.list().iter().map(ToString::to_string).collect();
        assert_eq!(
            text,
            [
                "user-data line 1 column 4 a: expected text, found a list",
                "user-data line 2 column 4 b: expected true or false, found text",
                "user-data line 3 column 4 c: expected a whole number from 0 to 65535",
                "user-data line 4 column 9 d[1]: expected text, found a mapping",
                "user-data line 6 column 1 f: unknown key",
            ]
        );
    }
}
