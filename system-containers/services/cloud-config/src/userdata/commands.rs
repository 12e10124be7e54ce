//! `runcmd` and `bootcmd`: lists of commands, a text each (for the shell) or a list each (arguments, quoted by us).

use crate::document::{Node, Value};
use crate::report::{Messages, Place};

/// One command, ready for the shell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Command {
    /// Where it stands.
    pub place: Place,
    /// Its number in the list.
    pub index: usize,
    /// Shell text.
    pub text: String,
}

/// Reads the list at `key`; the items of a nested list of arguments may be any scalar.
pub fn read(node: &Node, key: &str, messages: &mut Messages) -> Vec<Command> {
    let items = match &node.value {
        Value::List(items) => items.as_slice(),
        Value::Scalar(_) if node.text().is_some() => std::slice::from_ref(node),
        _ => {
            messages.error(node.place, key, format!("expected a list of commands, found {}", node.describe()));
            return Vec::new();
        }
    };
    let mut commands = Vec::new();
    for (index, item) in items.iter().enumerate() {
        // Empty items are common where a template left nothing.
        if !item.is_null() {
            commands
                .extend(one(item, &format!("{key}[{index}]"), messages).map(|command| Command { index, ..command }));
        }
    }
    commands
}

/// Reads the command at `path`.
pub fn one(item: &Node, path: &str, messages: &mut Messages) -> Option<Command> {
    let text = match &item.value {
        Value::List(arguments) => {
            arguments.iter().map(argument).collect::<Option<Vec<String>>>().map(|words| words.join(" "))
        }
        Value::Scalar(_) => item.text().map(str::to_owned),
        Value::Map(_) => None,
    };
    match text {
        Some(text) if !text.contains('\0') => Some(Command { place: item.place, index: 0, text }),
        _ => {
            let hint = if item.map().is_some() { "; a text with ': ' in it needs quotes" } else { "" };
            let text = format!("expected a text or a list of arguments, found {}{hint}", item.describe());
            messages.error(item.place, path, text);
            None
        }
    }
}

fn argument(node: &Node) -> Option<String> {
    match &node.value {
        Value::Scalar(scalar) => Some(format!("'{}'", scalar.text.replace('\'', "'\\''"))),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::document::yaml;

    fn load(text: &str) -> (Vec<Command>, String) {
        let mut messages = Messages::new("user-data");
        let node = yaml::parse(text, &mut messages).unwrap();
        let commands = read(&node, "runcmd", &mut messages);
        (commands, messages.list().iter().map(|message| format!("{message}\n")).collect())
    }

    #[test]
    fn texts_go_to_the_shell_and_arguments_are_quoted() {
        let (commands, messages) = load("- echo $HOME\n- [echo, \"it's\", 22:22, yes, 0644, ~]\n-\n- |\n  a\n  b\n");
        assert_eq!(messages, "");
        let texts: Vec<(usize, &str)> = commands.iter().map(|command| (command.index, command.text.as_str())).collect();
        assert_eq!(texts, [(0, "echo $HOME"), (1, "'echo' 'it'\\''s' '22:22' 'yes' '0644' '~'"), (3, "a\nb\n")]);
    }

    #[test]
    fn other_items_are_errors_with_their_line() {
        let (commands, messages) = load("- echo a: b\n- true\n- [a, [b]]\n- ok\n");
        assert_eq!(commands.len(), 1);
        for expected in ["line 1 column 3 runcmd[0]: expected", "needs quotes", "runcmd[1]", "runcmd[2]"] {
            assert!(messages.contains(expected), "{expected}: {messages}");
        }
        assert!(load("{a: b}\n").1.contains("runcmd: expected a list"));
    }
}
