//! An answer of HTTP/1.1 (RFC 9112) on any stream. Heads are bounded; the body is a reader.

use std::fmt;
use std::io::{self, BufRead, BufReader, Error, ErrorKind, Read};

/// Bytes of a head and header lines in it; registries send long redirects.
const MAX_HEAD: u64 = 32 << 10;
const MAX_HEADERS: usize = 64;
/// Bytes of the line before a chunk.
const MAX_CHUNK_LINE: u64 = 128;

/// An answer; reading it reads the body.
pub struct Response<S = Box<dyn Read>> {
    /// Status code.
    pub status: u16,
    headers: Vec<(String, String)>,
    stream: BufReader<S>,
    framing: Framing,
}

/// How the body ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Framing {
    Length(u64),
    /// Bytes left of the current chunk; `None`: the next one's size comes first.
    Chunked(Option<u64>),
    Connection,
}

impl<S: Read> Response<S> {
    /// Reads the head.
    ///
    /// # Errors
    /// Those of the stream, and when this is no answer.
    pub fn of(mut stream: BufReader<S>) -> io::Result<Self> {
        let bytes = head(&mut stream)?;
        let mut space = [httparse::EMPTY_HEADER; MAX_HEADERS];
        let mut parsed = httparse::Response::new(&mut space);
        let fault = |error| Error::new(ErrorKind::InvalidData, format!("not an HTTP answer: {error}"));
        parsed.parse(&bytes).map_err(fault)?;
        let status = parsed.code.ok_or_else(|| invalid("no status"))?;
        let text = |header: &httparse::Header<'_>| {
            (header.name.to_ascii_lowercase(), String::from_utf8_lossy(header.value).trim().to_owned())
        };
        let headers: Vec<_> = parsed.headers.iter().map(text).collect();
        let mut response = Self { status, headers, stream, framing: Framing::Connection };
        response.framing = response.framing()?;
        Ok(response)
    }

    /// RFC 9112, section 6.3: some answers have no body, and chunked wins over a length.
    fn framing(&self) -> io::Result<Framing> {
        let length = self.header("content-length").map(|text| text.parse().map_err(|_| invalid("content-length")));
        match self.header("transfer-encoding") {
            _ if matches!(self.status, 204 | 304) => Ok(Framing::Length(0)),
            Some(coding) if coding.eq_ignore_ascii_case("chunked") => Ok(Framing::Chunked(None)),
            Some(_) => Err(invalid("transfer-encoding")),
            None => Ok(length.transpose()?.map_or(Framing::Connection, Framing::Length)),
        }
    }

    /// The first header of the name, which is in lower case.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// The stream behind the head, of a connection that became another protocol's.
    #[must_use]
    pub fn into_stream(self) -> BufReader<S> {
        self.stream
    }

    fn chunk(&mut self) -> io::Result<u64> {
        let mut line = Vec::new();
        (&mut self.stream).take(MAX_CHUNK_LINE).read_until(b'\n', &mut line)?;
        let text =
            std::str::from_utf8(&line).ok().filter(|text| text.ends_with('\n')).ok_or_else(|| invalid("chunk"))?;
        let digits = text.split(';').next().unwrap_or_default().trim();
        u64::from_str_radix(digits, 16).map_err(|_| invalid("chunk size"))
    }
}

fn head(stream: &mut BufReader<impl Read>) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    while !bytes.ends_with(b"\r\n\r\n") {
        let left = MAX_HEAD.saturating_sub(bytes.len() as u64);
        if stream.take(left).read_until(b'\n', &mut bytes)? == 0 {
            let what = match bytes.len() {
                0 => "the connection was closed without an answer",
                _ => "the answer's head is cut off or too long",
            };
            return Err(Error::new(ErrorKind::UnexpectedEof, what));
        }
    }
    Ok(bytes)
}

impl<S: Read> Read for Response<S> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        if self.framing == Framing::Chunked(None) {
            let size = self.chunk()?;
            self.framing = if size == 0 { Framing::Length(0) } else { Framing::Chunked(Some(size)) };
        }
        let left = match self.framing {
            Framing::Length(left) | Framing::Chunked(Some(left)) => left,
            Framing::Connection | Framing::Chunked(None) => u64::MAX,
        };
        let count = (&mut self.stream).take(left).read(buffer)?;
        let left = left - count as u64;
        match &mut self.framing {
            Framing::Connection | Framing::Length(0) => {}
            _ if count == 0 => return Err(Error::new(ErrorKind::UnexpectedEof, "the answer is cut off")),
            Framing::Length(bytes) => *bytes = left,
            Framing::Chunked(bytes) => {
                *bytes = (left > 0).then_some(left);
                if bytes.is_none() {
                    let mut end = [0; 2];
                    self.stream.read_exact(&mut end)?;
                }
            }
        }
        Ok(count)
    }
}

impl<S> fmt::Debug for Response<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Response").field("status", &self.status).field("framing", &self.framing).finish_non_exhaustive()
    }
}

fn invalid(what: &str) -> Error {
    Error::new(ErrorKind::InvalidData, format!("bad HTTP answer: {what}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(text: &str) -> io::Result<(u16, String)> {
        let mut response = Response::of(BufReader::new(text.as_bytes()))?;
        let mut body = String::new();
        response.read_to_string(&mut body)?;
        Ok((response.status, body))
    }

    #[test]
    fn bodies_end_in_three_ways() {
        for (text, status, body) in [
            ("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nabcd", 200, "ab"),
            (
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\nContent-Length: 1\r\n\r\n3\r\nabc\r\na;x=y\r\n0123456789\r\n0\r\n\r\n",
                200,
                "abc0123456789",
            ),
            ("HTTP/1.0 404 Not Found\r\n\r\nuntil the end", 404, "until the end"),
            ("HTTP/1.1 204 No Content\r\n\r\nwhat follows", 204, ""),
            ("HTTP/1.1 304 Not Modified\r\nContent-Length: 7\r\n\r\n", 304, ""),
        ] {
            assert_eq!(answer(text).unwrap(), (status, body.to_owned()), "{text}");
        }
    }

    #[test]
    fn faults() {
        let long = format!("HTTP/1.1 200 OK\r\n{}\r\n", "X: y\r\n".repeat(6000));
        for (text, expected) in [
            ("", "closed without an answer"),
            ("SSH-2.0-OpenSSH\r\n\r\n", "not an HTTP answer"),
            ("HTTP/1.1 200 OK\r\n", "cut off or too long"),
            (&long, "cut off or too long"),
            ("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nshort", "the answer is cut off"),
            ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab", "the answer is cut off"),
            ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", "chunk size"),
            ("HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n", "transfer-encoding"),
            ("HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n", "content-length"),
        ] {
            let error = answer(text).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        }
    }

    #[test]
    fn another_protocol_gets_what_came_with_the_head() {
        let text = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: tcp\r\n\r\nraw";
        let response = Response::of(BufReader::new(text.as_bytes())).unwrap();
        assert_eq!((response.status, response.into_stream().buffer()), (101, &b"raw"[..]));
    }
}
