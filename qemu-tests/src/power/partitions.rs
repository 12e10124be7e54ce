//! The partition table of a cut disk, as sfdisk reads it: by the backup when the first one is damaged, as kernels do.

use super::{said, tool};
use crate::fault_disk::Image;
use anyhow::{Context, Result, ensure};
use serde::Deserialize;
use std::ops::Range;
use std::path::Path;

/// Both ends of a disk hold a table; each is much shorter than this.
const ENDS: u64 = 1 << 20;

/// A partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Partition {
    /// GPT name.
    pub name: String,
    /// Bytes of the disk.
    pub range: Range<u64>,
}

/// What sfdisk found, and what it had to say about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Table {
    /// In the table's order.
    pub partitions: Vec<Partition>,
    /// Such as a damaged primary table, in sfdisk's words; empty when all is well.
    pub remarks: String,
}

impl Table {
    /// Reads the table of a disk; `folder` takes a file for a moment.
    pub fn read(image: &Image, folder: &Path) -> Result<Self> {
        let file = folder.join("table.raw");
        let ends = [0..ENDS.min(image.size()), image.size().saturating_sub(ENDS)..image.size()];
        image.excerpt(&ends, &file)?;
        let output = tool("sfdisk", &["--json", &file.display().to_string()])?;
        std::fs::remove_file(&file)?;
        ensure!(output.status.success(), "no partition table: {}", said(&output));
        let partitions = parse(&String::from_utf8_lossy(&output.stdout))?;
        let inside = partitions.iter().all(|partition| partition.range.end <= image.size());
        ensure!(inside, "a partition ends behind the disk: {partitions:?}");
        Ok(Self { partitions, remarks: String::from_utf8_lossy(&output.stderr).trim().into() })
    }

    /// The partition of a name.
    pub fn named(&self, name: &str) -> Option<&Partition> {
        self.partitions.iter().find(|partition| partition.name == name)
    }
}

#[derive(Deserialize)]
struct Answer {
    partitiontable: Label,
}

#[derive(Deserialize)]
struct Label {
    label: String,
    sectorsize: u64,
    #[serde(default)]
    partitions: Vec<Entry>,
}

#[derive(Deserialize)]
struct Entry {
    start: u64,
    size: u64,
    #[serde(default)]
    name: String,
}

fn parse(json: &str) -> Result<Vec<Partition>> {
    let table = serde_json::from_str::<Answer>(json).with_context(|| format!("sfdisk: {json}"))?.partitiontable;
    // A damaged GPT leaves the protective MBR, which is a table too.
    ensure!(table.label == "gpt", "a table of kind {}", table.label);
    let range = |entry: &Entry| {
        let start = entry.start.checked_mul(table.sectorsize)?;
        Some(start..start.checked_add(entry.size.checked_mul(table.sectorsize)?)?)
    };
    table
        .partitions
        .iter()
        .map(|entry| {
            let range = range(entry).with_context(|| format!("partition {:?} has no sensible size", entry.name))?;
            Ok(Partition { name: entry.name.clone(), range })
        })
        .collect()
}
