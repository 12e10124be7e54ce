//! Carries `output` out: opens what the streams of a stage go to, once for all its commands and scripts.

use crate::report::{Messages, Place};
use crate::userdata::output::{Sink, Streams};
use anyhow::Context;
use std::fs::OpenOptions;
use std::os::fd::OwnedFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// How long a command that reads the output may go on after the last of those that write it; longer only if one of
/// these left something running.
const DRAIN: Duration = Duration::from_secs(2);
const INTERVAL: Duration = Duration::from_millis(20);

/// The streams of a stage.
#[derive(Debug)]
pub struct Redirection {
    output: Option<OwnedFd>,
    error: Option<OwnedFd>,
    readers: Vec<Child>,
}

impl Redirection {
    /// Opens what a document asks for; a fault is reported, and the log has everything then.
    pub fn of(root: &Path, streams: Option<&Streams>, messages: &mut Messages) -> Option<Self> {
        match Self::open(root, streams?) {
            Ok(redirection) => Some(redirection),
            Err(error) => {
                messages.error(Place::default(), "output", format!("{error:#}"));
                None
            }
        }
    }

    /// Opens files and starts commands, below `root`.
    fn open(root: &Path, streams: &Streams) -> anyhow::Result<Self> {
        let mut readers = Vec::new();
        let mut open = |sink: &Option<Sink>| sink.as_ref().map(|sink| open(root, sink, &mut readers)).transpose();
        let (output, error) = (open(&streams.output)?, open(&streams.error)?);
        let error = match (error, &output) {
            (None, Some(output)) => Some(output.try_clone().context("output")?),
            (error, _) => error,
        };
        Ok(Self { output, error, readers })
    }

    /// Sets a command up to write there.
    pub(super) fn apply(&self, command: &mut Command) -> anyhow::Result<()> {
        if let Some(output) = &self.output {
            command.stdout(output.try_clone().context("output")?);
        }
        if let Some(error) = &self.error {
            command.stderr(error.try_clone().context("output")?);
        }
        Ok(())
    }

    /// Waits until everything is written.
    pub fn close(self) {
        let Self { output, error, mut readers } = self;
        drop((output, error));
        let end = Instant::now() + DRAIN;
        let is_running = |reader: &mut Child| matches!(reader.try_wait(), Ok(None));
        while readers.iter_mut().any(is_running) && Instant::now() < end {
            std::thread::sleep(INTERVAL);
        }
    }
}

fn open(root: &Path, sink: &Sink, readers: &mut Vec<Child>) -> anyhow::Result<OwnedFd> {
    let (path, append) = match sink {
        Sink::File(path) => (path, false),
        Sink::Append(path) => (path, true),
        Sink::Pipe(command) => {
            let mut reader = Command::new("/bin/sh");
            let mut child = reader.args(["-c", command]).stdin(Stdio::piped()).spawn().context("start /bin/sh")?;
            let input = child.stdin.take().context("no pipe")?;
            readers.push(child);
            return Ok(input.into());
        }
    };
    let path = root.join(path.trim_start_matches('/'));
    let directory = path.parent().map_or(Ok(()), std::fs::create_dir_all);
    let mut options = OpenOptions::new();
    options.write(true).create(true).append(append).truncate(!append).mode(0o640);
    directory.and_then(|()| options.open(&path)).map(OwnedFd::from).with_context(|| path.display().to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn print(redirection: &Redirection, text: &str) {
        let mut command = Command::new("sh");
        redirection.apply(command.args(["-c", &format!("echo {text}; echo error {text} >&2")])).unwrap();
        assert!(command.status().unwrap().success());
    }

    #[test]
    fn all_commands_of_a_stage_write_to_one_place() {
        let root = tempfile::tempdir().unwrap();
        let read = |name: &str| std::fs::read_to_string(root.path().join(name)).unwrap();
        let copy = root.path().join("copy").display().to_string();
        for (output, error, expected) in [
            (Sink::File("/log/a".into()), None, "one\nerror one\ntwo\nerror two\n"),
            (Sink::File("/log/a".into()), Some(Sink::File("/log/e".into())), "one\ntwo\n"),
            (Sink::Append("/log/a".into()), Some(Sink::File("/log/e".into())), "one\ntwo\none\ntwo\n"),
            (
                Sink::Pipe(format!("tee {copy} > {}/log/a", root.path().display())),
                None,
                "one\nerror one\ntwo\nerror two\n",
            ),
        ] {
            let redirection = Redirection::open(root.path(), &Streams { output: Some(output), error }).unwrap();
            print(&redirection, "one");
            print(&redirection, "two");
            redirection.close();
            assert_eq!(read("log/a"), expected);
        }
        assert_eq!(
            (read("log/e").as_str(), read("copy").as_str()),
            ("error one\nerror two\n", "one\nerror one\ntwo\nerror two\n")
        );
        let error = Redirection::open(root.path(), &Streams { output: Some(Sink::File("/log".into())), error: None });
        assert!(error.unwrap_err().to_string().contains("/log"));
    }
}
