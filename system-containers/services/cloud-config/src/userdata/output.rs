//! `output`: where what commands and scripts print goes besides the log.

use crate::document::{Fields, Node, Value};
use crate::report::Messages;

/// Where a stream goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Sink {
    /// A file, made anew for each stage.
    File(String),
    /// The end of a file.
    Append(String),
    /// Standard input of a command for the shell.
    Pipe(String),
}

/// Both streams of one stage; errors go where the output goes unless they have a place of their own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Streams {
    /// Standard output.
    pub output: Option<Sink>,
    /// Standard error.
    pub error: Option<Sink>,
}

/// The stages that run commands.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Output {
    /// Boothooks and bootcmd.
    pub init: Option<Streams>,
    /// Scripts and runcmd.
    pub last: Option<Streams>,
}

/// Reads the mapping: `all`, and what is different for `init` and `final`. In `config` nothing runs here.
pub fn read(node: &Node, messages: &mut Messages) -> Option<Output> {
    let mut fields = Fields::new(node, "output", messages)?;
    let mut take = |key: &str| {
        let node = fields.take(key)?;
        let found = streams(node);
        if found.is_none() {
            let text = "expected text such as \"| tee -a /var/log/output.log\", \">> FILE\", a list of two, or output and error";
            messages.error(node.place, &fields.path(key), text);
        }
        found
    };
    let (all, init, last) = (take("all"), take("init"), take("final"));
    take("config");
    fields.ignore_rest(messages);
    Some(Output { init: init.or(all.clone()), last: last.or(all) })
}

fn streams(node: &Node) -> Option<Streams> {
    let optional = |node: Option<&Node>| match node.filter(|node| !node.is_null()) {
        Some(node) => sink(node.text()?),
        None => Some(None),
    };
    match &node.value {
        Value::Scalar(_) => Some(Streams { output: sink(node.text()?)?, error: None }),
        Value::List(items) if (1..=2).contains(&items.len()) => {
            Some(Streams { output: optional(items.first())?, error: optional(items.get(1))? })
        }
        Value::Map(entries) if entries.iter().all(|entry| matches!(&*entry.key, "output" | "error")) => {
            Some(Streams { output: optional(node.get("output"))?, error: optional(node.get("error"))? })
        }
        _ => None,
    }
}

/// `None` is a mistake; `Some(None)` is `&1`, and nothing at all.
fn sink(text: &str) -> Option<Option<Sink>> {
    let text = text.trim();
    if text.contains(char::is_control) {
        return None;
    }
    let file = |text: &str| text.starts_with('/').then(|| text.to_owned());
    Some(match text {
        "" | "&1" => None,
        _ if text.starts_with('|') => Some(text[1..].trim())
            .filter(|command| !command.is_empty())
            .map(|command| Sink::Pipe(command.to_owned()))?
            .into(),
        _ if text.starts_with(">>") => Some(Sink::Append(file(text[2..].trim())?)),
        _ => Some(Sink::File(file(text.trim_start_matches('>').trim())?)),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::document::yaml;

    fn load(text: &str) -> (Option<Output>, String) {
        let mut messages = Messages::new("user-data");
        let output = read(&yaml::parse(text, &mut messages).unwrap(), &mut messages);
        (output, messages.list().iter().map(|message| format!("{message}\n")).collect())
    }

    #[test]
    fn streams_of_stages() {
        let pipe = || Some(Sink::Pipe("tee -a /var/log/o".into()));
        let append = || Some(Sink::Append("/var/log/e".into()));
        let both = |output, error| Some(Streams { output, error });
        for (text, init, last) in [
            ("{all: '| tee -a /var/log/o'}", both(pipe(), None), both(pipe(), None)),
            ("{all: ['| tee -a /var/log/o', '>> /var/log/e']}", both(pipe(), append()), both(pipe(), append())),
            ("{final: {output: '|tee -a /var/log/o', error: '&1'}}", None, both(pipe(), None)),
            (
                "{all: '>> /var/log/e', init: '> /var/log/i'}",
                both(Some(Sink::File("/var/log/i".into())), None),
                both(append(), None),
            ),
            ("{init: /var/log/i, config: '/x'}", both(Some(Sink::File("/var/log/i".into())), None), None),
            ("{}", None, None),
        ] {
            assert_eq!(load(text), (Some(Output { init, last }), String::new()), "{text}");
        }
        for text in [
            "{all: 'log'}",
            "{all: '|'}",
            "{all: ['/a', '/b', '/c']}",
            "{all: {out: /a}}",
            "{all: [[x]]}",
            "{all: yes}",
        ] {
            let (output, said) = load(text);
            assert_eq!(output, Some(Output::default()), "{text}");
            assert!(said.contains("output.all: expected text such as"), "{text}: {said}");
        }
        assert!(load("{other: /a}").1.contains("output.other: ignored"));
    }
}
