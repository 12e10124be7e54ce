//! Runs a hook: the container's state on its standard input, within its time.

use crate::error::{StartError, Step};
use oci_spec::runtime::Hook;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{MemfdFlags, memfd_create};
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, pidfd_open};
use std::fs::File;
use std::io::{self, Read, Seek, Write};
use std::os::unix::process::CommandExt;
use std::process::{Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// Most of a hook's standard error that goes into the message.
const EXCERPT: u64 = 1024;

/// Runs the hooks of one kind in order; the first that fails ends it.
///
/// # Errors
/// [`Step::Hook`], the path naming kind, index, program and how it ended.
pub fn run_all(kind: &str, hooks: &[Hook], state: &str) -> Result<(), StartError> {
    hooks.iter().enumerate().try_for_each(|(index, hook)| {
        let failed = |how: String, errno| {
            StartError::at(Step::Hook, format!("{kind}[{index}] {} ({how})", hook.path().display()), errno)
        };
        match run(hook, state) {
            Ok((status, _)) if status.success() => Ok(()),
            Ok((status, said)) => Err(failed(format!("{status}{said}"), Errno::CANCELED)),
            Err(error) => Err(failed("not run".to_owned(), crate::container::of_io(&error))),
        }
    })
}

/// Runs one hook; `ETIMEDOUT` when it takes too long, and is killed.
fn run(hook: &Hook, state: &str) -> io::Result<(ExitStatus, String)> {
    // Memory, not pipes: neither side waits for the other while it runs.
    let mut said = File::from(memfd_create("hook", MemfdFlags::CLOEXEC)?);
    let mut stdin = File::from(memfd_create("state", MemfdFlags::CLOEXEC)?);
    stdin.write_all(state.as_bytes())?;
    stdin.rewind()?;
    let mut command = Command::new(hook.path());
    command.env_clear().stdin(stdin).stdout(Stdio::null()).stderr(said.try_clone()?);
    if let Some((name, rest)) = hook.args().as_deref().and_then(<[String]>::split_first) {
        command.arg0(name).args(rest);
    }
    for entry in hook.env().iter().flatten() {
        let (key, value) = entry.split_once('=').unwrap_or((entry, ""));
        command.env(key, value);
    }
    let mut child = command.spawn()?;
    let timeout = hook.timeout().and_then(|seconds| u64::try_from(seconds).ok()).map(Duration::from_secs);
    if let Some(timeout) = timeout {
        let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw).ok_or(Errno::SRCH)?;
        if !ends_within(pid, timeout)? {
            child.kill()?;
            child.wait()?;
            return Err(Errno::TIMEDOUT.into());
        }
    }
    let status = child.wait()?;
    let mut text = Vec::new();
    said.rewind()?;
    said.take(EXCERPT).read_to_end(&mut text)?;
    let text = String::from_utf8_lossy(&text);
    Ok((status, if text.trim().is_empty() { String::new() } else { format!(": {}", text.trim()) }))
}

fn ends_within(pid: Pid, timeout: Duration) -> io::Result<bool> {
    let pidfd = pidfd_open(pid, PidfdFlags::empty())?;
    let deadline = Instant::now() + timeout;
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        let left = Timespec::try_from(left).map_err(|_| Errno::INVAL)?;
        match poll(&mut [PollFd::new(&pidfd, PollFlags::IN)], Some(&left)) {
            Ok(ready) => return Ok(ready != 0),
            Err(Errno::INTR) => {}
            Err(errno) => return Err(errno.into()),
        }
    }
}
