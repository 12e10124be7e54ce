//! `hull update …`.

use super::json;
use lexopt::prelude::*;
use std::path::PathBuf;

/// What is done about updates of the OS.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Update {
    Status { json: bool },
    Run { action: Action, force: bool, no_reboot: bool },
    Hold { reason: String },
    Unhold,
}

/// What takes its time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Action {
    Check,
    Fetch,
    Apply,
    Rollback,
}

impl Action {
    /// Last part of the request's path.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Check => "check",
            Self::Fetch => "fetch",
            Self::Apply => "apply",
            Self::Rollback => "rollback",
        }
    }

    fn can_force(self) -> bool {
        matches!(self, Self::Fetch | Self::Apply)
    }

    fn reboots(self) -> bool {
        matches!(self, Self::Apply | Self::Rollback)
    }
}

pub(super) fn parse(parser: &mut lexopt::Parser, socket: &mut PathBuf) -> Result<Update, lexopt::Error> {
    let mut is_json = false;
    loop {
        match parser.next()? {
            None => return Ok(Update::Status { json: is_json }),
            Some(Long("socket")) => *socket = parser.value()?.into(),
            Some(Long("json")) => is_json = true,
            Some(Value(verb)) if !is_json => return named(&verb.string()?, parser, socket),
            Some(other) => return Err(other.unexpected()),
        }
    }
}

fn named(verb: &str, parser: &mut lexopt::Parser, socket: &mut PathBuf) -> Result<Update, lexopt::Error> {
    match verb {
        "status" => json(parser, socket).map(|json| Update::Status { json }),
        "check" => run(parser, socket, Action::Check),
        "fetch" => run(parser, socket, Action::Fetch),
        "apply" => run(parser, socket, Action::Apply),
        "rollback" => run(parser, socket, Action::Rollback),
        "hold" => words(parser, socket).map(|words| Update::Hold { reason: words.join(" ") }),
        "unhold" => super::plain(parser, socket).map(|()| Update::Unhold),
        other => {
            let verbs = "status, check, fetch, apply, rollback, hold or unhold";
            Err(format!("update: there is no \"{other}\": {verbs}").into())
        }
    }
}

fn run(parser: &mut lexopt::Parser, socket: &mut PathBuf, action: Action) -> Result<Update, lexopt::Error> {
    let (mut force, mut no_reboot) = (false, false);
    while let Some(argument) = parser.next()? {
        match argument {
            Long("socket") => *socket = parser.value()?.into(),
            Long("force") if action.can_force() => force = true,
            Long("no-reboot") if action.reboots() => no_reboot = true,
            other => return Err(other.unexpected()),
        }
    }
    Ok(Update::Run { action, force, no_reboot })
}

fn words(parser: &mut lexopt::Parser, socket: &mut PathBuf) -> Result<Vec<String>, lexopt::Error> {
    let mut words = Vec::new();
    while let Some(argument) = parser.next()? {
        match argument {
            Long("socket") => *socket = parser.value()?.into(),
            Value(word) => words.push(word.string()?),
            other => return Err(other.unexpected()),
        }
    }
    Ok(words)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(line: &str) -> Result<Update, String> {
        let mut parser = lexopt::Parser::from_args(line.split_whitespace());
        parse(&mut parser, &mut PathBuf::new()).map_err(|error| error.to_string())
    }

    #[test]
    fn verbs() {
        let run = |action, force, no_reboot| Update::Run { action, force, no_reboot };
        for (line, expected) in [
            ("", Update::Status { json: false }),
            ("--json", Update::Status { json: true }),
            ("status --json", Update::Status { json: true }),
            ("check", run(Action::Check, false, false)),
            ("fetch --force", run(Action::Fetch, true, false)),
            ("apply --no-reboot --force", run(Action::Apply, true, true)),
            ("rollback --no-reboot", run(Action::Rollback, false, true)),
            ("hold", Update::Hold { reason: String::new() }),
            ("hold until the fair", Update::Hold { reason: "until the fair".into() }),
            ("unhold --socket /a", Update::Unhold),
        ] {
            assert_eq!(parsed(line), Ok(expected), "{line}");
        }
        for (line, part) in [
            ("frob", "frob"),
            ("check --force", "--force"),
            ("fetch --no-reboot", "--no-reboot"),
            ("apply 1.2.0", "1.2.0"),
            ("--json apply", "apply"),
            ("unhold x", "x"),
        ] {
            let error = parsed(line).unwrap_err();
            assert!(error.contains(part), "{line}: {error}");
        }
    }
}
