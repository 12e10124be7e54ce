//! What an image may cost, and the account of what it has cost so far.

use crate::error::ImageError;

/// Space an image takes on the disk is counted in blocks of ext4.
const BLOCK: u64 = 4096;
/// Bytes of a tar header and its padding, at most, an entry.
const HEADERS: u64 = 2048;

/// Upper bounds; an image beyond one of them is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bytes on the disk: each entry takes its content rounded up to blocks, and at least one.
    pub bytes: u64,
    /// Files, directories and links.
    pub entries: u64,
    /// Bytes of one path; the kernel's own limit is 4096.
    pub path: usize,
    /// Bytes of all paths; the importer keeps them in memory.
    pub paths: usize,
    /// Directories above a file.
    pub depth: usize,
    /// Layers; engines make at most 127.
    pub layers: usize,
    /// Bytes of one JSON document.
    pub document: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            bytes: 4 << 30,
            entries: 250_000,
            path: 1024,
            paths: 32 << 20,
            depth: 64,
            layers: 128,
            document: 4 << 20,
        }
    }
}

/// What is left of the limits while an image is unpacked.
#[derive(Debug)]
pub(crate) struct Budget {
    pub(crate) limits: Limits,
    bytes: u64,
    entries: u64,
    paths: usize,
    is_scarce: bool,
}

impl Budget {
    pub(crate) fn new(limits: Limits) -> Self {
        Self { limits, bytes: limits.bytes, entries: limits.entries, paths: limits.paths, is_scarce: false }
    }

    /// The limits, or what the disk has where that is less.
    pub(crate) fn on_disk(limits: Limits, available: u64) -> Self {
        let is_scarce = available < limits.bytes;
        Self { is_scarce, ..Self::new(Limits { bytes: limits.bytes.min(available), ..limits }) }
    }

    /// Accounts for one entry with `size` bytes of content.
    pub(crate) fn take(&mut self, path: &str, size: u64) -> Result<(), ImageError> {
        let limits = &self.limits;
        self.entries = self
            .entries
            .checked_sub(1)
            .ok_or_else(|| ImageError::refused(path, format!("the image has more than {} entries", limits.entries)))?;
        self.paths = self.paths.checked_sub(path.len()).ok_or_else(|| {
            ImageError::refused(path, format!("the names of the image have more than {} bytes", limits.paths))
        })?;
        let blocks = size.max(1).checked_next_multiple_of(BLOCK);
        let left = blocks.and_then(|size| self.bytes.checked_sub(size));
        self.bytes = left.ok_or_else(|| match self.is_scarce {
            true => {
                ImageError::Space { needed: size.saturating_add(limits.bytes - self.bytes), available: limits.bytes }
            }
            false => ImageError::refused(path, format!("the image needs more than {} bytes unpacked", limits.bytes)),
        })?;
        Ok(())
    }

    /// Most bytes a layer's archive may come to, headers included.
    pub(crate) fn stream(&self) -> u64 {
        self.bytes.saturating_add(self.entries.saturating_mul(HEADERS)).saturating_add(BLOCK)
    }

    /// Bytes used, in blocks, and entries.
    pub(crate) fn used(&self) -> (u64, u64) {
        (self.limits.bytes - self.bytes, self.limits.entries - self.entries)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_files_cost_a_block_and_an_entry() {
        let mut budget = Budget::new(Limits { bytes: 4 * BLOCK, entries: 4, ..Limits::default() });
        budget.take("a", 1).unwrap();
        budget.take("b", BLOCK + 1).unwrap();
        assert_eq!(budget.used(), (3 * BLOCK, 2));
        assert!(budget.take("c", BLOCK + 1).unwrap_err().to_string().contains("16384 bytes"));
        budget.take("d", 0).unwrap();
        assert!(budget.take("e", 0).unwrap_err().to_string().contains("more than 4 entries"));
        let mut budget = Budget::new(Limits { paths: 10, ..Limits::default() });
        assert!(budget.take("more/than/ten", 0).unwrap_err().to_string().contains("names of the image"));
        assert!(Budget::new(Limits::default()).take("f", u64::MAX).is_err());
        let error = Budget::on_disk(Limits::default(), BLOCK).take("g", 2 * BLOCK).unwrap_err();
        assert!(error.to_string().contains("not enough space"), "{error}");
    }
}
