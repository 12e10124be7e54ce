//! How a log file ends, as it was left: by a daemon that was killed, or by a power cut, after which the last records
//! may be torn, missing, or nothing but zeros.

use super::Entry;
use super::boots::{BootId, read_marker};
use crate::clock::WallTime;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

/// Bytes looked at: more than a file grows to before it is rotated.
const LOOKED_AT: u64 = 2 << 20;

/// The sound part of a file.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tail {
    /// Bytes up to the end of the last whole record.
    pub sound: u64,
    /// Time of that record.
    pub last: Option<WallTime>,
    /// Boot of that record.
    pub boot: Option<BootId>,
}

/// Looks at the end of a file.
pub fn look(file: &File) -> io::Result<Tail> {
    let size = file.metadata()?.len();
    let begin = size.saturating_sub(LOOKED_AT);
    let mut bytes = vec![0; usize::try_from(size - begin).map_err(io::Error::other)?];
    file.read_exact_at(&mut bytes, begin)?;
    let tail = end_of(&bytes);
    Ok(Tail { sound: begin + tail.sound, ..tail })
}

fn end_of(bytes: &[u8]) -> Tail {
    let mut tail = Tail::default();
    let mut end = bytes.len();
    for line in bytes.split_inclusive(|byte| *byte == b'\n').rev() {
        let begin = end - line.len();
        let whole = line.ends_with(b"\n");
        let (marker, entry) = if whole { (read_marker(line), Entry::decode(line)) } else { (None, None) };
        if tail.sound == 0 && (marker.is_some() || entry.is_some()) {
            tail.sound = end as u64;
        }
        tail.last = tail.last.or(entry.map(|entry| entry.time));
        tail.boot = tail.boot.or(marker);
        if tail.last.is_some() && tail.boot.is_some() {
            break;
        }
        end = begin;
    }
    tail
}

#[cfg(test)]
mod tests {
    use super::super::{Stream, boots::marker};
    use super::*;

    #[test]
    fn a_tail_ends_with_the_last_whole_record() {
        let boot = BootId::parse(&"7".repeat(32)).unwrap();
        let entry = |seconds| {
            let time = WallTime { seconds, nanoseconds: 1 };
            Entry { text: "ä\"".into(), complete: true, stream: Stream::Stdout, time, priority: 6 }
        };
        let lines = [marker(boot, WallTime::default()), entry(1).encode(), entry(2).encode()];
        let whole = lines.concat();
        assert_eq!(end_of(&whole), Tail { sound: whole.len() as u64, last: Some(entry(2).time), boot: Some(boot) });
        for cut in 0..=whole.len() {
            let (mut sound, mut number) = (0, 0);
            while number < 3 && sound + lines[number].len() <= cut {
                sound += lines[number].len();
                number += 1;
            }
            let last = [None, None, Some(entry(1).time), Some(entry(2).time)][number];
            let expected = Tail { sound: sound as u64, last, boot: (number > 0).then_some(boot) };
            for behind in [&b""[..], &[0; 5000], b"\0\0\n\0", b"{\"log\":\"x\"\n\xff\xfe\n"] {
                let torn = [&whole[..cut], behind].concat();
                // What is cut may be a whole record without its line break.
                assert_eq!(end_of(&torn), expected, "{cut} {behind:?}");
            }
        }
    }
}
