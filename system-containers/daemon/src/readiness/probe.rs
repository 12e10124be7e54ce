//! Probes that need no process in the container: sockets and paths looked at through its root.
//!
//! `exec` probes are run by the supervisor, which owns processes.

use crate::lifecycle::process::Init;
use hull_service::validate::split_http;
use hull_sys::walk::walk;
use rustix::fs::{OFlags, ResolveFlags};
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::Path;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpStream, UnixStream};

/// Longest answer head in bytes that is read before the status line counts as missing.
const MAX_HEAD: usize = 512;

/// Opens `path` as the container sees it: links are resolved within its root, never in the host's.
pub fn in_root(init: &Init, path: &str) -> io::Result<OwnedFd> {
    Ok(walk(&init.root()?, Path::new(path), OFlags::PATH | OFlags::CLOEXEC, ResolveFlags::IN_ROOT)?)
}

/// Passes when the path exists.
pub fn path(init: &Init, path: &str) -> io::Result<()> {
    in_root(init, path).map(drop)
}

/// Passes when the socket accepts.
pub async fn unix(init: &Init, path: &str) -> io::Result<UnixStream> {
    let socket = in_root(init, path)?;
    UnixStream::connect(format!("/proc/self/fd/{}", socket.as_raw_fd())).await
}

/// Passes when the address accepts; the service shares the machine's network namespace.
pub async fn tcp(address: &str) -> io::Result<()> {
    TcpStream::connect(address).await.map(drop)
}

/// Passes when `SOCKET:/PATH` is answered with status 200.
pub async fn http_unix(init: &Init, text: &str) -> io::Result<()> {
    let (socket, request) = text.split_once(':').unwrap_or((text, "/"));
    answers(unix(init, socket).await?, request).await
}

/// Passes when `ADDRESS:PORT/PATH` is answered with status 200; reached as by [`tcp`].
pub async fn http(text: &str) -> io::Result<()> {
    let (address, request) = split_http(text).ok_or(io::ErrorKind::InvalidInput)?;
    answers(TcpStream::connect(address).await?, request).await
}

async fn answers(mut stream: impl AsyncRead + AsyncWrite + Unpin, request: &str) -> io::Result<()> {
    // HTTP/1.0: the peer closes, nothing is chunked.
    stream.write_all(format!("GET {request} HTTP/1.0\r\nHost: localhost\r\n\r\n").as_bytes()).await?;
    let mut head = Vec::new();
    while !head.contains(&b'\n') && head.len() < MAX_HEAD {
        if stream.read_buf(&mut head).await? == 0 {
            break;
        }
    }
    match status(&head) {
        Some(200) => Ok(()),
        Some(other) => Err(io::Error::other(format!("{request}: HTTP status {other}"))),
        None => Err(io::Error::other(format!("{request}: the answer is not HTTP"))),
    }
}

/// Status of the first line, RFC 9112 section 4.
fn status(head: &[u8]) -> Option<u16> {
    let line = head.split(|byte| *byte == b'\n').next()?;
    let mut words = std::str::from_utf8(line).ok()?.split(' ');
    words.next().filter(|version| version.starts_with("HTTP/1."))?;
    words.next()?.trim_end().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn status_lines() {
        for (text, expected) in [
            ("HTTP/1.1 200 OK\r\n", Some(200)),
            ("HTTP/1.0 503\r\n", Some(503)),
            ("SSH-2.0-x\r\n", None),
            ("", None),
            ("HTTP/1.1 \r\n", None),
        ] {
            assert_eq!(status(text.as_bytes()), expected, "{text:?}");
        }
    }

    #[tokio::test]
    async fn sockets_and_paths_of_a_process() {
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join("s");
        let name = socket.to_str().unwrap().to_owned();
        let pid = rustix::process::getpid();
        let pidfd = rustix::process::pidfd_open(pid, rustix::process::PidfdFlags::empty()).unwrap();
        let this = &Init::new(pid, pidfd);
        assert!(path(this, &name).is_err());
        let listener = tokio::net::UnixListener::bind(&socket).unwrap();
        path(this, &name).unwrap();
        unix(this, &name).await.unwrap();
        drop(listener.accept().await.unwrap());
        let answer = async {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = [0; 256];
            let length = stream.read(&mut request).await.unwrap();
            assert!(request[..length].starts_with(b"GET /_ping HTTP/1.0\r\n"));
            stream.write_all(b"HTTP/1.0 200 OK\r\n\r\n").await.unwrap();
        };
        let question = format!("{name}:/_ping");
        let (result, ()) = tokio::join!(http_unix(this, &question), answer);
        result.unwrap();

        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let question = format!("{}/live", listener.local_addr().unwrap());
        let answer = async {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = [0; 256];
            let length = stream.read(&mut request).await.unwrap();
            assert!(request[..length].starts_with(b"GET /live HTTP/1.0\r\n"));
            stream.write_all(b"HTTP/1.0 503 Busy\r\n\r\n").await.unwrap();
        };
        let (result, ()) = tokio::join!(http(&question), answer);
        assert_eq!(result.unwrap_err().to_string(), "/live: HTTP status 503");
    }
}
