//! A connection under [`Limits`]. It lies below TLS, so that handshakes and heads are bounded as bodies are.

use crate::limits::Limits;
use std::io::{self, Error, ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

/// A connection that watches the clock.
#[derive(Debug)]
pub(crate) struct Paced {
    stream: TcpStream,
    limits: Limits,
    start: Instant,
    window: Window,
}

/// What came in which time of waiting, since it was last judged.
#[derive(Debug, Clone, Copy, Default)]
struct Window {
    bytes: u64,
    waited: Duration,
}

impl Paced {
    pub(crate) fn new(stream: TcpStream, limits: Limits) -> io::Result<Self> {
        stream.set_write_timeout(Some(limits.read))?;
        Ok(Self { stream, limits, start: Instant::now(), window: Window::default() })
    }

    fn left(&self) -> io::Result<Duration> {
        let left = self.limits.answer.saturating_sub(self.start.elapsed());
        if left.is_zero() {
            let limit = self.limits.answer.as_secs();
            return Err(Error::new(ErrorKind::TimedOut, format!("the answer takes longer than {limit} seconds")));
        }
        Ok(left)
    }

    /// Accounts for one read.
    fn account(&mut self, bytes: usize, waited: Duration) -> io::Result<()> {
        let Some(rate) = self.limits.rate else { return Ok(()) };
        self.window.bytes += bytes as u64;
        self.window.waited += waited;
        if self.window.waited < rate.window {
            return Ok(());
        }
        let found = std::mem::take(&mut self.window);
        if found.bytes < rate.bytes {
            let text = format!(
                "the server is too slow: {} bytes in {} seconds, {} are the least",
                found.bytes,
                found.waited.as_secs(),
                rate.bytes
            );
            return Err(Error::new(ErrorKind::TimedOut, text));
        }
        Ok(())
    }
}

impl Read for Paced {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.stream.set_read_timeout(Some(self.limits.read.min(self.left()?)))?;
        let before = Instant::now();
        let count = match self.stream.read(buffer) {
            // What a socket says of a timeout: of silence, or of the deadline.
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                return Err(self.left().err().unwrap_or(Error::new(ErrorKind::TimedOut, "the server says nothing")));
            }
            result => result?,
        };
        self.account(count, before.elapsed())?;
        Ok(count)
    }
}

impl Write for Paced {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        self.left()?;
        self.stream.write(buffer)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.stream.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::Rate;
    use std::net::TcpListener;

    /// Sends a byte every `pause` until the other side is gone.
    fn dripping(pause: Duration) -> TcpStream {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let stream = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        std::thread::spawn(move || {
            let mut stream = listener.accept().unwrap().0;
            while stream.write_all(b"x").is_ok() {
                std::thread::sleep(pause);
            }
        });
        stream
    }

    fn error(limits: Limits) -> String {
        let mut stream = Paced::new(dripping(Duration::from_millis(5)), limits).unwrap();
        stream.read_to_end(&mut Vec::new()).unwrap_err().to_string()
    }

    #[test]
    fn drips_end_by_rate_or_deadline() {
        let rate = Some(Rate { bytes: 1 << 20, window: Duration::from_millis(50) });
        let error_of_rate = error(Limits { rate, ..Limits::default() });
        assert!(error_of_rate.contains("too slow"), "{error_of_rate}");
        let error_of_deadline = error(Limits { answer: Duration::from_millis(60), ..Limits::default() });
        assert!(error_of_deadline.contains("takes longer"), "{error_of_deadline}");
    }

    #[test]
    fn a_server_that_is_fast_enough_is_not_bothered() {
        let rate = Some(Rate { bytes: 2, window: Duration::from_millis(50) });
        let mut stream = Paced::new(dripping(Duration::from_millis(1)), Limits { rate, ..Limits::default() }).unwrap();
        stream.read_exact(&mut [0; 100]).unwrap();
    }
}
