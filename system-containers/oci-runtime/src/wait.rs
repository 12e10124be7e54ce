//! In the foreground: passes signals and, with a terminal, input and output on until the process has ended.

use anyhow::{Context, Result};
use hull_runtime::Started;
use nix::sys::signal::SigSet;
use nix::sys::signalfd::{SfdFlags, SignalFd};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::{Errno, read, retry_on_intr, write};
use rustix::process::{WaitId, WaitIdOptions, waitid};
use rustix::termios::{OptionalActions, Termios, isatty, tcgetattr, tcgetwinsize, tcsetattr, tcsetwinsize};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// Added to the number of the signal that ended a process, as shells have it.
const BY_SIGNAL: i32 = 128;

const CHUNK: usize = 16 * 1024;

/// All signals, blocked and readable.
#[derive(Debug)]
pub(crate) struct Signals(SignalFd);

impl Signals {
    pub(crate) fn block() -> Result<Self> {
        let all = SigSet::all();
        all.thread_block()?;
        Ok(Self(SignalFd::with_flags(&all, SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK)?))
    }
}

/// Returns the exit status once the process has ended.
pub(crate) fn attend(started: &Started, terminal: Option<&OwnedFd>, signals: Signals) -> Result<u8> {
    let (stdin, stdout) = (io::stdin(), io::stdout());
    let raw = terminal.map(|_| Raw::set(stdin.as_fd())).transpose()?.flatten();
    if let Some(terminal) = terminal {
        resize(stdin.as_fd(), terminal)?;
    }
    let (mut input, mut output) = (terminal, terminal);
    loop {
        let mut fds = vec![PollFd::new(&started.pidfd, PollFlags::IN), PollFd::new(&signals.0, PollFlags::IN)];
        fds.extend(output.map(|terminal| PollFd::new(terminal, PollFlags::IN)));
        let typed = fds.len();
        fds.extend(input.map(|_| PollFd::new(&stdin, PollFlags::IN)));
        retry_on_intr(|| poll(&mut fds, None))?;
        let ready: Vec<bool> = fds.iter().map(|fd| !fd.revents().is_empty()).collect();
        drop(fds);
        if ready[1] {
            pass_on(&signals, started, terminal)?;
        }
        match output.filter(|_| ready[2]) {
            Some(terminal) if !copy(terminal.as_fd(), stdout.as_fd())? => output = None,
            Some(_) => {}
            // Only when all it wrote has been read.
            None if ready[0] => break,
            None => {}
        }
        match input.filter(|_| ready.get(typed) == Some(&true)) {
            Some(terminal) if !copy(stdin.as_fd(), terminal.as_fd())? => input = None,
            _ => {}
        }
    }
    drop(raw);
    let status = waitid(WaitId::PidFd(started.pidfd.as_fd()), WaitIdOptions::EXITED)?.context("no exit status")?;
    let code = status.exit_status().or_else(|| Some(BY_SIGNAL + status.terminating_signal()?)).unwrap_or(BY_SIGNAL);
    Ok(u8::try_from(code).unwrap_or(u8::MAX))
}

fn pass_on(signals: &Signals, started: &Started, terminal: Option<&OwnedFd>) -> Result<()> {
    while let Some(signal) = signals.0.read_signal()? {
        let number = i32::try_from(signal.ssi_signo)?;
        match number {
            nix::libc::SIGCHLD | nix::libc::SIGPIPE => {}
            nix::libc::SIGWINCH if terminal.is_some() => {
                if let Some(terminal) = terminal {
                    resize(io::stdin().as_fd(), terminal)?;
                }
            }
            _ => match hull_sys::signal::send(started.pidfd.as_fd(), number) {
                Err(error) if error.raw_os_error() != Some(Errno::SRCH.raw_os_error()) => return Err(error.into()),
                _ => {}
            },
        }
    }
    Ok(())
}

fn resize(from: BorrowedFd<'_>, terminal: &OwnedFd) -> Result<()> {
    if isatty(from) {
        tcsetwinsize(terminal, tcgetwinsize(from)?)?;
    }
    Ok(())
}

/// Copies what is there; `false` at the end. `EIO` is how a terminal nobody has open any more ends.
fn copy(from: BorrowedFd<'_>, to: BorrowedFd<'_>) -> Result<bool> {
    let mut bytes = vec![0; CHUNK];
    let length = match retry_on_intr(|| read(from, &mut bytes[..])) {
        Ok(0) | Err(Errno::IO) => return Ok(false),
        read => read?,
    };
    let mut rest = &bytes[..length];
    while !rest.is_empty() {
        match retry_on_intr(|| write(to, rest)) {
            // Nobody reads any more.
            Err(Errno::PIPE | Errno::IO) => return Ok(false),
            written => rest = &rest[written?..],
        }
    }
    Ok(true)
}

/// The own terminal, passing every key on; as it was when dropped.
struct Raw<'a> {
    terminal: BorrowedFd<'a>,
    before: Termios,
}

impl<'a> Raw<'a> {
    fn set(terminal: BorrowedFd<'a>) -> Result<Option<Self>> {
        if !isatty(terminal) {
            return Ok(None);
        }
        let before = tcgetattr(terminal)?;
        let mut raw = before.clone();
        raw.make_raw();
        tcsetattr(terminal, OptionalActions::Now, &raw)?;
        Ok(Some(Self { terminal, before }))
    }
}

impl Drop for Raw<'_> {
    fn drop(&mut self) {
        if let Err(errno) = tcsetattr(self.terminal, OptionalActions::Now, &self.before) {
            crate::journal::warning(&format!("reset terminal: {errno}"));
        }
    }
}
