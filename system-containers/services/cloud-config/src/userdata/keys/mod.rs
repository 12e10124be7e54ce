//! The top-level keys of cloud-config documents: one table, by which a document is read and which
//! `docs/cloud-config-keys.md` shows. The names are those of cloud-init's schema, and some that people use besides.
//!
//! ```text
//! document ─ key by key ─ in the table ─┬─ with a reader ─ CloudConfig
//!                                       └─ without one ─── remark or warning, with the table's own words
//!                       └ not in it ───────────────────── warning, with the nearest name there is
//! ```
//!
//! | module | keys |
//! |---|---|
//! | [`handled`] | those that are read |
//! | [`others`] | those that are not |
//! | [`near`] | names that were meant |

pub mod handled;
pub mod near;
pub mod others;

use super::CloudConfig;
use crate::document::Fields;
use crate::document::node::Entry;
use crate::report::{Messages, quote};

/// Takes a key that is there out of the document and puts what it says into the configuration.
pub type Reader = fn(&mut Fields<'_>, &str, &mut CloudConfig, &mut Messages);

/// What becomes of a key.
#[derive(Debug, Clone, Copy)]
pub enum Use {
    /// All that cloud-init's schema has below it has its effect.
    Applied(Reader),
    /// Some of it has, the rest is reported.
    Partial(Reader),
    /// It asks for what is so anyway, or is about cloud-init itself: a remark.
    Moot,
    /// It cannot be had here: a warning.
    Reported,
}

/// One key.
#[derive(Debug, Clone, Copy)]
pub struct Key {
    /// As documents write it.
    pub name: &'static str,
    /// What becomes of it.
    pub verdict: Use,
    /// What it does, or what to do instead.
    pub phrase: &'static str,
}

impl Key {
    /// For the documentation.
    pub fn word(&self) -> &'static str {
        match self.verdict {
            Use::Applied(_) => "applied",
            Use::Partial(_) => "partly",
            Use::Moot => "not needed",
            Use::Reported => "reported",
        }
    }
}

/// The table. Readers come in this order: `hull` first, over which the document's other keys win.
pub fn all() -> impl Iterator<Item = &'static Key> {
    handled::KEYS.iter().chain(others::MOOT).chain(others::REPORTED)
}

/// Reads all keys of a document.
pub fn read(mut fields: Fields<'_>, config: &mut CloudConfig, messages: &mut Messages) {
    for key in all() {
        if let (Use::Applied(reader) | Use::Partial(reader), true) = (key.verdict, fields.has(key.name)) {
            reader(&mut fields, key.name, config, messages);
        }
    }
    fields.rest().for_each(|entry| report(entry, messages));
}

/// A key that nobody took.
fn report(entry: &Entry, messages: &mut Messages) {
    let name = quote(&entry.key);
    match all().find(|key| key.name == entry.key) {
        Some(Key { verdict: Use::Moot, phrase, .. }) => {
            messages.info(entry.place, &name, format!("ignored: {phrase}"));
        }
        Some(key) => messages.warning(entry.place, &name, format!("ignored: {}", key.phrase)),
        None => {
            let hint = near::nearest(&entry.key, all().map(|key| key.name));
            let hint = hint.map(|name| format!("; did you mean {name}?")).unwrap_or_default();
            messages.warning(entry.place, &name, format!("ignored: not supported{hint}"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::document::yaml;
    use std::collections::BTreeSet;

    #[test]
    fn names_are_unique_and_phrases_fit_a_table() {
        let mut seen = BTreeSet::new();
        for key in all() {
            assert!(seen.insert(key.name), "{} is there twice", key.name);
            assert!(!key.phrase.is_empty() && !key.phrase.contains(['|', '\n']), "{}", key.name);
        }
    }

    /// A key that has a reader is never left over, whatever it holds.
    #[test]
    fn readers_take_their_key() {
        for key in all().filter(|key| matches!(key.verdict, Use::Applied(_) | Use::Partial(_))) {
            for value in ["", "x", "[x]", "{x: y}", "3"] {
                let mut messages = Messages::new("user-data");
                let node = yaml::parse(&format!("{}: {value}\n", key.name), &mut messages).unwrap();
                let config = CloudConfig::read(&node, &mut messages);
                let left = messages.list().iter().any(|message| message.text == format!("ignored: {}", key.phrase));
                assert!(!left, "{}: {value}: {config:?}", key.name);
            }
        }
    }

    #[test]
    fn what_is_left_is_told_once_with_a_hint() {
        let text = "packages: [git]\ngrowpart: {mode: auto}\nssh_pwuath: yes\nfoo: 1\n";
        let mut messages = Messages::new("user-data");
        CloudConfig::read(&yaml::parse(text, &mut messages).unwrap(), &mut messages);
        let found: Vec<String> = messages.list().iter().map(ToString::to_string).collect();
        for (found, expected) in found.iter().zip([
            "user-data line 1 column 1 packages: ignored: there is no package manager",
            "user-data line 2 column 1 growpart: ignored: the state partition grows",
            "user-data line 3 column 1 ssh_pwuath: ignored: not supported; did you mean ssh_pwauth?",
            "user-data line 4 column 1 foo: ignored: not supported",
        ]) {
            assert!(found.starts_with(expected), "{found}");
        }
        assert_eq!(found.len(), 4, "{found:?}");
    }
}
