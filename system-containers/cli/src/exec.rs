//! `hull exec`: create, start with a hijacked connection, copy both ways, exit status.

use crate::arguments::Exec;
use crate::client::Client;
use crate::http;
use crate::streams::Streams;
use crate::terminal::{self, Raw};
use anyhow::{Context, Result, bail};
use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use rustix::event::{PollFd, PollFlags, poll};
use serde_json::json;
use std::io::{ErrorKind, Read, Write, stderr, stdin, stdout};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::process::ExitCode;
use std::time::{Duration, Instant};

/// The stream ends a moment before the exit status is known.
const STATUS_WAIT: Duration = Duration::from_secs(5);

/// Runs the command and gives its exit status.
pub(crate) fn run(client: &Client, exec: &Exec) -> Result<ExitCode> {
    let raw = exec.tty.then(Raw::new).transpose()?;
    let size = if exec.tty { terminal::size() } else { None };
    let body = json!({
        "AttachStdin": exec.interactive,
        "AttachStdout": true,
        "AttachStderr": true,
        "Tty": exec.tty,
        "Cmd": exec.command,
        "ConsoleSize": size.map(|(rows, columns)| [rows, columns]),
        "Env": environment(exec.tty),
    });
    let created = client.post(&format!("/containers/{}/exec", exec.service), Some(&body))?;
    let id = created["Id"].as_str().context("the system daemon gave no exec id")?;
    let body = json!({ "Detach": false, "Tty": exec.tty, "ConsoleSize": size.map(|(rows, columns)| [rows, columns]) });
    let response = client.request("POST", &format!("/exec/{id}/start"), Some(&body), true)?;
    let (first, stream) = http::upgraded(response);
    if exec.tty {
        resize(client, id);
    }
    copy(client, id, exec, &first, &stream)?;
    drop(raw);
    exit_status(client, id)
}

/// What a program in the container should know of the terminal outside.
fn environment(tty: bool) -> Vec<String> {
    let term = std::env::var("TERM").ok().filter(|_| tty);
    term.map(|term| format!("TERM={term}")).into_iter().collect()
}

/// Copies until the other side ends.
fn copy(client: &Client, id: &str, exec: &Exec, first: &[u8], mut stream: &UnixStream) -> Result<()> {
    let mut mask = SigSet::empty();
    mask.add(Signal::SIGWINCH);
    mask.thread_block().context("cannot block signals")?;
    let signals = SignalFd::with_flags(&mask, SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC)
        .context("cannot make a signalfd")?;
    let mut output = Output { tty: exec.tty, streams: Streams::default() };
    output.write(first)?;
    let input = stdin();
    let mut input_open = exec.interactive;
    let mut buffer = [0; 16 * 1024];
    loop {
        let watched = if input_open { PollFlags::IN } else { PollFlags::empty() };
        let mut descriptors =
            [PollFd::new(stream, PollFlags::IN), PollFd::new(&signals, PollFlags::IN), PollFd::new(&input, watched)];
        // A closed input reports HUP for ever, so it is left out once it has ended.
        let count = if input_open { 3 } else { 2 };
        match poll(&mut descriptors[..count], None) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error).context("poll"),
        }
        let [from_daemon, from_signals, from_user] = descriptors.each_ref().map(|fd| !fd.revents().is_empty());
        if from_signals {
            while signals.read_signal().context("signalfd")?.is_some() {}
            if exec.tty {
                resize(client, id);
            }
        }
        if from_daemon {
            match stream.read(&mut buffer) {
                Ok(0) => return Ok(()),
                Ok(length) => output.write(&buffer[..length])?,
                Err(error) if error.kind() == ErrorKind::ConnectionReset => return Ok(()),
                Err(error) => return Err(error).context("the connection to the system daemon broke"),
            }
        }
        if from_user && input_open {
            // Past the standard library's own buffer, which poll knows nothing of.
            let length = rustix::io::read(&input, &mut buffer).context("cannot read standard input")?;
            // The command may have ended while this was typed: its exit status says so.
            let sent = length > 0 && stream.write_all(&buffer[..length]).is_ok();
            if !sent {
                input_open = false;
                stream.shutdown(Shutdown::Write).ok();
            }
        }
    }
}

struct Output {
    tty: bool,
    streams: Streams,
}

impl Output {
    fn write(&mut self, data: &[u8]) -> Result<()> {
        if self.tty {
            stdout().write_all(data)?;
            stdout().flush()?;
        } else {
            self.streams.write(data, &mut stdout(), &mut stderr())?;
        }
        Ok(())
    }
}

/// Tells the size; a program that has just ended has no terminal any more.
fn resize(client: &Client, id: &str) {
    if let Some((rows, columns)) = terminal::size() {
        client.post(&format!("/exec/{id}/resize?h={rows}&w={columns}"), None).ok();
    }
}

fn exit_status(client: &Client, id: &str) -> Result<ExitCode> {
    let end = Instant::now() + STATUS_WAIT;
    loop {
        let state = client.get(&format!("/exec/{id}/json"))?;
        if let Some(code) = state["ExitCode"].as_i64().filter(|_| state["Running"] != true) {
            return Ok(u8::try_from(code).map_or(ExitCode::FAILURE, ExitCode::from));
        }
        if Instant::now() > end {
            bail!("the connection ended, but the command still runs");
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}
