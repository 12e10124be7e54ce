//! What was made: `images.json` and a table on the terminal.

use super::format::Format;
use super::{Facts, Source, archive};
use anyhow::{Context, Result};
use serde::Serialize;
use std::fs;
use std::path::Path;

/// One file.
#[derive(Debug, Serialize)]
pub(super) struct Listed {
    /// Its name, in the folder of the list.
    file: String,
    /// The form's word.
    format: &'static str,
    /// Its length.
    bytes: u64,
    /// Size of the disk that a machine sees; 0 where there is none.
    disk_bytes: u64,
    /// SHA-256 of the file.
    sha256: String,
    /// Who takes it.
    platforms: &'static str,
}

#[derive(Debug, Serialize)]
struct List<'a> {
    version: &'a str,
    root_hash: &'a str,
    images: &'a [Listed],
}

impl Listed {
    /// A form.
    pub(super) fn of(format: Format, source: &Source, file: &Path) -> Result<Self> {
        Self::measure(file, format.word(), format.virtual_size(source.size), format.platforms())
    }

    /// The raw image itself.
    pub(super) fn of_raw(source: &Source) -> Result<Self> {
        Self::measure(&source.raw, "raw", source.size, "AWS, DigitalOcean, Vultr, Hetzner: as it is")
    }

    fn measure(file: &Path, format: &'static str, disk_bytes: u64, platforms: &'static str) -> Result<Self> {
        let name = file.file_name().and_then(|name| name.to_str()).context("the file has no name")?;
        Ok(Self {
            file: name.to_owned(),
            format,
            bytes: fs::metadata(file).with_context(|| format!("{}", file.display()))?.len(),
            disk_bytes,
            sha256: archive::digest_of(file)?.to_string(),
            platforms,
        })
    }
}

/// Writes the list to `target`.
pub(super) fn write(facts: &Facts, images: &[Listed], target: &Path) -> Result<()> {
    let list = List { version: &facts.version, root_hash: &facts.root_hash, images };
    fs::write(target, serde_json::to_vec_pretty(&list)?).with_context(|| format!("{}", target.display()))
}

/// Prints the list as a table.
pub(super) fn print(images: &[Listed]) {
    let mib = |bytes: u64| bytes.div_ceil(1 << 20);
    println!("{:<28} {:>6} {:>6}  for", "file", "MiB", "disk");
    for image in images {
        println!("{:<28} {:>6} {:>6}  {}", image.file, mib(image.bytes), mib(image.disk_bytes), image.platforms);
    }
}
