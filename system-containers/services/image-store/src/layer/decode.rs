//! The compressions of layers, told by their first bytes; media types of real archives are not to be relied on.

use crate::section::Section;
use std::io::{self, BufReader, Cursor, ErrorKind, Read};

const GZIP: [u8; 2] = [0x1f, 0x8b];
const ZSTD: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];

/// The tar archive inside a layer.
pub(crate) fn decode(mut layer: Section) -> io::Result<Box<dyn Read>> {
    let mut first = Vec::new();
    layer.by_ref().take(ZSTD.len() as u64).read_to_end(&mut first)?;
    let is_gzip = first.starts_with(&GZIP);
    let is_zstd = first.starts_with(&ZSTD);
    let whole = BufReader::with_capacity(64 << 10, Cursor::new(first).chain(layer));
    Ok(match (is_gzip, is_zstd) {
        (true, _) => Box::new(flate2::bufread::MultiGzDecoder::new(whole)),
        (_, true) => Box::new(Frames { source: Some(whole), frame: None }),
        _ => Box::new(whole),
    })
}

/// All zstd frames of a stream; the decoder takes one. Its windows are bounded to 100 MiB.
struct Frames<R: Read> {
    source: Option<R>,
    frame: Option<Frame<R>>,
}

type Frame<R> = ruzstd::decoding::StreamingDecoder<R, ruzstd::decoding::FrameDecoder>;

impl<R: io::BufRead> Read for Frames<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        loop {
            if let Some(frame) = &mut self.frame {
                match frame.read(buffer)? {
                    0 => self.source = self.frame.take().map(Frame::into_inner),
                    count => return Ok(count),
                }
            }
            let Some(mut source) = self.source.take() else { return Ok(0) };
            if source.fill_buf()?.is_empty() {
                return Ok(0);
            }
            let frame =
                Frame::new(source).map_err(|error| io::Error::new(ErrorKind::InvalidData, error.to_string()))?;
            self.frame = Some(frame);
        }
    }
}

/// Fails once more than `left` bytes came: a small layer may hold gigabytes of zeros.
#[derive(Debug)]
pub(crate) struct Capped<R> {
    pub(crate) inner: R,
    pub(crate) left: u64,
}

impl<R: Read> Read for Capped<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.left = self.left.checked_sub(count as u64).ok_or_else(|| {
            io::Error::new(ErrorKind::InvalidData, "the layer unpacks to more bytes than an image may have")
        })?;
        Ok(count)
    }
}
