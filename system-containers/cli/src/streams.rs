//! The multiplexed stream format of the Docker Engine API:
//!
//! ```text
//! ┌────────────┬─────────┬────────────────────┬─────────┐
//! │ 1 out 2 err│ 0  0  0 │ length, big endian │ payload │
//! └────────────┴─────────┴────────────────────┴─────────┘
//!      1 byte     3 bytes        4 bytes
//! ```

use std::io::{self, Write};

const HEADER: usize = 8;
const STDERR: u8 = 2;

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
}
