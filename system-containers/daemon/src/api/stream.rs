//! Bytes of hijacked connections.
//!
//! Without a terminal both streams share the connection, each piece behind an 8-byte header: stream number (1 standard
//! output, 2 standard error), three zero bytes, length (32 bits, big endian). With a terminal there are no headers.

use super::body::{self, Answer, Body};
use hyper::StatusCode;
use hyper::body::Bytes;
use hyper::header::{CONNECTION, HeaderValue, UPGRADE};
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::io::Errno;
use std::io;
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::net::unix::pipe::{Receiver, Sender};

/// Bytes read at once.
pub const PIECE: usize = 8 << 10;

/// Number of standard output in a frame.
pub const STDOUT: u8 = 1;
/// Number of standard error in a frame.
pub const STDERR: u8 = 2;

/// One frame.
pub fn frame(stream: u8, payload: &[u8]) -> Bytes {
    let mut bytes = Vec::with_capacity(8 + payload.len());
    bytes.extend([stream, 0, 0, 0]);
    // Pieces are cut far below 4 GiB.
    bytes.extend(u32::try_from(payload.len()).unwrap_or(0).to_be_bytes());
    bytes.extend_from_slice(payload);
    bytes.into()
}

/// The answer that hands the connection over.
pub fn upgraded(content_type: &'static str) -> Answer {
    let mut answer = body::with(StatusCode::SWITCHING_PROTOCOLS, content_type, Body::Whole(None));
    answer.headers_mut().insert(CONNECTION, HeaderValue::from_static("Upgrade"));
    answer.headers_mut().insert(UPGRADE, HeaderValue::from_static("tcp"));
    answer
}

/// Reads what nobody wants until the client closes its side.
pub async fn drain<R: AsyncRead + Unpin>(reader: &mut R) {
    let mut buffer = [0; PIECE];
    while let Ok(1..) = reader.read(&mut buffer).await {}
}

/// The end of a pipe, or a terminal, that is read.
#[derive(Debug)]
pub struct Source(Receiver);

impl Source {
    /// Makes it non-blocking.
    pub fn new(descriptor: OwnedFd) -> io::Result<Self> {
        rustix::io::ioctl_fionbio(&descriptor, true)?;
        // Unchecked, for a terminal is no pipe; reading is the same.
        Ok(Self(Receiver::from_owned_fd_unchecked(descriptor)?))
    }

    /// Reads a piece; 0 at the end, which a terminal whose last user is gone reports as EIO.
    pub async fn read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            self.0.readable().await?;
            match self.0.try_read(buffer) {
                Err(error) if error.raw_os_error() == Some(Errno::IO.raw_os_error()) => return Ok(0),
                Err(error) if is_passing(&error) => {}
                other => return other,
            }
        }
    }
}

/// The end of a pipe, or a terminal, that is written.
#[derive(Debug)]
pub struct Sink(Sender);

impl Sink {
    /// Makes it non-blocking.
    pub fn new(descriptor: OwnedFd) -> io::Result<Self> {
        rustix::io::ioctl_fionbio(&descriptor, true)?;
        Ok(Self(Sender::from_owned_fd_unchecked(descriptor)?))
    }

    /// Writes everything.
    pub async fn write_all(&self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            self.0.writable().await?;
            match self.0.try_write(bytes) {
                Ok(count) => bytes = &bytes[count..],
                Err(error) if is_passing(&error) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

impl AsFd for Sink {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

fn is_passing(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_have_dockers_header() {
        assert_eq!(&frame(STDERR, b"abc")[..], b"\x02\0\0\0\0\0\0\x03abc");
    }

    #[tokio::test]
    async fn pipes_are_read_to_their_end() {
        let (read_end, write_end) = rustix::pipe::pipe().unwrap();
        let (reader, writer) = (Source::new(read_end).unwrap(), Sink::new(write_end).unwrap());
        writer.write_all(b"hello").await.unwrap();
        drop(writer);
        let mut buffer = [0; PIECE];
        assert_eq!(reader.read(&mut buffer).await.unwrap(), 5);
        assert_eq!(reader.read(&mut buffer).await.unwrap(), 0);
    }
}
