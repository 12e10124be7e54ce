//! `GET /containers/{id}/logs`.

use super::body::{self, Answer, Body};
use super::containers;
use super::error::ApiError;
use super::log_feed::{self, Records};
use super::query::Query;
use super::stream::{STDERR, STDOUT, frame};
use crate::blocking::blocking;
use crate::lifecycle::{Phase, System};
use crate::log_store::reader::Query as LogQuery;
use crate::log_store::{Entry, Reader, Stream};
use hyper::StatusCode;
use hyper::body::Bytes;
use std::io;
use std::path::PathBuf;
use std::rc::Rc;
use tokio::sync::mpsc;

/// Streams records; with `follow` until the service is down or the client is gone.
pub fn logs(system: &Rc<System>, id: &str, query: &Query) -> Result<Answer, ApiError> {
    let name = containers::find(system, id)?;
    let wanted = read_query(query)?;
    let (pieces, body) = log_feed::channel();
    let (follow, timestamps) = (query.flag("follow"), query.flag("timestamps"));
    let system = Rc::clone(system);
    tokio::task::spawn_local(async move {
        let folder = system.logs.folder(&name);
        if let Err(error) = send(&system, &name, folder, wanted, follow, timestamps, pieces).await {
            log::warn!("{name}: reading its log: {error}");
        }
    });
    Ok(body::with(StatusCode::OK, "application/vnd.docker.multiplexed-stream", Body::Pieces(body)))
}

/// Which records a request asks for.
pub fn read_query(query: &Query) -> Result<LogQuery, ApiError> {
    let tail = match query.get("tail") {
        None | Some("all") => None,
        Some(_) => query.number("tail")?,
    };
    let (stdout, stderr) = (query.flag("stdout"), query.flag("stderr"));
    if !stdout && !stderr {
        return Err(ApiError::bad("Bad parameters: you must choose at least one stream"));
    }
    Ok(LogQuery {
        tail,
        since: query.time("since")?,
        until: query.time("until")?,
        stdout,
        stderr,
        ..LogQuery::default()
    })
}

/// Sends frames of records; with `follow` until the service is down or nobody listens.
pub(super) async fn send(
    system: &Rc<System>,
    name: &str,
    folder: PathBuf,
    query: LogQuery,
    follow: bool,
    timestamps: bool,
    pieces: mpsc::Sender<Bytes>,
) -> io::Result<()> {
    let mut written = system.logs.watch(name);
    let mut changed = system.changed.subscribe();
    let mut lines =
        blocking("read log", move || Reader::new(folder, query).map(|reader| Lines { reader, timestamps })).await??;
    loop {
        written.mark_unchanged();
        // Asked before reading: what a service wrote before it went down is read below.
        let up = system
            .with(name, |unit| !matches!(unit.record.machine.phase, Phase::Stopped | Phase::Ended | Phase::Failed))
            .unwrap_or(false);
        let Some(read) = log_feed::send(lines, &pieces).await? else { return Ok(()) };
        lines = read;
        if !follow || !up {
            return Ok(());
        }
        tokio::select! {
            _ = written.changed() => {}
            _ = changed.changed() => {}
            () = pieces.closed() => return Ok(()),
        }
    }
}

struct Lines {
    reader: Reader,
    timestamps: bool,
}

impl Records for Lines {
    fn append_next(&mut self, bytes: &mut Vec<u8>) -> io::Result<bool> {
        let Some(entry) = self.reader.advance()? else { return Ok(false) };
        bytes.extend_from_slice(&encode(&entry, self.timestamps));
        Ok(true)
    }
}

fn encode(entry: &Entry, timestamps: bool) -> Bytes {
    let mut text = String::new();
    if timestamps {
        text += &entry.time.rfc3339();
        text.push(' ');
    }
    text += &entry.text;
    if entry.complete {
        text.push('\n');
    }
    let stream = match entry.stream {
        Stream::Stdout => STDOUT,
        Stream::Stderr => STDERR,
    };
    frame(stream, text.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::WallTime;

    #[test]
    fn queries_as_docker_sends_them() {
        let query = read_query(&Query::parse("follow=1&since=0&stderr=1&stdout=1&tail=5")).unwrap();
        assert_eq!((query.tail, query.since, query.stdout, query.stderr), (Some(5), None, true, true));
        assert_eq!(read_query(&Query::parse("stdout=1&tail=all")).unwrap().tail, None);
        for bad in ["tail=5", "stdout=1&tail=x", "stdout=1&since=yesterday"] {
            assert!(read_query(&Query::parse(bad)).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_line_with_its_time() {
        let time = WallTime { seconds: 0, nanoseconds: 1 };
        let entry = Entry { text: "a".into(), complete: true, stream: Stream::Stdout, time, priority: 6 };
        assert_eq!(&encode(&entry, true)[8..], b"1970-01-01T00:00:00.000000001Z a\n");
        assert_eq!(&encode(&entry, false)[..], b"\x01\0\0\0\0\0\0\x02a\n");
    }
}
