//! Runs the commands of `bootcmd` and `runcmd`; with the setting that scripts have, too.
//!
//! A list is one shell script, so that `cd` and variables reach the next command, and a failing command does not stop
//! the list. Markers that the script writes to a progress file tell which command failed with what.

use super::output::Redirection;
use super::program;
use crate::report::Messages;
use crate::userdata::commands::Command;
use anyhow::Context;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::Path;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

/// Where programs are looked for.
pub(super) const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
const SHELL: &str = "/bin/sh";

/// How a run is set up.
#[derive(Debug, Clone, Copy)]
pub struct Setting<'a> {
    /// Directory for scripts, readable by root only.
    pub directory: &'a Path,
    /// Given to the commands as `INSTANCE_ID`.
    pub instance_id: &'a str,
    /// The whole run is killed after this long.
    pub deadline: Option<Duration>,
    /// Where output goes, if not to the log.
    pub output: Option<&'a Redirection>,
}

/// Runs a list; true when every command ended with status 0.
pub fn run_list(key: &str, commands: &[Command], setting: Setting<'_>, messages: &mut Messages) -> bool {
    if commands.is_empty() {
        return true;
    }
    let before = messages.errors();
    if let Err(error) = run_script(key, commands, setting, messages) {
        messages.error(Default::default(), key, format!("{error:#}"));
    }
    messages.errors() == before
}

fn run_script(key: &str, commands: &[Command], setting: Setting<'_>, messages: &mut Messages) -> anyhow::Result<()> {
    let script = setting.directory.join(format!("{key}.sh"));
    let progress = setting.directory.join(format!("{key}.progress"));
    crate::store::write(&script, script_text(commands, &progress).as_bytes(), 0o600)?;
    crate::store::write(&progress, b"", 0o600)?;
    let ended = run(std::process::Command::new(SHELL).arg(&script), setting);
    let markers = std::fs::read_to_string(&progress).with_context(|| format!("read {}", progress.display()))?;
    std::fs::remove_file(&progress).ok();
    for (position, text) in outcomes(&markers, &ended?) {
        let command = commands.get(position);
        let (place, index) = command.map_or_else(Default::default, |command| (command.place, command.index));
        messages.error(place, &format!("{key}[{index}]"), text);
    }
    Ok(())
}

/// How a run ended.
#[derive(Debug)]
pub(super) enum End {
    /// By itself.
    Status(ExitStatus),
    /// Killed after this long.
    Deadline(Duration),
}

impl End {
    /// With status 0.
    pub(super) fn is_success(&self) -> bool {
        matches!(self, Self::Status(status) if status.success())
    }

    /// For messages: `exited with status 1`.
    pub(super) fn describe(&self) -> String {
        match self {
            Self::Deadline(after) => format!("was killed: it ran longer than {} s", after.as_secs()),
            Self::Status(status) => match (status.code(), status.signal()) {
                (Some(code), _) => format!("exited with status {code}"),
                (None, Some(signal)) => format!("was killed by signal {signal}"),
                (None, None) => "ended".into(),
            },
        }
    }
}

/// Runs a program to its end, or to the deadline.
pub(super) fn run(command: &mut std::process::Command, setting: Setting<'_>) -> anyhow::Result<End> {
    if let Some(output) = setting.output {
        output.apply(command)?;
    }
    let mut child = command
        .env_clear()
        .env("PATH", PATH)
        .env("HOME", "/root")
        .env("USER", "root")
        .env("LOGNAME", "root")
        .env("SHELL", SHELL)
        .env("LANG", "C.UTF-8")
        .env("INSTANCE_ID", setting.instance_id)
        .current_dir("/")
        .stdin(Stdio::null())
        .process_group(0)
        .spawn()
        .with_context(|| format!("start {}", Path::new(command.get_program()).display()))?;
    Ok(match program::wait(&mut child, setting.deadline)? {
        Some(status) => End::Status(status),
        None => End::Deadline(setting.deadline.unwrap_or_default()),
    })
}

fn script_text(commands: &[Command], progress: &Path) -> String {
    let mut text = format!("#!{SHELL}\nexec 9>>'{}'\n", progress.display());
    for (position, command) in commands.iter().enumerate() {
        text.push_str(&format!("echo start {position} >&9\n{}\necho end {position} $? >&9\n", command.text));
    }
    text
}

/// Position and fault of every command that did not end with status 0.
fn outcomes(markers: &str, end: &End) -> Vec<(usize, String)> {
    let mut faults = Vec::new();
    let mut open = None;
    let mut last = 0;
    for line in markers.lines() {
        let words: Vec<&str> = line.split(' ').collect();
        match words[..] {
            ["start", position] => {
                last = position.parse().unwrap_or(last);
                open = Some(last);
            }
            ["end", position, status] => {
                open = None;
                if status != "0" {
                    faults.push((position.parse().unwrap_or(last), format!("exited with status {status}")));
                }
            }
            _ => {}
        }
    }
    // `exit`, a syntax error or the deadline within a command end the whole list there.
    match (open, end.is_success()) {
        (Some(position), false) => {
            faults.push((position, format!("{}; what follows was not run", end.describe())));
        }
        (None, false) if faults.is_empty() => faults.push((last, end.describe())),
        _ => {}
    }
    faults
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::document::yaml;

    fn run_text(text: &str, deadline: Option<Duration>) -> (bool, String) {
        let directory = tempfile::tempdir().unwrap();
        let mut messages = Messages::new("user-data");
        let node = yaml::parse(text, &mut messages).unwrap();
        let commands = crate::userdata::commands::read(&node, "runcmd", &mut messages);
        let setting = Setting { directory: directory.path(), instance_id: "i-1", deadline, output: None };
        let good = run_list("runcmd", &commands, setting, &mut messages);
        (good, messages.list().iter().map(|message| format!("{message}\n")).collect())
    }

    #[test]
    fn faults_name_index_line_and_status() {
        for (text, good, expected) in [
            (
                "- true\n- 'true'\n- cd /tmp\n- test \"$PWD\" = /tmp\n- test \"$HOME:$INSTANCE_ID\" = /root:i-1\n",
                false,
                vec!["runcmd[0]: expected"],
            ),
            (
                "- ':'\n- no-such-command-x\n- 'false'\n- ':'\n",
                false,
                vec![
                    "line 2 column 3 runcmd[1]: exited with status 127",
                    "line 3 column 3 runcmd[2]: exited with status 1",
                ],
            ),
            ("- ':'\n- exit 3\n- no-such\n", false, vec!["runcmd[1]: exited with status 3; what follows was not run"]),
            ("- exit 0\n- 'false'\n", true, vec![]),
            ("- ':'\n- 'if'\n- ':'\n", false, vec!["runcmd[1]: exited with status 2; what follows"]),
            ("- kill -9 $$\n", false, vec!["runcmd[0]: was killed by signal 9"]),
            ("- [sh, -c, 'exit 4']\n", false, vec!["runcmd[0]: exited with status 4"]),
            ("- |\n  cat <<E >/dev/null\n  x\n  E\n- ':'\n", true, vec![]),
        ] {
            let (result, messages) = run_text(text, None);
            for line in &expected {
                assert!(messages.contains(line), "{text}: {messages}");
            }
            assert_eq!(messages.lines().count(), expected.len(), "{text}: {messages}");
            assert!(result == good || text.contains("- true"), "{text}: {messages}");
        }
    }

    #[test]
    fn the_deadline_kills_the_whole_group() {
        let started = std::time::Instant::now();
        let (good, messages) = run_text("- ':'\n- sleep 60 | sleep 60\n", Some(Duration::from_millis(200)));
        assert!(!good && messages.contains("runcmd[1]: was killed: it ran longer than"), "{messages}");
        assert!(started.elapsed() < Duration::from_secs(20));
    }
}
