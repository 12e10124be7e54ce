//! `hull logs`: asks for records of one or several services and shows them. A client that follows outlives a restart of
//! the daemon: it asks again for what comes behind the last record it has of each service.

use crate::arguments::Logs;
use crate::client::Client;
use crate::when::When;
use anyhow::{Context, Result};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write, stderr, stdout};
use std::thread::sleep;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// A daemon that is restarted answers again within a second; one that does not for this long will not.
const GONE: Duration = Duration::from_secs(60);
const RETRY: Duration = Duration::from_millis(200);

/// One line of the answer.
#[derive(Debug, Deserialize)]
struct Record {
    service: String,
    time: String,
    stream: String,
    log: String,
}

/// Shows the logs until their end, or for ever with `follow`.
pub(crate) fn show(client: &Client, logs: &Logs) -> Result<()> {
    let begin = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let mut last = BTreeMap::new();
    let mut printer = Printer::new(logs);
    let mut answered = Instant::now();
    loop {
        match client.request("GET", &path(logs, begin, &last), None, false) {
            Ok(response) => {
                answered = Instant::now();
                let end = print(BufReader::new(response), &mut printer, &mut last)?;
                match end {
                    Err(error) if !logs.follow => return Err(error).context("the log is cut short"),
                    Ok(()) if !logs.follow => return Ok(()),
                    _ => {}
                }
            }
            Err(error) if last.is_empty() && !printer.used || answered.elapsed() > GONE => return Err(error),
            Err(_) => {}
        }
        printer.used = true;
        sleep(RETRY);
    }
}

/// Shows records until the connection ends; the inner result says whether it ended well.
fn print(
    mut answer: impl BufRead,
    printer: &mut Printer,
    last: &mut BTreeMap<String, String>,
) -> Result<std::io::Result<()>> {
    let mut line = Vec::new();
    loop {
        line.clear();
        if let Err(error) = answer.read_until(b'\n', &mut line) {
            return Ok(Err(error));
        }
        if !line.ends_with(b"\n") {
            return Ok(Ok(()));
        }
        let record: Record = serde_json::from_slice(&line)
            .context("the answer is not understood: client and daemon are of different versions?")?;
        printer.show(&record, &mut stdout(), &mut stderr())?;
        last.insert(record.service, record.time);
    }
}

/// The request, given when the first one was made and the times of the records seen since.
fn path(logs: &Logs, begin: Duration, last: &BTreeMap<String, String>) -> String {
    let mut query = Vec::new();
    let now = begin.as_secs();
    let time = |when: &When| match when {
        When::At(text) => text.replace('+', "%2B"),
        When::Ago(seconds) => now.saturating_sub(*seconds).to_string(),
    };
    if !logs.services.is_empty() {
        query.push(format!("services={}", logs.services.join(",")));
    }
    if logs.follow {
        query.push("follow=1".into());
    }
    match (logs.tail, last.is_empty()) {
        (Some(lines), true) => query.push(format!("tail={lines}")),
        // The last lines of then are not the last lines of now: what came since is wanted, all of it.
        (Some(_), false) => query.push(format!("since={now}.{:09}", begin.subsec_nanos())),
        (None, _) => query.extend(logs.since.iter().map(|when| format!("since={}", time(when)))),
    }
    if let (Some(when), Some(_), true) = (&logs.since, logs.tail, last.is_empty()) {
        query.push(format!("since={}", time(when)));
    }
    query.extend(logs.until.iter().map(|when| format!("until={}", time(when))));
    query.extend(logs.priority.map(|priority| format!("priority={priority}")));
    query.extend(logs.boot.iter().map(|boot| format!("boot={boot}")));
    if !last.is_empty() {
        let after: Vec<String> = last.iter().map(|(service, time)| format!("{service}@{time}")).collect();
        query.push(format!("after={}", after.join(",")));
    }
    format!("/hull/logs?{}", query.join("&"))
}

/// Puts records on the screen.
#[derive(Debug)]
struct Printer {
    timestamps: bool,
    /// Streams of a single service stay apart, as `docker logs` has it; several are one list.
    single: bool,
    /// The service and stream whose line has not ended.
    inside: Option<(String, String)>,
    /// A connection was made.
    used: bool,
}

impl Printer {
    fn new(logs: &Logs) -> Self {
        Self { timestamps: logs.timestamps, single: logs.services.len() == 1, inside: None, used: false }
    }

    fn show(&mut self, record: &Record, out: &mut impl Write, err: &mut impl Write) -> std::io::Result<()> {
        let sink: &mut dyn Write = if self.single && record.stream == "stderr" { err } else { out };
        let key = (record.service.clone(), record.stream.clone());
        let continued = self.inside.as_ref() == Some(&key);
        if !continued {
            if self.inside.is_some() && !self.single {
                sink.write_all(b"\n")?;
            }
            if self.timestamps {
                write!(sink, "{} ", record.time)?;
            }
            if !self.single {
                write!(sink, "{}: ", record.service)?;
            }
        }
        sink.write_all(record.log.as_bytes())?;
        self.inside = (!record.log.ends_with('\n')).then_some(key);
        sink.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests() {
        let begin = Duration::new(1000, 5);
        let services = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        let logs = |names| Logs { services: services(names), ..Logs::default() };
        let none = BTreeMap::new();
        for (options, expected) in [
            (logs(&[]), ""),
            (logs(&["a", "b"]), "services=a,b"),
            (Logs { follow: true, tail: Some(3), ..logs(&["a"]) }, "services=a&follow=1&tail=3"),
            (Logs { tail: Some(3), since: Some(When::Ago(60)), ..logs(&[]) }, "tail=3&since=940"),
            (Logs { until: Some(When::At("5".into())), ..logs(&[]) }, "until=5"),
            (
                Logs { since: Some(When::At("2026-01-31T12:00:00+01:00".into())), ..logs(&[]) },
                "since=2026-01-31T12:00:00%2B01:00",
            ),
            (Logs { priority: Some(3), boot: Some("-1".into()), ..logs(&[]) }, "priority=3&boot=-1"),
        ] {
            assert_eq!(path(&options, begin, &none), format!("/hull/logs?{expected}"));
        }
        let last = BTreeMap::from([("a".into(), "1970-01-01T00:00:01Z".into()), ("b".into(), "T".into())]);
        let options = Logs { follow: true, tail: Some(3), ..logs(&[]) };
        assert_eq!(
            path(&options, begin, &last),
            "/hull/logs?follow=1&since=1000.000000005&after=a@1970-01-01T00:00:01Z,b@T"
        );
    }

    #[test]
    fn several_services_are_one_list_and_pieces_are_joined() {
        let record = |service: &str, stream: &str, log: &str| Record {
            service: service.into(),
            time: "T".into(),
            stream: stream.into(),
            log: log.into(),
        };
        let records = [
            record("a", "stdout", "one\n"),
            record("a", "stdout", "be"),
            record("a", "stdout", "gun\n"),
            record("b", "stderr", "cut"),
            record("a", "stdout", "end\n"),
        ];
        let shown = |options: &Logs| {
            let (mut printer, mut out, mut err) = (Printer::new(options), Vec::new(), Vec::new());
            records.iter().for_each(|record| printer.show(record, &mut out, &mut err).unwrap());
            (String::from_utf8(out).unwrap(), String::from_utf8(err).unwrap())
        };
        let merged = shown(&Logs { timestamps: true, ..Logs::default() });
        assert_eq!(merged, ("T a: one\nT a: begun\nT b: cut\nT a: end\n".into(), String::new()));
        let single = shown(&Logs { services: vec!["a".into()], ..Logs::default() });
        assert_eq!(single, ("one\nbegun\nend\n".into(), "cut".into()));
    }
}
