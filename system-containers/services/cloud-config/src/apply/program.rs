//! Runs a program for what it does: its last words are the reason when it fails. The login waits for most of them, so they
//! have a time in which they end or are given up.

use anyhow::{Context, bail};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{MemfdFlags, memfd_create};
use rustix::process::{Pid, PidfdFlags, Signal, kill_process_group, pidfd_open};
use std::fs::File;
use std::io::{Read, Seek};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::time::Duration;

/// For what takes no time unless a disk or a server does not answer.
pub const SHORT: Duration = Duration::from_secs(60);
/// From the signal to the end; a process that waits for a disk may take for ever.
const GRACE: Duration = Duration::from_secs(2);
/// Bytes of output that are looked at.
const MAX_OUTPUT: u64 = 1 << 20;

/// Runs it to its end.
///
/// # Errors
/// Those of [`printed`].
pub fn run(command: &mut Command, limit: Option<Duration>) -> anyhow::Result<()> {
    printed(command, limit).map(drop)
}

/// Runs it to its end, and gives its standard output.
///
/// # Errors
/// It cannot be started, it was given up, or it failed: the last line of its standard error, without the name `hull`.
pub fn printed(command: &mut Command, limit: Option<Duration>) -> anyhow::Result<Vec<u8>> {
    let name = command.get_program().to_string_lossy().into_owned();
    let output = output(command, limit)?;
    if !output.status.success() {
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        // Progress and remarks come first, the reason last.
        let last = text.lines().rev().find(|line| !line.trim().is_empty());
        match last {
            Some(reason) => bail!("{}", reason.trim_start_matches("hull: ")),
            None => bail!("{name} ended without a word: {}", output.status),
        }
    }
    Ok(output.stdout)
}

/// Runs it to its end, and gives what it printed, whatever its status is.
///
/// # Errors
/// It cannot be started, or it was given up.
pub fn output(command: &mut Command, limit: Option<Duration>) -> anyhow::Result<Output> {
    let name = command.get_program().to_string_lossy().into_owned();
    // Files in memory: no pipe that is full, and nobody who keeps it open.
    let (mut stdout, mut stderr) = (file()?, file()?);
    command.stdin(Stdio::null()).stdout(stdout.try_clone()?).stderr(stderr.try_clone()?);
    let mut child = command.process_group(0).spawn().with_context(|| format!("start {name}"))?;
    let Some(status) = wait(&mut child, limit)? else {
        bail!("{name} was given up after {} s", limit.unwrap_or_default().as_secs());
    };
    Ok(Output { status, stdout: content(&mut stdout)?, stderr: content(&mut stderr)? })
}

/// Waits for a process that leads its group. `None`: it was killed, with its group, after `limit`.
pub(super) fn wait(child: &mut Child, limit: Option<Duration>) -> anyhow::Result<Option<ExitStatus>> {
    let Some(limit) = limit else { return Ok(Some(child.wait()?)) };
    let pid = Pid::from_child(child);
    let pidfd = pidfd_open(pid, PidfdFlags::empty()).context("pidfd_open")?;
    let ends_within = |limit: Duration| -> anyhow::Result<bool> {
        let timeout = Timespec::try_from(limit).context("deadline")?;
        Ok(poll(&mut [PollFd::new(&pidfd, PollFlags::IN)], Some(&timeout)).context("poll")? > 0)
    };
    if ends_within(limit)? {
        return Ok(Some(child.wait()?));
    }
    kill_process_group(pid, Signal::KILL).context("kill")?;
    if ends_within(GRACE)? {
        child.wait()?;
    }
    Ok(None)
}

fn file() -> anyhow::Result<File> {
    Ok(memfd_create("output", MemfdFlags::CLOEXEC).context("memfd_create")?.into())
}

fn content(file: &mut File) -> anyhow::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    file.rewind()?;
    file.take(MAX_OUTPUT).read_to_end(&mut bytes)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_words_are_the_reason() {
        for (script, expected) in [
            ("exit 0", ""),
            ("echo one >&2; echo hull: two >&2; echo >&2; exit 1", "two"),
            ("exit 3", "sh ended without a word: exit status: 3"),
        ] {
            let result = printed(Command::new("sh").args(["-c", script]), None);
            assert_eq!(result.err().map(|error| error.to_string()).unwrap_or_default(), expected, "{script}");
        }
        assert_eq!(printed(Command::new("sh").args(["-c", "echo a; echo b >&2"]), None).unwrap(), b"a\n");
        assert!(run(&mut Command::new("/no/such"), None).unwrap_err().to_string().contains("start /no/such"));
    }

    #[test]
    fn what_does_not_end_is_given_up_with_all_it_started() {
        let begun = std::time::Instant::now();
        let limit = Some(Duration::from_millis(200));
        let error = run(Command::new("sh").args(["-c", "sleep 60 | sleep 60"]), limit).unwrap_err();
        assert_eq!(error.to_string(), "sh was given up after 0 s");
        assert!(begun.elapsed() < Duration::from_secs(20));
        let printed = output(Command::new("sh").args(["-c", "echo a; echo b >&2; exit 5"]), Some(SHORT)).unwrap();
        assert_eq!((printed.stdout.as_slice(), printed.stderr.as_slice()), (&b"a\n"[..], &b"b\n"[..]));
        assert_eq!(printed.status.code(), Some(5));
    }
}
