//! `hull logs`, and the multiplexed stream format of the Docker Engine API:
//!
//! ```text
//! ┌────────────┬─────────┬────────────────────┬─────────┐
//! │ 1 out 2 err│ 0  0  0 │ length, big endian │ payload │
//! └────────────┴─────────┴────────────────────┴─────────┘
//!      1 byte     3 bytes        4 bytes
//! ```

use crate::arguments::{Logs, Since};
use crate::client::Client;
use anyhow::Result;
use std::io::{self, Read, Write, stderr, stdout};
use std::time::{SystemTime, UNIX_EPOCH};

const HEADER: usize = 8;
const STDERR: u8 = 2;

/// Shows the log until its end, or for ever with `follow`.
pub(crate) fn show(client: &Client, logs: &Logs) -> Result<()> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |now| now.as_secs());
    let mut response = client.request("GET", &path(logs, now), None, false)?;
    let mut streams = Streams::default();
    let mut buffer = [0; 16 * 1024];
    loop {
        let count = response.read(&mut buffer)?;
        if count == 0 {
            return Ok(());
        }
        streams.write(&buffer[..count], &mut stdout(), &mut stderr())?;
    }
}

fn path(logs: &Logs, now: u64) -> String {
    let mut path = format!("/containers/{}/logs?stdout=1&stderr=1", logs.service);
    if logs.follow {
        path += "&follow=1";
    }
    if logs.timestamps {
        path += "&timestamps=1";
    }
    if let Some(lines) = logs.tail {
        path += &format!("&tail={lines}");
    }
    if let Some(since) = logs.since {
        let time = match since {
            Since::Time(time) => time,
            Since::Ago(seconds) => now.saturating_sub(seconds),
        };
        path += &format!("&since={time}");
    }
    path
}

/// Takes the stream apart, in whatever pieces it comes.
#[derive(Debug, Default)]
pub(crate) struct Streams {
    header: Vec<u8>,
    /// Bytes left of the current payload.
    left: usize,
}

impl Streams {
    /// Passes payload on and flushes it.
    pub(crate) fn write(&mut self, mut data: &[u8], out: &mut impl Write, err: &mut impl Write) -> io::Result<()> {
        while !data.is_empty() {
            if self.left == 0 {
                let (part, rest) = data.split_at(data.len().min(HEADER - self.header.len()));
                self.header.extend(part);
                data = rest;
                if let [_, _, _, _, a, b, c, d] = self.header[..] {
                    self.left = u32::from_be_bytes([a, b, c, d]) as usize;
                    if self.left == 0 {
                        self.header.clear();
                    }
                }
                continue;
            }
            let (part, rest) = data.split_at(data.len().min(self.left));
            if self.header.first() == Some(&STDERR) {
                err.write_all(part)?;
            } else {
                out.write_all(part)?;
            }
            self.left -= part.len();
            if self.left == 0 {
                self.header.clear();
            }
            data = rest;
        }
        out.flush()?;
        err.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_come_apart_however_they_are_cut() {
        let stream = b"\x01\0\0\0\0\0\0\x03out\x02\0\0\0\0\0\0\x04oops\x01\0\0\0\0\0\0\0\x01\0\0\0\0\0\0\x01!";
        for size in 1..=stream.len() {
            let (mut streams, mut out, mut err) = (Streams::default(), Vec::new(), Vec::new());
            for piece in stream.chunks(size) {
                streams.write(piece, &mut out, &mut err).unwrap();
            }
            assert_eq!((out.as_slice(), err.as_slice()), (&b"out!"[..], &b"oops"[..]), "pieces of {size}");
        }
    }

    #[test]
    fn requests() {
        let logs = |follow, tail, since| Logs { service: "time".into(), follow, tail, since, timestamps: false };
        for (options, expected) in [
            (logs(false, None, None), "/containers/time/logs?stdout=1&stderr=1"),
            (logs(true, Some(3), None), "/containers/time/logs?stdout=1&stderr=1&follow=1&tail=3"),
            (logs(false, None, Some(Since::Ago(60))), "/containers/time/logs?stdout=1&stderr=1&since=940"),
            (logs(false, None, Some(Since::Time(5))), "/containers/time/logs?stdout=1&stderr=1&since=5"),
        ] {
            assert_eq!(path(&options, 1000), expected);
        }
    }
}
