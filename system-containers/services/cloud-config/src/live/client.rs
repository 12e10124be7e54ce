//! Asks the service `live-config`, which is started for it.

use super::machine::Hull;
use super::{Answer, Request, SOCKET};
use crate::paths::Paths;
use anyhow::{Context, bail, ensure};
use std::io::{BufRead, BufReader, ErrorKind, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant};

/// The service.
const SERVICE: &str = "live-config";
/// It is up by then, even on a busy machine.
const UP: Duration = Duration::from_secs(30);
const LOOK: Duration = Duration::from_millis(100);
/// Longer than services take to come up, one after the other.
const ANSWER: Duration = Duration::from_secs(900);

/// Has a request done and prints what is said; the exit status.
pub fn ask(paths: &Paths, request: Request) -> anyhow::Result<u8> {
    let begun = Instant::now();
    loop {
        let stream = connect(&paths.report.join(SOCKET), begun)?;
        stream.set_read_timeout(Some(ANSWER))?;
        // One that just ends takes nothing; the lines tell.
        writeln!(&stream, "{}", serde_json::to_string(&request)?).ok();
        let mut answered = false;
        for line in BufReader::new(&stream).lines().map_while(Result::ok) {
            answered = true;
            match serde_json::from_str(&line)? {
                Answer::Say(text) => println!("{text}"),
                Answer::End(status) => return Ok(status),
            }
        }
        ensure!(!answered && begun.elapsed() < UP, "the service {SERVICE} ended; see hull logs {SERVICE}");
    }
}

/// It ends by itself when it has nothing to do, perhaps just now.
fn connect(socket: &Path, begun: Instant) -> anyhow::Result<UnixStream> {
    let hull = Hull::default();
    loop {
        match UnixStream::connect(socket) {
            Ok(stream) => return Ok(stream),
            Err(error) if error.kind() == ErrorKind::PermissionDenied => bail!("only root may do that; try sudo"),
            Err(error) if begun.elapsed() > UP => return Err(error).context(format!("the service {SERVICE}")),
            Err(_) => hull.start(SERVICE)?,
        }
        std::thread::sleep(LOOK);
    }
}
