//! Runs the e2fsprogs tools and waits without forgetting the watchdog.

use rustix::event::{PollFd, PollFlags, poll};
use rustix::process::{Pid, PidfdFlags, pidfd_open};
use rustix::time::Timespec;
use std::fs::File;
use std::path::Path;
use std::process::{Command, ExitStatus, Stdio};

/// Between two calls of the caller's tick while a tool runs, in seconds.
const TICK_SECONDS: i64 = 5;
/// What is quoted of a tool's output; its first lines name the cause.
const QUOTED_CHARACTERS: usize = 200;

/// How a tool ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Outcome {
    /// Exit code; `None` when a signal ended it.
    pub(crate) code: Option<i32>,
    /// The beginning of what it wrote, in one line.
    pub(crate) said: String,
}

/// Runs `program`; its output goes to `log` and the beginning of it into the outcome. `tick` is called every five seconds.
pub(crate) fn run(program: &str, arguments: &[&str], log: &Path, mut tick: impl FnMut()) -> std::io::Result<Outcome> {
    let started = crate::clock::monotonic();
    let output = File::create(log)?;
    let mut child = Command::new(program)
        .args(arguments)
        .env_clear()
        .stdin(Stdio::null())
        .stdout(output.try_clone()?)
        .stderr(output)
        .spawn()?;
    if let Some(pid) = i32::try_from(child.id()).ok().and_then(Pid::from_raw) {
        let pidfd = pidfd_open(pid, PidfdFlags::empty())?;
        let timeout = Timespec { tv_sec: TICK_SECONDS, tv_nsec: 0 };
        while poll(&mut [PollFd::new(&pidfd, PollFlags::IN)], Some(&timeout)) == Ok(0) {
            tick();
        }
    }
    let status: ExitStatus = child.wait()?;
    let milliseconds = crate::clock::monotonic().saturating_sub(started).as_millis();
    log::debug!("{program} {}: {status} after {milliseconds} ms", arguments.join(" "));
    Ok(Outcome { code: status.code(), said: quote(&std::fs::read(log)?) })
}

fn quote(output: &[u8]) -> String {
    let text = String::from_utf8_lossy(output);
    let lines: Vec<_> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    lines.join("; ").chars().take(QUOTED_CHARACTERS).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outcome_and_output() {
        let directory = tempfile::tempdir().expect("directory");
        let log = directory.path().join("log");
        let outcome = run("/bin/sh", &["-c", "echo one; echo; echo two >&2; exit 4"], &log, || ()).expect("run");
        assert_eq!(outcome, Outcome { code: Some(4), said: "one; two".into() });
        assert!(run("/nonexistent", &[], &log, || ()).is_err());
    }
}
