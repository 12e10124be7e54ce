//! A blocking HTTP/1.1 client on a unix socket (RFC 9112): one request a connection.
//!
//! A body ends by `Content-Length`, by chunks or by the end of the connection; a `101` leaves the stream to the caller.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Error, ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;

/// Longest line of a head: the daemon's are short.
const LINE: u64 = 8 * 1024;
/// Most header lines.
const HEADERS: usize = 64;

/// How the body ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Framing {
    Length(u64),
    /// Bytes left of the current chunk; `None`: the next one's size comes first.
    Chunked(Option<u64>),
    Connection,
}

/// An answer: status and, by reading it, the body.
#[derive(Debug)]
pub(crate) struct Response {
    pub(crate) status: u16,
    framing: Framing,
    stream: BufReader<UnixStream>,
}

/// Sends a request with a file as its body. A server that answers before it has read all of it is listened to.
pub(crate) fn send(mut stream: UnixStream, path: &str, file: &mut File) -> io::Result<Response> {
    let length = file.metadata()?.len();
    let kind = "Connection: close\r\nContent-Type: application/x-tar";
    let head_of_it = format!("POST {path} HTTP/1.1\r\nHost: hull\r\n{kind}\r\nContent-Length: {length}\r\n\r\n");
    let sent = stream.write_all(head_of_it.as_bytes()).and_then(|()| io::copy(&mut file.take(length), &mut stream));
    match (sent, head(BufReader::new(stream))) {
        (Err(error), Err(_)) => Err(error),
        (_, answer) => answer,
    }
}

/// Sends a request; `upgrade` asks for the raw stream behind the answer's head.
pub(crate) fn request(
    stream: UnixStream,
    method: &str,
    path: &str,
    body: Option<&[u8]>,
    upgrade: bool,
) -> io::Result<Response> {
    let connection = if upgrade { "Connection: Upgrade\r\nUpgrade: tcp\r\n" } else { "Connection: close\r\n" };
    let body = body.unwrap_or_default();
    let mut message = format!("{method} {path} HTTP/1.1\r\nHost: hull\r\n{connection}").into_bytes();
    if method != "GET" {
        let kind = if body.is_empty() { "" } else { "Content-Type: application/json\r\n" };
        message.extend(format!("{kind}Content-Length: {}\r\n", body.len()).bytes());
    }
    message.extend(b"\r\n");
    message.extend(body);
    (&stream).write_all(&message)?;
    head(BufReader::new(stream))
}

fn head(mut stream: BufReader<UnixStream>) -> io::Result<Response> {
    let first = line(&mut stream)?;
    let status = first
        .strip_prefix("HTTP/1.")
        .and_then(|rest| rest.split(' ').nth(1))
        .and_then(|code| code.parse().ok())
        .ok_or_else(|| Error::new(ErrorKind::InvalidData, format!("not an HTTP answer: {first:?}")))?;
    let mut framing = Framing::Connection;
    for _ in 0..HEADERS {
        let header = line(&mut stream)?;
        if header.is_empty() {
            if matches!(status, 204 | 304) {
                framing = Framing::Length(0);
            }
            return Ok(Response { status, framing, stream });
        }
        let Some((name, value)) = header.split_once(':') else { continue };
        match (name.to_ascii_lowercase().as_str(), value.trim().to_ascii_lowercase()) {
            ("content-length", value) if framing == Framing::Connection => {
                framing = Framing::Length(value.parse().map_err(|_| invalid("content-length"))?);
            }
            // RFC 9112, section 6.3: chunked wins over a length.
            ("transfer-encoding", value) if value.ends_with("chunked") => framing = Framing::Chunked(None),
            _ => {}
        }
    }
    Err(invalid("too many headers"))
}

/// One line without its end; an end of the stream inside it is an error.
fn line(stream: &mut BufReader<UnixStream>) -> io::Result<String> {
    let mut bytes = Vec::new();
    stream.take(LINE).read_until(b'\n', &mut bytes)?;
    if bytes.pop() != Some(b'\n') {
        return Err(Error::new(ErrorKind::UnexpectedEof, "the daemon closed the connection"));
    }
    if bytes.last() == Some(&b'\r') {
        bytes.pop();
    }
    String::from_utf8(bytes).map_err(|_| invalid("not text"))
}

fn invalid(what: &str) -> Error {
    Error::new(ErrorKind::InvalidData, format!("bad HTTP answer: {what}"))
}

impl Response {
    /// The raw stream of an upgraded connection, with what of it has already arrived.
    pub(crate) fn upgraded(self) -> (Vec<u8>, UnixStream) {
        (self.stream.buffer().to_vec(), self.stream.into_inner())
    }
}

impl Read for Response {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        if self.framing == Framing::Chunked(None) {
            let size = line(&mut self.stream)?;
            let digits = size.split(';').next().unwrap_or_default().trim();
            let size = u64::from_str_radix(digits, 16).map_err(|_| invalid("chunk size"))?;
            self.framing = if size == 0 { Framing::Length(0) } else { Framing::Chunked(Some(size)) };
        }
        let left = match self.framing {
            Framing::Length(left) | Framing::Chunked(Some(left)) => left,
            Framing::Connection | Framing::Chunked(None) => u64::MAX,
        };
        let count = (&mut self.stream).take(left).read(buffer)?;
        let left = left - count as u64;
        match &mut self.framing {
            Framing::Connection => {}
            Framing::Length(0) => {}
            _ if count == 0 => return Err(Error::new(ErrorKind::UnexpectedEof, "the answer is cut off")),
            Framing::Length(bytes) => *bytes = left,
            Framing::Chunked(bytes) => {
                *bytes = (left > 0).then_some(left);
                if bytes.is_none() {
                    line(&mut self.stream)?;
                }
            }
        }
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(text: &'static str) -> io::Result<(u16, String)> {
        let (ours, mut theirs) = UnixStream::pair()?;
        let server = std::thread::spawn(move || {
            let mut request = [0; 1024];
            let length = theirs.read(&mut request).unwrap();
            theirs.write_all(text.as_bytes()).unwrap();
            String::from_utf8(request[..length].to_vec()).unwrap()
        });
        let result = request(ours, "POST", "/x", Some(b"{}"), false).and_then(|mut response| {
            let mut body = String::new();
            response.read_to_string(&mut body)?;
            Ok((response.status, body))
        });
        let sent = server.join().unwrap();
        assert!(sent.starts_with("POST /x HTTP/1.1\r\n") && sent.ends_with("Content-Length: 2\r\n\r\n{}"), "{sent}");
        result
    }

    #[test]
    fn bodies_end_in_three_ways() {
        for (text, status, body) in [
            ("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nabcd", 200, "ab"),
            (
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\na;x=y\r\n0123456789\r\n0\r\n\r\n",
                200,
                "abc0123456789",
            ),
            ("HTTP/1.0 404 Not Found\r\n\r\nuntil the end", 404, "until the end"),
            ("HTTP/1.1 204 No Content\r\n\r\n", 204, ""),
        ] {
            assert_eq!(answer(text).unwrap(), (status, body.to_owned()), "{text}");
        }
    }

    #[test]
    fn faults() {
        for text in [
            "",
            "SSH-2.0-OpenSSH\r\n\r\n",
            "HTTP/1.1 200 OK\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nshort",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
        ] {
            assert!(answer(text).is_err(), "{text}");
        }
    }
}
