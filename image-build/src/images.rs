//! The finished raw image in the forms that platforms take: files beside it, each checked before it gets its name.
//!
//! | module | what |
//! |---|---|
//! | [`mod@format`] | the list of forms: names, sizes, who takes them |
//! | [`convert`] | qemu-img: conversion, its own check, comparison with the raw image |
//! | [`vmdk`], [`vhd`] | identifiers that qemu-img draws at random, made to follow from the image |
//! | [`ova`] | descriptor, manifest and archive of a VMware machine |
//! | [`archive`] | tar and compressed forms |
//! | [`live`] | kernel and an initrd that carries the root |
//! | [`iso`], [`pxe`] | live medium, network boot |
//! | [`list`] | `images.json` and the table on the terminal |
//!
//! Same raw image, same bytes on one release of Debian, whose qemu-img, gzip and zstd show in them; but for VHDX, whose
//! identifiers lie below checksums.

mod archive;
mod convert;
pub(crate) mod format;
mod iso;
mod list;
mod live;
mod ova;
mod pxe;
mod vhd;
mod vmdk;

pub(crate) use convert::qcow2;

use crate::progress::step;
use crate::tools::Tools;
use anyhow::{Context, Result, ensure};
use format::Format;
use list::Listed;
use live::Live;
use serde::Deserialize;
use std::fs;
use std::path::{Path, PathBuf};

/// What the forms are made of.
#[derive(Debug)]
pub(crate) struct Source {
    /// The raw image.
    pub(crate) raw: PathBuf,
    /// Its length in bytes.
    pub(crate) size: u64,
    /// What `image.json` says of it.
    pub(crate) facts: Facts,
    /// Programs and boot loaders of the package tree.
    pub(crate) tools: Tools,
}

/// The part of `image.json` that is needed here.
#[derive(Debug, Deserialize)]
pub(crate) struct Facts {
    /// Hull's version.
    pub(crate) version: String,
    /// Verity root hash: identifiers follow from it.
    pub(crate) root_hash: String,
    /// Stamp of files in archives, seconds since 1970.
    pub(crate) time: u64,
    /// Lengths within the raw image.
    pub(crate) sizes: Sizes,
}

/// Bytes.
#[derive(Debug, Deserialize)]
pub(crate) struct Sizes {
    /// The root file system.
    pub(crate) root: u64,
    /// Its hash tree, behind it.
    pub(crate) verity: u64,
}

impl Source {
    /// The raw image at `raw` with the `image.json` beside it.
    pub(crate) fn open(raw: &Path, tools: Tools) -> Result<Self> {
        let facts = raw.with_file_name("image.json");
        let advice = || format!("{}: build the image first: make image", raw.display());
        let size = fs::metadata(raw).with_context(advice)?.len();
        let text = fs::read(&facts).with_context(|| format!("{}: build the image first", facts.display()))?;
        let facts = serde_json::from_slice(&text).with_context(|| format!("{}", facts.display()))?;
        ensure!(
            size % MIB == 0 && size > 0,
            "{}: {size} bytes are no whole number of MiB, which Azure asks for",
            raw.display()
        );
        Ok(Self { raw: raw.into(), size, facts, tools })
    }
}

const MIB: u64 = 1 << 20;

/// Makes the wanted forms beside the raw image, and `images.json`.
pub(crate) fn make(source: &Source, wanted: &[Format]) -> Result<()> {
    let folder = source.raw.parent().context("the raw image has no folder")?;
    let work = tempfile::tempdir_in(folder)?;
    let mut listed = vec![Listed::of_raw(source)?];
    let mut live = None;
    for format in wanted {
        let name = format.file_name(&source.raw)?;
        let made = work.path().join(&name);
        step(&name, || one(source, *format, &made, work.path(), &mut live))?;
        let target = folder.join(&name);
        fs::rename(&made, &target).with_context(|| format!("{}", target.display()))?;
        listed.push(Listed::of(*format, source, &target)?);
    }
    list::write(&source.facts, &listed, &folder.join("images.json"))?;
    list::print(&listed);
    Ok(())
}

/// Makes and checks one form at `made`, whose name is the final one; `work` is for what is thrown away, `live` for what the
/// next form can use.
fn one(source: &Source, format: Format, made: &Path, work: &Path, live: &mut Option<Live>) -> Result<()> {
    match format {
        Format::RawZst => archive::zstd(source, made),
        Format::Qcow2 => convert::qcow2(&source.raw, made).and_then(|()| convert::check(source, format, made)),
        Format::Vmdk => vmdk::make(source, made, work),
        Format::Ova => ova::make(source, made, work),
        Format::Vhd => vhd::make(source, made),
        Format::Vhdx => {
            let grown = convert::Grown::new(source, format.virtual_size(source.size), work)?;
            convert::convert(&grown, "vhdx", "subformat=dynamic", made)?;
            convert::check(source, format, made)
        }
        Format::Iso => iso::make(source, Live::kept(live, source, work)?, made, work),
        Format::Pxe => pxe::make(source, Live::kept(live, source, work)?, made, work),
        Format::Gce => archive::gce(source, made, work),
    }
}
