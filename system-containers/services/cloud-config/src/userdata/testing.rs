//! For tests of single keys.

use crate::document::{Node, yaml};
use crate::report::Messages;

/// What a reader makes of a document, and what it says, a line a message.
pub(super) fn parsed<T>(text: &str, read: impl Fn(&Node, &mut Messages) -> T) -> (T, String) {
    let mut messages = Messages::new("user-data");
    let node = yaml::parse(text, &mut messages).unwrap();
    let value = read(&node, &mut messages);
    (value, messages.list().iter().map(|message| format!("{message}\n")).collect())
}
