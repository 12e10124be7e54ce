//! Bytes of a pipe to lines. Pure: the caller keeps what was not consumed and hands it in again with more behind it.

use serde::{Deserialize, Serialize};

/// Longest piece in bytes; the same as Docker's, and well below a pipe's 64 KiB, so a pipe always drains.
pub const MAX_PIECE: usize = 16 << 10;

/// What a piece counts at least against the room of a batch: more than its record has beside the text.
pub const OVERHEAD: usize = 128;

/// Priority of a line without prefix: informational.
pub const DEFAULT_PRIORITY: u8 = 6;

/// A line or a piece of one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Piece {
    /// Text; bytes that are not UTF-8 are replaced.
    pub text: String,
    /// A line break followed.
    pub complete: bool,
    /// 0 to 7.
    pub priority: u8,
}

/// Remembers the priority of a long line between its pieces.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Splitter {
    inside: Option<u8>,
}

impl Splitter {
    /// Pieces of `bytes` and how many bytes they took. At the end of the stream the unfinished line is a piece too. Stops
    /// once the pieces, each counted with [`OVERHEAD`], fill `room`.
    ///
    /// The bytes that were taken, split again by the same splitter as a stream of their own, give the same pieces.
    pub fn split(&mut self, bytes: &[u8], at_end: bool, room: usize) -> (Vec<Piece>, usize) {
        let mut pieces = Vec::new();
        let (mut start, mut filled) = (0, 0);
        while start < bytes.len() && filled < room {
            let rest = &bytes[start..];
            let window = &rest[..rest.len().min(MAX_PIECE)];
            let (length, taken, complete) = match window.iter().position(|byte| *byte == b'\n') {
                Some(position) => (position, position + 1, true),
                None if rest.len() >= MAX_PIECE => {
                    let cut = character_boundary(window);
                    (cut, cut, false)
                }
                None if at_end => (rest.len(), rest.len(), false),
                None => break,
            };
            pieces.push(self.piece(&rest[..length], complete));
            start += taken;
            filled += length + OVERHEAD;
        }
        (pieces, start)
    }

    fn piece(&mut self, bytes: &[u8], complete: bool) -> Piece {
        let (priority, text) = match self.inside {
            Some(priority) => (priority, bytes),
            None => prefix(bytes),
        };
        self.inside = (!complete).then_some(priority);
        Piece { text: String::from_utf8_lossy(text).into_owned(), complete, priority }
    }
}

/// Takes `<N>` off, as in sd-daemon(3).
fn prefix(bytes: &[u8]) -> (u8, &[u8]) {
    match bytes {
        [b'<', digit @ b'0'..=b'7', b'>', rest @ ..] => (digit - b'0', rest),
        _ => (DEFAULT_PRIORITY, bytes),
    }
}

/// Length of `window` without a character cut in two at its end.
fn character_boundary(window: &[u8]) -> usize {
    let end = window.len();
    (end.saturating_sub(3)..end)
        .rev()
        .find(|index| window[*index] & 0xc0 != 0x80)
        .map_or(end, |index| if window[index] >= 0xc0 { index } else { end })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn lines_priorities_and_rest() {
        let mut splitter = Splitter::default();
        let (pieces, consumed) = splitter.split(b"plain\n<3>bad\n<9>odd\nhalf", false, usize::MAX);
        assert_eq!(consumed, 20);
        let seen: Vec<_> = pieces.iter().map(|piece| (piece.text.as_str(), piece.priority)).collect();
        assert_eq!(seen, [("plain", 6), ("bad", 3), ("<9>odd", 6)]);
        let (pieces, consumed) = splitter.split(b"half", true, usize::MAX);
        assert_eq!((pieces.len(), pieces[0].complete, consumed), (1, false, 4));
    }

    #[test]
    fn a_long_line_keeps_its_priority() {
        let mut splitter = Splitter::default();
        let text = format!("<2>{}\n<7>next\n", "ä".repeat(MAX_PIECE));
        let (pieces, consumed) = splitter.split(text.as_bytes(), false, usize::MAX);
        assert_eq!(consumed, text.len());
        let seen: Vec<_> = pieces.iter().map(|piece| (piece.complete, piece.priority)).collect();
        assert_eq!(seen, [(false, 2), (false, 2), (true, 2), (true, 7)]);
        assert!(pieces.iter().all(|piece| !piece.text.contains('\u{fffd}')));
    }

    proptest! {
        /// However the bytes arrive, the text is the same and nothing is lost.
        #[test]
        fn arrival_does_not_matter(text in "[a-zä\n<>3]{0,300}", cuts in proptest::collection::vec(1_usize..40, 0..40)) {
            let bytes = text.as_bytes();
            let whole = Splitter::default().split(bytes, true, usize::MAX).0;
            let (mut splitter, mut pieces, mut start, mut end) = (Splitter::default(), vec![], 0, 0);
            for cut in cuts {
                end = (end + cut).min(bytes.len());
                let (more, consumed) = splitter.split(&bytes[start..end], false, usize::MAX);
                pieces.extend(more);
                start += consumed;
            }
            pieces.extend(splitter.split(&bytes[start..], true, usize::MAX).0);
            prop_assert_eq!(pieces, whole);
        }

        /// What a batch took gives the same batch again.
        #[test]
        fn a_batch_can_be_repeated(
            text in "[aä\n<>3]{0,200}",
            long in 0_usize..3,
            room in 0_usize..2000,
            at_end: bool,
        ) {
            let text = text + &"ä".repeat(long * MAX_PIECE * 2 / 3) + "\nend";
            let (mut rest, mut splitter) = (text.as_bytes(), Splitter::default());
            loop {
                let before = splitter;
                let (pieces, taken) = splitter.split(rest, at_end, room);
                if taken == 0 {
                    break;
                }
                let mut again = before;
                prop_assert_eq!(again.split(&rest[..taken], true, usize::MAX), (pieces, taken));
                prop_assert_eq!(again, splitter);
                rest = &rest[taken..];
            }
        }
    }
}
