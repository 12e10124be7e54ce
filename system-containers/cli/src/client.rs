//! Requests of the system daemon's API; every error names what to do about it.

use crate::http::{self, Response};
use anyhow::{Context, Result, anyhow, bail};
use serde_json::Value;
use std::fmt::Write as _;
use std::fs::File;
use std::io::{BufRead, BufReader, ErrorKind, Read};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

/// More than any answer that is not a stream.
const BODY: u64 = 16 * 1024 * 1024;

/// The daemon behind a socket.
#[derive(Debug)]
pub(crate) struct Client {
    socket: PathBuf,
}

impl Client {
    pub(crate) fn new(socket: &Path) -> Self {
        Self { socket: socket.into() }
    }

    /// A JSON answer.
    pub(crate) fn get(&self, path: &str) -> Result<Value> {
        json(self.request("GET", path, None, false)?)
    }

    /// A JSON answer, or null where there is none.
    pub(crate) fn post(&self, path: &str, body: Option<&Value>) -> Result<Value> {
        json(self.request("POST", path, body, false)?)
    }

    /// Removes something.
    pub(crate) fn delete(&self, path: &str) -> Result<()> {
        self.request("DELETE", path, None, false).map(drop)
    }

    /// Sends a file.
    pub(crate) fn send(&self, path: &str, file: &Path) -> Result<Value> {
        let mut opened = File::open(file).with_context(|| file.display().to_string())?;
        let response = http::send(self.connect()?, path, &mut opened)
            .with_context(|| format!("{}: no proper answer from the system daemon", file.display()))?;
        if response.status < 400 { json(response) } else { Err(refused(response, path)) }
    }

    /// An answer of many lines of JSON: `see` gets each as it comes.
    pub(crate) fn lines(&self, path: &str, body: &Value, mut see: impl FnMut(Value) -> Result<()>) -> Result<()> {
        let response = self.request("POST", path, Some(body), false)?;
        for line in BufReader::new(response.take(BODY)).lines() {
            let line = line.context("answer of the system daemon")?;
            see(serde_json::from_str(&line).context("the answer is no JSON: client and daemon differ?")?)?;
        }
        Ok(())
    }

    /// The raw answer of a request that succeeded.
    pub(crate) fn request(&self, method: &str, path: &str, body: Option<&Value>, upgrade: bool) -> Result<Response> {
        let body = body.map(serde_json::to_vec).transpose()?;
        let response = http::request(self.connect()?, method, path, body.as_deref(), upgrade)
            .with_context(|| format!("{method} {path}: no proper answer from the system daemon"))?;
        if response.status < 400 { Ok(response) } else { Err(refused(response, path)) }
    }

    fn connect(&self) -> Result<UnixStream> {
        UnixStream::connect(&self.socket).map_err(|error| {
            let path = self.socket.display();
            match error.kind() {
                ErrorKind::PermissionDenied => anyhow!("{path} is root's; use sudo"),
                ErrorKind::NotFound => {
                    anyhow!("{path} does not exist; in a container without the system API there is none (--socket names another)")
                }
                ErrorKind::ConnectionRefused => {
                    anyhow!("the system daemon does not answer on {path}; it is restarted by itself, try again in a few seconds")
                }
                _ => anyhow!("cannot connect to {path}: {error}"),
            }
        })
    }
}

/// `{"message": "…"}` of a refused request.
fn refused(response: Response, path: &str) -> anyhow::Error {
    let status = response.status;
    let mut body = Vec::new();
    // What arrived says more than why the rest did not.
    response.take(BODY).read_to_end(&mut body).ok();
    let parsed: Option<Value> = serde_json::from_slice(&body).ok();
    let text = match parsed.as_ref().and_then(|value| value["message"].as_str()) {
        Some(message) => message.trim().to_owned(),
        None => String::from_utf8_lossy(&body).trim().to_owned(),
    };
    // These name the remedy themselves, and mean neither services nor sockets.
    let is_whole =
        ["/hull/mounts", "/hull/swaps", "/hull/rescan", "/hull/update"].iter().any(|start| path.starts_with(start));
    let remedy = match status {
        _ if is_whole => "",
        403 => "; this socket does not allow it",
        404 if !text.contains("hull service") => "; hull ps lists the services",
        _ => "",
    };
    if text.is_empty() { anyhow!("the system daemon answered {status}{remedy}") } else { anyhow!("{text}{remedy}") }
}

fn json(response: Response) -> Result<Value> {
    let mut body = Vec::new();
    response.take(BODY).read_to_end(&mut body).context("answer of the system daemon")?;
    if body.len() as u64 == BODY {
        bail!("the answer is longer than {BODY} bytes");
    }
    if body.iter().all(u8::is_ascii_whitespace) {
        return Ok(Value::Null);
    }
    serde_json::from_slice(&body).context("the answer is no JSON: client and daemon are of different versions?")
}

/// Both ends; works without the daemon.
pub(crate) fn versions(client: &Client) -> String {
    let mut text = format!("hull     {}\n", env!("CARGO_PKG_VERSION"));
    let daemon = match client.get("/version") {
        Ok(value) => format!(
            "{}, API {}",
            value["Version"].as_str().unwrap_or("unknown"),
            value["ApiVersion"].as_str().unwrap_or("unknown")
        ),
        Err(error) => format!("unknown: {error:#}"),
    };
    // Writing to a string cannot fail.
    writeln!(text, "daemon   {daemon}").ok();
    text
}
