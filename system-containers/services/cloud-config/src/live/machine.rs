//! Does what a change asks for, through the system daemon: the command `hull`, and for the host name its API.

use super::effect::Step;
use crate::apply::program;
use anyhow::{Context, bail, ensure};
use serde_json::Value;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread::sleep;
use std::time::{Duration, Instant};

/// A service that was started again has to be ready by then; none has a longer `ready.timeout`. No command takes longer either.
const READY: Duration = Duration::from_secs(120);
/// And still be the same that much later: one that ends at once has been ready, too.
const STEADY: Duration = Duration::from_secs(2);
const LOOK: Duration = Duration::from_millis(200);
/// The daemon answers at once.
const ANSWER: Duration = Duration::from_secs(10);
/// Of an answer's head this much says how it went.
const STATUS_LINE: u64 = 64;

/// Whoever carries steps out; tests have one of their own.
pub trait Machine {
    /// Does one step; an error says which service did not come up, and why.
    fn carry_out(&mut self, step: Step) -> anyhow::Result<()>;
}

/// The machine this program runs on.
#[derive(Debug)]
pub struct Hull {
    /// The command.
    pub program: PathBuf,
    /// The daemon's socket.
    pub socket: PathBuf,
}

impl Default for Hull {
    fn default() -> Self {
        Self { program: crate::apply::HULL.into(), socket: "/run/hull/hull.sock".into() }
    }
}

impl Machine for Hull {
    fn carry_out(&mut self, step: Step) -> anyhow::Result<()> {
        match step {
            Step::HostName => post(&self.socket, "/hull/reload"),
            Step::Identity => self.run(&["exec", "console", "/usr/bin/cloud-config", "identity"]).map(drop),
            Step::Engine if self.is("docker", &["stopped", "failed"])? => Ok(()),
            Step::Engine => self.run(&["exec", "docker", "/usr/libexec/hull/engine-config", "reload"]).map(drop),
            Step::Time => self.restart("time"),
            Step::Syslog => self.restart("syslog"),
            Step::Network => self.restart("network"),
        }
    }
}

impl Hull {
    /// Starts a service unless it runs.
    pub fn start(&self, service: &str) -> anyhow::Result<()> {
        self.run(&["start", service]).map(drop)
    }

    /// What is down reads its files when it starts.
    fn is(&self, service: &str, states: &[&str]) -> anyhow::Result<bool> {
        Ok(self.state_of(service)?["state"].as_str().is_some_and(|state| states.contains(&state)))
    }

    fn restart(&self, service: &str) -> anyhow::Result<()> {
        // By hand: then it is not for this program to start it.
        if self.is(service, &["stopped"])? {
            return Ok(());
        }
        self.run(&["restart", service])?;
        let begun = Instant::now();
        let mut ready: Option<(Instant, Value)> = None;
        loop {
            let found = self.state_of(service)?;
            match found["state"].as_str() {
                Some("ready") => {
                    let same = ready.as_ref().filter(|(_, pid)| *pid == found["pid"]).map(|(since, _)| *since);
                    let since = same.unwrap_or_else(Instant::now);
                    if since.elapsed() >= STEADY {
                        return Ok(());
                    }
                    ready = Some((since, found["pid"].clone()));
                }
                Some("failed") => bail!("{service} does not come up: {}", why(&found)),
                _ => ready = None,
            }
            ensure!(begun.elapsed() < READY, "{service} is not ready after {} s: {}", READY.as_secs(), why(&found));
            sleep(LOOK);
        }
    }

    fn state_of(&self, service: &str) -> anyhow::Result<Value> {
        let list: Vec<Value> = serde_json::from_slice(&self.run(&["ps", "--json"])?).context("hull ps")?;
        let found = list.into_iter().find(|item| item["name"] == service);
        found.with_context(|| format!("this system has no service {service}"))
    }

    /// Its output.
    fn run(&self, arguments: &[&str]) -> anyhow::Result<Vec<u8>> {
        program::printed(Command::new(&self.program).args(arguments), Some(READY))
            .with_context(|| format!("hull {}", arguments.join(" ")))
    }
}

fn why(service: &Value) -> &str {
    service["last_error"].as_str().unwrap_or("see its log")
}

/// A request without a body; any answer but a success is an error.
fn post(socket: &Path, path: &str) -> anyhow::Result<()> {
    let mut stream = UnixStream::connect(socket).with_context(|| format!("connect to {}", socket.display()))?;
    stream.set_read_timeout(Some(ANSWER))?;
    write!(stream, "POST {path} HTTP/1.1\r\nHost: hull\r\nConnection: close\r\nContent-Length: 0\r\n\r\n")?;
    let mut answer = Vec::new();
    stream.take(STATUS_LINE).read_to_end(&mut answer).context("the system daemon does not answer")?;
    let answer = String::from_utf8_lossy(&answer);
    let status = answer.split(' ').nth(1).unwrap_or_default();
    ensure!(status.starts_with('2'), "the system daemon answers {path} with status {status}");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;
    use std::os::unix::net::UnixListener;

    /// A `hull` that notes its calls; `ps` answers with this state, one that a restart leads to.
    fn hull(directory: &Path, before: &str, after: &str) -> Hull {
        let program = directory.join("hull");
        let ps =
            |state: &str| format!(r#"[{{"name": "time", "state": "{state}", "pid": 7, "last_error": "no luck"}}]"#);
        let script = format!(
            "#!/bin/sh\ncd {}\nif [ \"$1\" = ps ]; then\n  if [ -e calls ]; then echo '{}'; else echo '{}'; fi\nelse\n  echo \"$@\" >> calls\n  [ \"$2\" != docker ] || {{ echo 'hull: it is gone' >&2; exit 1; }}\nfi\n",
            directory.display(),
            ps(after),
            ps(before)
        );
        std::fs::write(&program, script).unwrap();
        std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
        Hull { program, socket: directory.join("socket") }
    }

    #[test]
    fn a_service_that_was_started_again_is_waited_for() {
        for (before, after, calls, error) in [
            ("ready", "ready", "restart time\n", None),
            ("ready", "failed", "restart time\n", Some("time does not come up: no luck")),
            // A change before this one may have broken it.
            ("failed", "ready", "restart time\n", None),
            ("stopped", "stopped", "", None),
        ] {
            let directory = tempfile::tempdir().unwrap();
            let done = hull(directory.path(), before, after).carry_out(Step::Time);
            assert_eq!(done.err().map(|error| error.to_string()).as_deref(), error, "{before}, {after}");
            let found = std::fs::read_to_string(directory.path().join("calls")).unwrap_or_default();
            assert_eq!(found, calls, "{before}, {after}");
        }
        let directory = tempfile::tempdir().unwrap();
        let error = hull(directory.path(), "ready", "ready").carry_out(Step::Syslog).unwrap_err();
        assert_eq!(error.to_string(), "this system has no service syslog");
        let error = hull(directory.path(), "ready", "ready").start("docker").unwrap_err();
        assert_eq!(format!("{error:#}"), "hull start docker: it is gone");
    }

    #[test]
    fn the_daemon_is_asked_on_its_socket() {
        let directory = tempfile::tempdir().unwrap();
        let mut hull = hull(directory.path(), "ready", "ready");
        assert!(hull.carry_out(Step::HostName).is_err());
        let listener = UnixListener::bind(&hull.socket).unwrap();
        let server = std::thread::spawn(move || {
            ["204 No Content", "501 Not Implemented"].map(|status| {
                let (mut stream, _) = listener.accept().unwrap();
                let mut head = String::new();
                while !head.ends_with("\r\n\r\n") {
                    let mut byte = [0];
                    stream.read_exact(&mut byte).unwrap();
                    head.push(char::from(byte[0]));
                }
                write!(stream, "HTTP/1.1 {status}\r\n\r\n").unwrap();
                head.lines().next().unwrap_or_default().to_owned()
            })
        });
        hull.carry_out(Step::HostName).unwrap();
        assert!(hull.carry_out(Step::HostName).unwrap_err().to_string().contains("status 501"));
        assert_eq!(server.join().unwrap(), ["POST /hull/reload HTTP/1.1"; 2]);
    }
}
