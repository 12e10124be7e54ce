//! qemu-img: conversion, its own check of what it made, comparison with the raw image.

use super::Source;
use super::format::Format;
use crate::tools::run;
use anyhow::{Context, Result, ensure};
use serde::Deserialize;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The raw image with zeros behind it: a layer without content over it, of a larger size.
#[derive(Debug)]
pub(super) struct Grown {
    path: PathBuf,
}

impl Grown {
    /// As long as `size` bytes, in the folder `work`.
    pub(super) fn new(source: &Source, size: u64, work: &Path) -> Result<Self> {
        let path = work.join(format!("grown-{size}.qcow2"));
        let mut create = Command::new("qemu-img");
        create.args(["create", "-q", "-f", "qcow2", "-F", "raw", "-b"]).arg(source.raw.canonicalize()?);
        run(create.arg(&path).arg(size.to_string()))?;
        Ok(Self { path })
    }
}

/// Converts to `target`; `options` are the driver's, separated by commas, none of them empty.
pub(super) fn convert(from: &Grown, driver: &str, options: &str, target: &Path) -> Result<()> {
    let mut convert = Command::new("qemu-img");
    convert.args(["convert", "-f", "qcow2", "-O", driver]);
    if !options.is_empty() {
        convert.args(["-o", options]);
    }
    run(convert.arg(&from.path).arg(target)).map(drop)
}

/// The raw image as compressed qcow2.
pub(crate) fn qcow2(raw: &Path, target: &Path) -> Result<()> {
    let mut convert = Command::new("qemu-img");
    convert.args(["convert", "-f", "raw", "-c", "-O", "qcow2", "-o", "compression_type=zstd"]);
    run(convert.arg(raw).arg(target)).map(drop)
}

/// What `qemu-img info --output=json` says of a disk.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Info {
    format: String,
    virtual_size: u64,
}

/// Checks a disk: format and size, qemu-img's own check where the format has one, and its content: the raw image and
/// zeros behind it.
pub(super) fn check(source: &Source, format: Format, disk: &Path) -> Result<()> {
    let driver = format.driver().context("no disk")?;
    let qemu_img = |verb: &str| {
        let mut command = Command::new("qemu-img");
        command.arg(verb);
        command
    };
    let info = run(qemu_img("info").args(["--output=json", "-f", driver]).arg(disk))?;
    let info: Info = serde_json::from_slice(&info).context("qemu-img info")?;
    let wanted = format.virtual_size(source.size);
    ensure!(
        info.format == driver && info.virtual_size == wanted,
        "{}: a disk of {} bytes in {}, wanted {wanted} in {driver}",
        disk.display(),
        info.virtual_size,
        info.format
    );
    // A fixed VHD is the raw bytes and a footer; there is nothing qemu-img could check.
    if format != Format::Vhd {
        run(qemu_img("check").args(["-q", "-f", driver]).arg(disk))?;
    }
    run(qemu_img("compare").args(["-q", "-f", "raw", "-F", driver]).arg(&source.raw).arg(disk))
        .with_context(|| format!("{} holds something else than the raw image", disk.display()))
        .map(drop)
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::images::{Facts, Sizes};
    use crate::tools::Tools;
    use std::fs::{self, File};
    use std::io::{Seek, SeekFrom, Write};

    /// A small image with some content at both ends.
    pub(crate) fn source(folder: &Path) -> Source {
        let raw = folder.join("hull-x86_64.raw");
        let mut file = File::create(&raw).unwrap();
        file.set_len(3 << 20).unwrap();
        file.write_all(&[7; 70_000]).unwrap();
        file.seek(SeekFrom::End(-512)).unwrap();
        file.write_all(&[9; 512]).unwrap();
        let facts = Facts {
            version: "1.2.0".into(),
            root_hash: "ab".repeat(32),
            time: 1_700_000_000,
            sizes: Sizes { root: 4096, verity: 512 },
        };
        fs::write(
            folder.join("image.json"),
            format!(r#"{{"version":"1.2.0","root_hash":"{}","time":1700000000,"sizes":{{"root":4096,"verity":512}},"more":1}}"#, facts.root_hash),
        )
        .unwrap();
        Source { raw, size: 3 << 20, facts, tools: Tools::new(folder) }
    }

    #[test]
    fn a_disk_with_other_content_or_size_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let source = source(dir.path());
        let disk = dir.path().join("d.qcow2");
        qcow2(&source.raw, &disk).unwrap();
        check(&source, Format::Qcow2, &disk).unwrap();
        assert!(format!("{:#}", check(&source, Format::Vhdx, &disk).unwrap_err()).contains("qemu-img info"));

        let raw = File::options().write(true).open(&source.raw).unwrap();
        raw.set_len(4 << 20).unwrap();
        let larger = Source { size: 4 << 20, ..source };
        assert!(check(&larger, Format::Qcow2, &disk).unwrap_err().to_string().contains("wanted 4194304"));
        raw.set_len(3 << 20).unwrap();
        let mut raw = raw;
        raw.write_all(b"other").unwrap();
        let source = Source { size: 3 << 20, ..larger };
        assert!(check(&source, Format::Qcow2, &disk).unwrap_err().to_string().contains("something else"));
    }

    #[test]
    fn an_image_of_odd_length_or_without_facts_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let good = source(dir.path());
        assert_eq!(Source::open(&good.raw, good.tools.clone()).unwrap().size, good.size);
        File::options().write(true).open(&good.raw).unwrap().set_len(12_345).unwrap();
        assert!(
            Source::open(&good.raw, good.tools.clone()).unwrap_err().to_string().contains("no whole number of MiB")
        );
        fs::remove_file(dir.path().join("image.json")).unwrap();
        assert!(Source::open(&good.raw, good.tools.clone()).unwrap_err().to_string().contains("build the image first"));
    }
}
