//! Runs scripts of user data, each by the interpreter of its `#!` line, so that a file system without exec does not
//! matter, and an interpreter that is not there can be told by its name.

use super::commands::{PATH, Setting, run};
use crate::report::Messages;
use crate::store;
use crate::userdata::scripts::Script;
use anyhow::{Context, bail};
use std::path::Path;
use std::process::Command;

/// Interpreter lines longer than this are cut by the kernel as well.
const MAX_INTERPRETER: usize = 255;
/// Directory below that of the setting.
const DIRECTORY: &str = "scripts";

/// Runs one; true when it ended with status 0. Its part is named where it did not.
pub fn run_script(script: &Script, setting: Setting<'_>, messages: &mut Messages) -> bool {
    let path = setting.directory.join(DIRECTORY).join(&script.name);
    let result = start(script, &path, setting);
    // It may hold secrets, and the user data still has it.
    std::fs::remove_file(&path).ok();
    match result {
        Ok(None) => return true,
        Ok(Some(end)) => messages.error(script.place, "", format!("the script {end}")),
        Err(error) => messages.error(script.place, "", format!("the script was not run: {error:#}")),
    }
    false
}

/// How it ended, unless well.
fn start(script: &Script, path: &Path, setting: Setting<'_>) -> anyhow::Result<Option<String>> {
    let line =
        interpreter(&script.content).context("its first line must be #! and an interpreter such as #!/bin/sh")?;
    if let Some(missing) = missing(&line) {
        bail!("there is no {missing} here; write it for /bin/sh, or run it in a container that has {missing}");
    }
    store::write(path, &script.content, 0o700)?;
    let end = run(Command::new(line.0).args(line.1).arg(path), setting)?;
    Ok((!end.is_success()).then(|| end.describe()))
}

/// Interpreter and its one optional argument, as execve(2) splits them.
fn interpreter(content: &[u8]) -> Option<(String, Option<String>)> {
    let line = content.strip_prefix(b"#!")?.split(|&byte| byte == b'\n').next()?;
    let line = std::str::from_utf8(line.get(..MAX_INTERPRETER).unwrap_or(line)).ok()?.trim();
    let (program, argument) =
        line.split_once([' ', '\t']).map_or((line, None), |(program, argument)| (program, Some(argument)));
    (!program.is_empty()).then(|| (program.to_owned(), argument.map(|argument| argument.trim().to_owned())))
}

/// The program that is not there: the interpreter itself, or what env(1) is to look for.
fn missing((program, argument): &(String, Option<String>)) -> Option<String> {
    if !Path::new(program).exists() {
        return Some(program.clone());
    }
    if Path::new(program).file_name()? != "env" {
        return None;
    }
    let mut words = argument.as_deref()?.split_whitespace();
    let wanted = words.find(|word| !word.starts_with('-') && !word.contains('='))?;
    let there = PATH.split(':').any(|directory| Path::new(directory).join(wanted).exists());
    (!there).then(|| wanted.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::Place;
    use crate::userdata::format::When;
    use std::time::Duration;

    fn run_text(text: &str, deadline: Option<Duration>) -> String {
        let directory = tempfile::tempdir().unwrap();
        let setting = Setting { directory: directory.path(), instance_id: "i-1", deadline, output: None };
        let mut messages = Messages::new("user-data part 2 (a.sh)");
        let script = Script::new(Place::default(), "a.sh", When::WithRuncmd, false, text.as_bytes());
        let good = run_script(&script, setting, &mut messages);
        assert_eq!(std::fs::read_dir(directory.path().join(DIRECTORY)).map_or(0, Iterator::count), 0);
        let text: String = messages.list().iter().map(ToString::to_string).collect();
        assert_eq!(good, text.is_empty());
        text
    }

    #[test]
    fn faults_name_the_part() {
        for (script, expected) in [
            ("#!/bin/sh\nexit 0\n", ""),
            ("#!/bin/sh\ntest \"$INSTANCE_ID:${0##*/}\" = i-1:a.sh\n", ""),
            ("#!/usr/bin/env sh\nexit 0\n", ""),
            ("#! /bin/sh -e\nfalse\ntrue\n", "user-data part 2 (a.sh): the script exited with status 1"),
            ("#!/no/such\n", "was not run: there is no /no/such here; write it for /bin/sh"),
            ("#!/usr/bin/env no-such-python\n", "there is no no-such-python here"),
            ("#!/usr/bin/env -S A=b no-such-python -u\n", "there is no no-such-python here"),
            ("#!\n", "first line must be #!"),
            ("echo\n", "first line must be #!"),
        ] {
            let text = run_text(script, None);
            assert!(text.contains(expected) && text.is_empty() == expected.is_empty(), "{script}: {text}");
        }
    }

    #[test]
    fn a_deadline_ends_a_script() {
        let text = run_text("#!/bin/sh\nsleep 60\n", Some(Duration::from_millis(100)));
        assert!(text.contains("the script was killed: it ran longer than"), "{text}");
    }
}
