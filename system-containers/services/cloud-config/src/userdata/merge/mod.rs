//! Several cloud-config documents to one tree, as cloud-init merges the parts of one blob.
//!
//! | module | what |
//! |---|---|
//! | [`how`] | `merge_how`, `merge_type` and the header `Merge-Type` |
//! | [`tree`] | two trees to one |
//! | [`patch`] | JSON patches |
//!
//! Each document says how it goes onto those before it; without a word its top-level keys replace theirs. Values keep
//! the place and the source they had.

pub mod how;
pub mod patch;
pub mod tree;

use crate::document::node::{Entry, MAX_WEIGHT};
use crate::document::{Node, Value, yaml};
use crate::report::{Messages, Place};
use how::How;

const TOO_LARGE: &str = "not used: the document is too large together with those before it";

/// The documents so far.
#[derive(Debug, Clone, Default)]
pub struct Document {
    root: Option<Node>,
}

impl Document {
    /// The tree, if there was a document that was not empty.
    pub fn root(&self) -> Option<&Node> {
        self.root.as_ref()
    }

    /// Adds a document, with the part's `Merge-Type` header; false: it cannot be used, and a message says why.
    pub fn merge(&mut self, text: &str, header: Option<&str>, messages: &mut Messages) -> bool {
        let Some(mut new) = parse(text, messages) else { return false };
        if new.is_null() {
            return true;
        }
        let Some(how) = chosen(&mut new, header, messages) else { return false };
        if !how.merges_mappings() {
            let text = "nothing of this document is used: how it is merged says nothing of dict(), as in dict(recurse_list)+list(append)";
            messages.warning(new.place, "merge_how", text);
        }
        let place = new.place;
        let old = self.root.clone().unwrap_or(Node { place, value: Value::Map(Vec::new()) });
        self.take(tree::merge(&how, old, new), place, messages)
    }

    /// Applies a JSON patch to what there is so far; all of it or, with a message, nothing.
    pub fn patch(&mut self, text: &str, messages: &mut Messages) -> bool {
        let patch = match yaml::parse(text, messages) {
            Ok(patch) => patch,
            Err(error) => {
                messages.error(error.place, "", format!("the JSON patch is not used: {}", error.text));
                return false;
            }
        };
        let place = patch.place;
        let old = self.root.clone().unwrap_or(Node { place, value: Value::Map(Vec::new()) });
        match patch::apply(old, &patch) {
            Ok(root) if root.map().is_none() => {
                messages.error(place, "", "the JSON patch is not used: it leaves something else than a mapping");
                false
            }
            Ok(root) => self.take(root, place, messages),
            Err(error) => {
                messages.error(error.place, &error.key, format!("the JSON patch is not used: {}", error.text));
                false
            }
        }
    }

    fn take(&mut self, root: Node, place: Place, messages: &mut Messages) -> bool {
        if root.weight() > MAX_WEIGHT {
            messages.error(place, "", TOO_LARGE);
            return false;
        }
        self.root = Some(root);
        true
    }
}

/// The mapping of a document, or null; `None`: it cannot be used.
pub fn parse(text: &str, messages: &mut Messages) -> Option<Node> {
    match yaml::parse(text, messages) {
        Ok(root) if root.is_null() || root.map().is_some() => Some(root),
        Ok(root) => {
            let text = format!("expected a mapping (key: value), found {}", root.describe());
            messages.error(root.place, "", text);
            None
        }
        Err(error) => {
            messages.error(error.place, "", format!("the document is not used: {}", error.text));
            None
        }
    }
}

/// How a document is merged: what it says itself, then the header; its keys for that are taken out.
fn chosen(document: &mut Node, header: Option<&str>, messages: &mut Messages) -> Option<How> {
    let Value::Map(entries) = &mut document.value else { return Some(How::default()) };
    let mut take = |key: &str| {
        let position = entries.iter().position(|entry: &Entry| entry.key == key)?;
        Some(entries.remove(position)).filter(|entry| !entry.node.is_null())
    };
    let (given, other) = (take("merge_how"), take("merge_type"));
    let mut how = How::nothing();
    if let Some(entry) = given.or(other) {
        how = how::of_node(&entry.node)
            .map_err(|text| messages.error(entry.node.place, &entry.key, format!("the document is not used: {text}")))
            .ok()?;
    }
    if let Some(header) = header {
        let below = how::of_text(header)
            .map_err(|text| messages.error(Place::default(), "Merge-Type", format!("the document is not used: {text}")))
            .ok()?;
        how = how.or(below);
    }
    Some(if how == How::nothing() { How::default() } else { how })
}
