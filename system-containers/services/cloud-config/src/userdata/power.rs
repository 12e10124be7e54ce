//! `power_state`: how the machine ends once everything was done.

use super::commands::{self, Command};
use crate::document::{Fields, Node};
use crate::report::{Messages, Place};
use std::time::Duration;

/// The longest delay: shutdown(8) takes more, but nobody means it.
const MAX_DELAY: u32 = 24 * 60;

/// What is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PowerState {
    /// Where it stands.
    pub place: Place,
    /// Verb of `hull`.
    pub mode: String,
    /// From the end of all other work.
    pub delay: Duration,
    /// Said before.
    pub message: Option<String>,
    /// A command that has to succeed; nothing is asked of it when it is not there.
    pub condition: Option<Command>,
}

/// Reads the mapping; nothing when a condition says no, or without a mode.
pub fn read(node: &Node, messages: &mut Messages) -> Option<PowerState> {
    let mut fields = Fields::new(node, "power_state", messages)?;
    let is_mode = |text: &str| matches!(text, "poweroff" | "reboot" | "halt");
    let mode = fields.checked("mode", is_mode, "poweroff, reboot or halt", messages);
    if mode.is_none() && node.get("mode").is_none() {
        messages.error(node.place, "power_state", "expected a mode: poweroff, reboot or halt");
    }
    let delay = fields.take("delay").map_or(Some(0), |node| {
        let minutes = minutes(node);
        if minutes.is_none() {
            let text = format!("expected now, or minutes up to {MAX_DELAY} such as +5");
            messages.error(node.place, "power_state.delay", text);
        }
        minutes
    });
    let message = fields.text("message", messages);
    // For everything else to end, which is waited for anyway.
    fields.take_raw("timeout");
    let condition = fields.take("condition");
    fields.ignore_rest(messages);
    let wanted = condition.is_none_or(|node| node.boolean() != Some(false));
    let command = condition.filter(|node| node.boolean().is_none()).map(|node| command(node, messages));
    if !wanted || command.as_ref().is_some_and(Option::is_none) {
        return None;
    }
    Some(PowerState {
        place: node.place,
        mode: mode?,
        delay: Duration::from_secs(u64::from(delay?) * 60),
        message,
        condition: command.flatten(),
    })
}

/// `now`, `+5`, `5`.
fn minutes(node: &Node) -> Option<u32> {
    let text = node.text()?.trim();
    let number = text.strip_prefix('+').unwrap_or(text);
    if text == "now" { Some(0) } else { number.parse().ok().filter(|minutes| *minutes <= MAX_DELAY) }
}

/// A text is for the shell, a list is program and arguments.
fn command(node: &Node, messages: &mut Messages) -> Option<Command> {
    let before = messages.errors();
    let command = commands::one(node, "power_state.condition", messages);
    command.filter(|_| messages.errors() == before)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::document::yaml;

    fn load(text: &str) -> (Option<PowerState>, String) {
        let mut messages = Messages::new("user-data");
        let node = yaml::parse(text, &mut messages).unwrap();
        let state = read(&node, &mut messages);
        (state, messages.list().iter().map(|message| format!("{message}\n")).collect())
    }

    #[test]
    fn forms() {
        for (text, seconds, condition) in [
            ("{mode: poweroff}", 0, None),
            ("{mode: reboot, delay: now, timeout: 30, condition: true}", 0, None),
            ("{mode: halt, delay: '+5', message: bye}", 300, None),
            ("{mode: halt, delay: 5, condition: test -e /x}", 300, Some("test -e /x")),
            ("{mode: halt, condition: [test, -e, a b]}", 0, Some("'test' '-e' 'a b'")),
        ] {
            let (state, messages) = load(text);
            let state = state.unwrap();
            assert_eq!((state.delay.as_secs(), messages.as_str()), (seconds, ""), "{text}");
            assert_eq!(state.condition.map(|command| command.text).as_deref(), condition, "{text}");
        }
        for (text, part) in [
            ("{mode: sleep}", "mode: expected poweroff"),
            ("{delay: now}", "expected a mode"),
            ("{mode: halt, delay: tomorrow}", "delay: expected now"),
            ("{mode: halt, condition: {a: b}}", "condition"),
            ("reboot", "expected a mapping"),
        ] {
            let (state, messages) = load(text);
            assert!(state.is_none() && messages.contains(part), "{text}: {messages}");
        }
        assert_eq!(load("{mode: halt, condition: false}"), (None, String::new()));
    }
}
