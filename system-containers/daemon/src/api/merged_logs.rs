//! `GET /hull/logs`: records of several services by time, one JSON object a line:
//! `{"service":"a","boot":"…","time":"…","stream":"stdout","priority":6,"log":"text\n"}`.
//!
//! | parameter | |
//! |---|---|
//! | `services` | names with commas between; missing: all that have a log |
//! | `since`, `until` | seconds since 1970 or RFC 3339, both included |
//! | `priority` | 0 to 7: only records as severe as this, or more |
//! | `boot` | 0 is this boot, -1 the one before it, or a boot's id |
//! | `tail` | the last so many of what matches |
//! | `follow` | go on until the client leaves |
//! | `after` | `name@time` with commas between: of that service only what is later; a client that lost its connection names the last record it has of each |

use super::body::{self, Answer, Body};
use super::containers;
use super::error::ApiError;
use super::log_feed::{self, Records};
use super::query::Query;
use crate::blocking::blocking;
use crate::clock::WallTime;
use crate::lifecycle::System;
use crate::log_store::merge::Found;
use crate::log_store::reader::Query as LogQuery;
use crate::log_store::{BootId, Merge, Stream, boots};
use hyper::StatusCode;
use hyper::body::Bytes;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::Path;
use std::rc::Rc;
use tokio::sync::mpsc;

/// Least severe priority.
const DEBUG: u8 = 7;

#[derive(Serialize)]
struct Line<'a> {
    service: &'a str,
    boot: Option<String>,
    time: String,
    stream: Stream,
    priority: u8,
    log: String,
}

/// Streams the records.
pub fn logs(system: &Rc<System>, query: &Query) -> Result<Answer, ApiError> {
    let wanted = read_query(query, system.logs.logs())?;
    let after = read_after(query)?;
    let names = services(system, query)?;
    let services = names
        .into_iter()
        .map(|name| {
            let since = wanted.since.max(after.get(&name).map(|time| time.plus_nanos(1)));
            (name, LogQuery { since, ..wanted })
        })
        .collect();
    let (pieces, body) = log_feed::channel();
    let (system, follow) = (Rc::clone(system), query.flag("follow"));
    tokio::task::spawn_local(async move {
        if let Err(error) = send(&system, services, follow, pieces).await {
            log::warn!("reading logs: {error}");
        }
    });
    Ok(body::with(StatusCode::OK, "application/x-ndjson", Body::Pieces(body)))
}

/// The services asked for; by default those that run here and those that left a log.
fn services(system: &System, query: &Query) -> Result<Vec<String>, ApiError> {
    if let Some(names) = query.get("services") {
        let named: Result<BTreeSet<String>, _> = names.split(',').map(|name| containers::find(system, name)).collect();
        return Ok(named?.into_iter().collect());
    }
    let mut names: BTreeSet<String> = system.units.borrow().keys().cloned().collect();
    let folders = std::fs::read_dir(system.logs.logs()).into_iter().flatten().flatten();
    names.extend(
        folders
            .filter(|folder| folder.file_type().is_ok_and(|kind| kind.is_dir()))
            .filter_map(|folder| folder.file_name().into_string().ok()),
    );
    Ok(names.into_iter().collect())
}

fn read_query(query: &Query, logs: &Path) -> Result<LogQuery, ApiError> {
    let priority: Option<u8> = query.number("priority")?;
    if priority.is_some_and(|priority| priority > DEBUG) {
        return Err(ApiError::bad(format!("priority: 0 to {DEBUG}")));
    }
    let boot = query.get("boot").map(|text| find_boot(text, logs)).transpose()?;
    Ok(LogQuery {
        tail: query.number("tail")?,
        since: query.time("since")?,
        until: query.time("until")?,
        stdout: true,
        stderr: true,
        priority,
        boot,
    })
}

fn find_boot(text: &str, logs: &Path) -> Result<BootId, ApiError> {
    if let Some(boot) = BootId::parse(text) {
        return Ok(boot);
    }
    let known = boots::list(logs).map_err(|error| ApiError::internal(format!("the list of boots: {error}")))?;
    let back = match text.parse::<i64>() {
        Ok(number @ ..=0) => usize::try_from(number.unsigned_abs()).unwrap_or(usize::MAX),
        _ => return Err(ApiError::bad(format!("boot: \"{text}\" is neither 0, -1, -2, … nor the id of a boot"))),
    };
    let found = known.len().checked_sub(back.saturating_add(1)).and_then(|index| known.get(index));
    found.copied().ok_or_else(|| ApiError::bad(format!("boot: {} boots are remembered, {text} is not", known.len())))
}

fn read_after(query: &Query) -> Result<BTreeMap<String, WallTime>, ApiError> {
    let fault = |part: &str| ApiError::bad(format!("after: \"{part}\" is not name@time"));
    let pair = |part: &str| {
        let (name, time) = part.split_once('@').ok_or_else(|| fault(part))?;
        Ok((name.to_owned(), WallTime::parse_query(time).ok_or_else(|| fault(part))?))
    };
    query.get("after").into_iter().flat_map(|text| text.split(',')).map(pair).collect()
}

async fn send(
    system: &Rc<System>,
    services: Vec<(String, LogQuery)>,
    follow: bool,
    pieces: mpsc::Sender<Bytes>,
) -> io::Result<()> {
    let mut written = system.logs.watch_all();
    let folder = system.logs.logs().to_owned();
    let mut merge = blocking("read logs", move || Merge::new(&folder, services)).await??;
    loop {
        written.mark_unchanged();
        let Some(read) = log_feed::send(merge, &pieces).await? else { return Ok(()) };
        merge = read;
        if !follow {
            return Ok(());
        }
        tokio::select! {
            _ = written.changed() => {}
            () = pieces.closed() => return Ok(()),
        }
    }
}

impl Records for Merge {
    fn append_next(&mut self, bytes: &mut Vec<u8>) -> io::Result<bool> {
        let Some(found) = self.advance()? else { return Ok(false) };
        bytes.extend(encode(&found));
        Ok(true)
    }
}

fn encode(found: &Found) -> Vec<u8> {
    let entry = &found.entry;
    let line = Line {
        service: &found.service,
        boot: found.boot.map(|boot| boot.to_string()),
        time: entry.time.rfc3339(),
        stream: entry.stream,
        priority: entry.priority,
        log: if entry.complete { format!("{}\n", entry.text) } else { entry.text.clone() },
    };
    let mut bytes = serde_json::to_vec(&line).unwrap_or_default();
    bytes.push(b'\n');
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queries() {
        let folder = tempfile::tempdir().unwrap();
        let ids = ["1", "2", "3"].map(|digit| BootId::parse(&digit.repeat(32)).unwrap());
        ids.iter().for_each(|id| boots::remember(folder.path(), *id).unwrap());
        let read = |text: &str| read_query(&Query::parse(text), folder.path());
        for (text, boot) in [("boot=0", 2), ("boot=-0", 2), ("boot=-1", 1), ("boot=-2", 0)] {
            assert_eq!(read(text).unwrap().boot, Some(ids[boot]), "{text}");
        }
        assert_eq!(read(&format!("boot={}", ids[1])).unwrap().boot, Some(ids[1]));
        let all = read("priority=3&tail=5&since=1970-01-01T00:00:02Z&until=9").unwrap();
        assert_eq!((all.priority, all.tail, all.boot), (Some(3), Some(5), None));
        assert_eq!((all.since.unwrap().seconds, all.until.unwrap().seconds), (2, 9));
        for bad in ["boot=-3", "boot=1", "boot=last", "priority=8", "priority=err", "tail=all", "since=yesterday"] {
            assert!(read(bad).is_err(), "{bad}");
        }
        let after = |text: &str| read_after(&Query::parse(text));
        let time = WallTime { seconds: 5, nanoseconds: 1 };
        assert_eq!(after("after=a@1,b@5.000000001").unwrap()["b"], time);
        assert!(after("").unwrap().is_empty());
        assert!(after("after=a").is_err() && after("after=a@b").is_err());
    }
}
