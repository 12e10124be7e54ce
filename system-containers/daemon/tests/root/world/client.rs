//! The smallest HTTP client that can check the API: one request a connection, chunked answers, hijacked streams.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;

/// An answer.
#[derive(Debug)]
pub(crate) struct Answer {
    /// HTTP status.
    pub(crate) status: u16,
    /// Header lines in lower case.
    pub(crate) head: String,
    /// Body, chunks joined.
    pub(crate) body: String,
    /// Body as it came.
    pub(crate) bytes: Vec<u8>,
}

fn ask(
    socket: &Path,
    method: &str,
    path: &str,
    headers: &str,
    body: &[u8],
) -> io::Result<(u16, String, BufReader<UnixStream>)> {
    let mut stream = UnixStream::connect(socket)?;
    stream.set_read_timeout(Some(super::DEADLINE))?;
    let length = body.len();
    write!(stream, "{method} {path} HTTP/1.1\r\nHost: x\r\n{headers}Content-Length: {length}\r\n\r\n")?;
    stream.write_all(body)?;
    let mut reader = BufReader::new(stream);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if reader.read_line(&mut head)? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
    let status = head.split(' ').nth(1).and_then(|text| text.parse().ok()).unwrap_or(0);
    Ok((status, head.to_ascii_lowercase(), reader))
}

/// Sends a request and reads the whole answer.
pub(crate) fn request(socket: &Path, method: &str, path: &str, body: impl AsRef<[u8]>) -> io::Result<Answer> {
    let (status, head, mut reader) = ask(socket, method, path, "Connection: close\r\n", body.as_ref())?;
    let mut bytes = Vec::new();
    reader.read_to_end(&mut bytes)?;
    if head.contains("transfer-encoding: chunked") {
        bytes = join_chunks(&bytes);
    }
    Ok(Answer { status, head, body: String::from_utf8_lossy(&bytes).into_owned(), bytes })
}

fn join_chunks(mut bytes: &[u8]) -> Vec<u8> {
    let mut joined = Vec::new();
    while let Some(end) = bytes.windows(2).position(|pair| pair == b"\r\n") {
        let size = usize::from_str_radix(std::str::from_utf8(&bytes[..end]).unwrap(), 16).unwrap();
        joined.extend(&bytes[end + 2..end + 2 + size]);
        bytes = &bytes[end + 4 + size..];
    }
    joined
}

/// Sends a request that takes over the connection.
pub(crate) fn hijack(socket: &Path, path: &str, body: &str) -> io::Result<BufReader<UnixStream>> {
    let (status, head, reader) = ask(socket, "POST", path, "Connection: Upgrade\r\nUpgrade: tcp\r\n", body.as_bytes())?;
    if status == 101 { Ok(reader) } else { Err(io::Error::other(head)) }
}

/// Payloads of multiplexed frames, by stream number.
pub(crate) fn frames(mut bytes: &[u8]) -> Vec<(u8, String)> {
    let mut frames = Vec::new();
    while bytes.len() >= 8 {
        let length = usize::try_from(u32::from_be_bytes(bytes[4..8].try_into().unwrap())).unwrap();
        frames.push((bytes[0], String::from_utf8_lossy(&bytes[8..8 + length]).into_owned()));
        bytes = &bytes[8 + length..];
    }
    assert!(bytes.is_empty(), "a frame is cut short");
    frames
}
