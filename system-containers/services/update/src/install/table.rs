//! Partitions by name, in the boot files' own table.

use anyhow::{Context, Result};
use gptman::GPT;
use std::io::Cursor;

/// What the image's partition table counts in.
pub(super) const SECTOR: u64 = 512;

/// Where a partition is, in bytes from the beginning of the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Extent {
    pub(super) start: u64,
    pub(super) length: u64,
}

/// The partition called `name`.
pub(super) fn find(head: &[u8], name: &str) -> Result<Extent> {
    let table = GPT::read_from(&mut Cursor::new(head), SECTOR).context("the boot files hold no partition table")?;
    let found = table.iter().find(|(_, entry)| entry.partition_name.as_str() == name);
    let (_, entry) = found.with_context(|| format!("the boot files hold no partition {name}"))?;
    Ok(Extent { start: entry.starting_lba * SECTOR, length: entry.size()? * SECTOR })
}
