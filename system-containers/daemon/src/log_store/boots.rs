//! Which boot a record is of. Every log file begins with a marker, and another one stands where a new boot begins:
//! `{"boot":"0123456789abcdef0123456789abcdef","time":"2026-01-31T12:00:00.000000000Z"}`. The same lines in
//! `/state/log/.boots`, one a boot, give the boots their order, which a clock that was wrong could not.

use crate::clock::WallTime;
use crate::replace::replace_durably;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::io;
use std::path::Path;

/// Boots remembered: more than logs of that size reach back.
const KEPT: usize = 256;
/// Name of the list; no service's name begins with a dot.
const LIST: &str = ".boots";

/// The kernel's random id of a boot.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct BootId(u128);

impl BootId {
    /// A kernel that says none.
    pub const NONE: Self = Self(0);

    /// Reads `/proc/sys/kernel/random/boot_id`, or 32 hexadecimal digits.
    pub fn parse(text: &str) -> Option<Self> {
        let digits = text.trim().replace('-', "");
        (digits.len() == 32).then(|| u128::from_str_radix(&digits, 16).ok().map(Self)).flatten()
    }

    /// The id in a file; [`NONE`](Self::NONE) when it cannot be read.
    pub fn read(path: &Path) -> Self {
        std::fs::read_to_string(path).ok().and_then(|text| Self::parse(&text)).unwrap_or_default()
    }
}

impl fmt::Display for BootId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{:032x}", self.0)
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Marker {
    boot: String,
    time: String,
}

/// The marker's line.
pub fn marker(boot: BootId, time: WallTime) -> Vec<u8> {
    let marker = Marker { boot: boot.to_string(), time: time.rfc3339() };
    let mut bytes = serde_json::to_vec(&marker).unwrap_or_default();
    bytes.push(b'\n');
    bytes
}

/// Reads a marker's line; `None` for anything else.
pub fn read_marker(line: &[u8]) -> Option<BootId> {
    // Records are many and do not begin like this.
    let marker: Option<Marker> = line.starts_with(b"{\"boot\"").then(|| serde_json::from_slice(line).ok()).flatten();
    BootId::parse(&marker?.boot)
}

/// Boots that are remembered, oldest first.
pub fn list(folder: &Path) -> io::Result<Vec<BootId>> {
    match std::fs::read(folder.join(LIST)) {
        Ok(text) => Ok(text.split(|byte| *byte == b'\n').filter_map(read_marker).collect()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(error),
    }
}

/// Adds the running boot to the list if it is not its last one.
pub fn remember(folder: &Path, boot: BootId) -> io::Result<()> {
    let known = list(folder)?;
    if known.last() == Some(&boot) {
        return Ok(());
    }
    let path = folder.join(LIST);
    let old = std::fs::read(&path).unwrap_or_default();
    let lines: Vec<&[u8]> =
        old.split_inclusive(|byte| *byte == b'\n').filter(|line| read_marker(line).is_some()).collect();
    let mut text = lines[lines.len().saturating_sub(KEPT - 1)..].concat();
    text.extend(marker(boot, WallTime::now()));
    replace_durably(&path, &text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn boots_are_kept_in_order() {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("log");
        assert_eq!(list(&log).unwrap(), []);
        for number in [1, 1, 2, 3, 3] {
            remember(&log, BootId(number)).unwrap();
        }
        assert_eq!(list(&log).unwrap(), [BootId(1), BootId(2), BootId(3)]);
        let many: Vec<u8> = (10..599).flat_map(|number| marker(BootId(number), WallTime::default())).collect();
        std::fs::write(log.join(LIST), many).unwrap();
        remember(&log, BootId(599)).unwrap();
        let kept = list(&log).unwrap();
        assert_eq!((kept.len(), kept.last()), (KEPT, Some(&BootId(599))));
        std::fs::write(log.join(LIST), "nonsense\n{\"boot\":\"").unwrap();
        remember(&log, BootId(5)).unwrap();
        assert_eq!(list(&log).unwrap(), [BootId(5)]);
    }

    #[test]
    fn ids() {
        let id = BootId::parse("8f3c2a10-0000-4000-8000-0123456789ab\n").unwrap();
        assert_eq!(id.to_string(), "8f3c2a10000040008000".to_owned() + "0123456789ab");
        assert_eq!(BootId::parse("8f3c"), None);
        assert_eq!(read_marker(&marker(id, WallTime::default())), Some(id));
        assert_eq!(read_marker(b"{\"log\":\"a\\n\"}"), None);
    }
}
