//! The service `live-config`: takes requests on a socket one after another, and takes a change back when its time is over.
//!
//! It is started by the first request and ends when nothing waits. A service of its own, because what it does has to go
//! on when the session of whoever asked is cut off, the console starts again or the system daemon dies.

use super::job::{Job, ThisBoot};
use super::machine::{Hull, Machine};
use super::{Answer, Request, SOCKET, boot};
use crate::paths::Paths;
use anyhow::Context;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::time::Duration;

/// Without anything that waits, it stays this long for another request: seconds.
const LINGER: u64 = 5;
/// Whoever connects says at once what he wants, and reads.
const PATIENCE: Duration = Duration::from_secs(5);
const MAX_REQUEST: u64 = 4 << 10;

/// Runs until nothing waits any more.
pub fn run(paths: &Paths) -> anyhow::Result<()> {
    let listener = listen(&paths.report.join(SOCKET))?;
    let mut machine = Hull::default();
    let mut job = Job { paths, machine: &mut machine, boot: ThisBoot { id: boot::id(), now: seconds_since_boot } };
    loop {
        // Lines of that priority also reach the console of the machine.
        let left = job.tend(&mut |text| println!("<4>{text}"));
        if wait(&listener, left.unwrap_or(LINGER))? {
            let (stream, _) = listener.accept().context("accept")?;
            if let Err(error) = serve(&mut job, stream) {
                println!("<4>a request was not answered: {error:#}");
            }
        } else if left.is_none() {
            return Ok(());
        }
    }
}

fn listen(path: &Path) -> anyhow::Result<UnixListener> {
    // That of a run before this one; there is never more than one at a time.
    std::fs::remove_file(path).ok();
    let listener = UnixListener::bind(path).with_context(|| format!("listen on {}", path.display()))?;
    std::fs::set_permissions(path, PermissionsExt::from_mode(0o600))?;
    Ok(listener)
}

/// Whether somebody connects within so many seconds.
fn wait(listener: &UnixListener, seconds: u64) -> anyhow::Result<bool> {
    let timeout = Timespec { tv_sec: i64::try_from(seconds)?, tv_nsec: 0 };
    match poll(&mut [PollFd::new(listener, PollFlags::IN)], Some(&timeout)) {
        Err(Errno::INTR) => Ok(false),
        count => Ok(count.context("poll")? > 0),
    }
}

pub(super) fn serve<M: Machine>(job: &mut Job<'_, M>, stream: UnixStream) -> anyhow::Result<()> {
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    let mut line = String::new();
    BufReader::new(stream.try_clone()?.take(MAX_REQUEST)).read_line(&mut line).context("read")?;
    let request: Request = serde_json::from_str(&line).context("not a request")?;
    let answer = |answer: &Answer| {
        // Who asked may be gone: the work is done all the same.
        let text = serde_json::to_string(answer).unwrap_or_default();
        writeln!(&stream, "{text}").ok();
    };
    let mut say = |text: String| {
        println!("<6>{text}");
        answer(&Answer::Say(text));
    };
    let done = match request {
        Request::Apply { confirm_within } => job.apply(confirm_within, &mut say),
        Request::Confirm => job.confirm(&mut say),
        Request::Revert => job.revert(&mut say),
    };
    if let Err(error) = &done {
        say(format!("{error:#}"));
    }
    answer(&Answer::End(u8::from(done.is_err())));
    Ok(())
}

/// Time in suspension counts: a window is one of the person who waits.
fn seconds_since_boot() -> u64 {
    u64::try_from(rustix::time::clock_gettime(rustix::time::ClockId::Boottime).tv_sec).unwrap_or(0)
}
