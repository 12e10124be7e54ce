//! Which bytes of a disk lie where: non-overlapping extents, later ones over earlier ones; what no extent covers is zero.
//!
//! Data are never copied: an extent points into the base image, into a trace, or at bytes in memory.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

/// Where an extent's bytes are.
#[derive(Debug, Clone)]
pub enum Source {
    /// From a position in a file on.
    File(Arc<File>, u64),
    /// From an index on.
    Bytes(Arc<[u8]>, usize),
}

impl Source {
    /// The same bytes from `distance` on.
    pub fn after(&self, distance: u64) -> Self {
        match self {
            Self::File(file, at) => Self::File(Arc::clone(file), at + distance),
            // Extents of bytes are no longer than their bytes, so the distance fits.
            Self::Bytes(bytes, at) => Self::Bytes(Arc::clone(bytes), at + usize::try_from(distance).unwrap_or(0)),
        }
    }

    fn continues(&self, before: &Self, distance: u64) -> bool {
        match (before, self) {
            (Self::File(file, at), Self::File(next, position)) => Arc::ptr_eq(file, next) && at + distance == *position,
            _ => false,
        }
    }

    /// Fills `buffer` from here on.
    pub fn read(&self, buffer: &mut [u8]) -> io::Result<()> {
        match self {
            Self::File(file, at) => file.read_exact_at(buffer, *at),
            Self::Bytes(bytes, at) => {
                let bytes = bytes.get(*at..at + buffer.len()).ok_or(io::ErrorKind::UnexpectedEof)?;
                buffer.copy_from_slice(bytes);
                Ok(())
            }
        }
    }
}

/// A part of a range that was asked for.
#[derive(Debug, Clone)]
pub struct Piece {
    /// Bytes of the disk.
    pub range: Range<u64>,
    /// Where they are; zeros when nowhere.
    pub source: Option<Source>,
}

/// The map: start → (end, source).
#[derive(Debug, Clone, Default)]
pub struct Extents(BTreeMap<u64, (u64, Source)>);

impl Extents {
    /// Makes a range zero.
    pub fn clear(&mut self, range: Range<u64>) {
        if range.is_empty() {
            return;
        }
        if let Some((&start, (end, source))) = self.0.range_mut(..range.start).next_back() {
            let old = *end;
            if old > range.start {
                *end = range.start;
                if old > range.end {
                    let rest = source.after(range.end - start);
                    self.0.insert(range.end, (old, rest));
                }
            }
        }
        while let Some((&start, &(end, _))) = self.0.range(range.clone()).next() {
            if let Some((_, source)) = self.0.remove(&start)
                && end > range.end
            {
                self.0.insert(range.end, (end, source.after(range.end - start)));
            }
        }
    }

    /// Puts a source's bytes over a range.
    pub fn put(&mut self, range: Range<u64>, source: Source) {
        if range.is_empty() {
            return;
        }
        self.clear(range.clone());
        if let Some((&start, (end, before))) = self.0.range_mut(..range.start).next_back()
            && *end == range.start
            && source.continues(before, *end - start)
        {
            *end = range.end;
            return;
        }
        self.0.insert(range.start, (range.end, source));
    }

    /// What covers a range, in order and without gaps.
    pub fn pieces(&self, range: Range<u64>) -> Vec<Piece> {
        let mut pieces = Vec::new();
        let mut at = range.start;
        let before = self.0.range(..range.start).next_back();
        for (&start, (end, source)) in before.into_iter().chain(self.0.range(range.clone())) {
            let (from, to) = (start.max(at), (*end).min(range.end));
            if from >= to {
                continue;
            }
            if from > at {
                pieces.push(Piece { range: at..from, source: None });
            }
            pieces.push(Piece { range: from..to, source: Some(source.after(from - start)) });
            at = to;
        }
        if at < range.end {
            pieces.push(Piece { range: at..range.end, source: None });
        }
        pieces
    }
}

#[cfg(test)]
#[expect(clippy::cast_possible_truncation, reason = "numbers of these tests are small")]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const SIZE: usize = 64;

    proptest! {
        #[test]
        fn like_an_array(changes in prop::collection::vec((0..SIZE, 0..SIZE, any::<Option<u8>>()), 0..40), a in 0..SIZE, b in 0..SIZE) {
            let mut extents = Extents::default();
            let mut array = [0; SIZE];
            for (a, b, value) in changes {
                let (from, to) = (a.min(b), a.max(b));
                let range = from as u64..to as u64;
                match value {
                    None => extents.clear(range),
                    Some(value) => {
                        let bytes: Vec<u8> = (0..to - from).map(|i| value.wrapping_add(i as u8)).collect();
                        extents.put(range, Source::Bytes(bytes.into(), 0));
                    }
                }
                for (i, byte) in array[from..to].iter_mut().enumerate() {
                    *byte = value.map_or(0, |value| value.wrapping_add(i as u8));
                }
            }
            let (from, to) = (a.min(b), a.max(b));
            let mut got = Vec::new();
            for piece in extents.pieces(from as u64..to as u64) {
                prop_assert_eq!(piece.range.start as usize, from + got.len());
                let mut buffer = vec![0; (piece.range.end - piece.range.start) as usize];
                if let Some(source) = piece.source {
                    source.read(&mut buffer).unwrap();
                }
                got.extend(buffer);
            }
            prop_assert_eq!(&got[..], &array[from..to]);
        }
    }
}
