//! The running system without a disk: kernel, command line, and an initrd that carries the root. PID 1 takes `/root.img` of
//! its initrd for the root slot.
//!
//! ```text
//! initrd of the image      /init, compressed; filled up to a multiple of 4
//! archive with root.img    erofs and hash tree as in the root slot, then what `hull install` puts in front of it; compressed
//! ```
//!
//! Everything is taken out of the finished raw image, so that what is live and what is installed is the same.

use super::{Source, archive};
use crate::boot::initrd;
use crate::disk::partitions::SECTOR;
use crate::tools::run;
use anyhow::{Context, Result};
use gptman::GPT;
use object::{Object, ObjectSection};
use std::fs::{self, File};
use std::io::{Read, Seek, SeekFrom, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Names of the partitions, see [`crate::disk::partitions`].
const ESP: &str = "esp";
const ROOT: &str = "root-a";
/// Bytes read at once of what is in front of the root.
const PIECE: u64 = 1 << 20;
/// What PID 1 looks for.
const MEMBER: &str = "root.img";

/// Parts of the live system.
#[derive(Debug)]
pub(super) struct Live {
    /// Compressed kernel.
    pub(super) kernel: PathBuf,
    /// Initrd with the root.
    pub(super) initrd: PathBuf,
    /// Kernel command line.
    pub(super) command_line: String,
    /// os-release(5).
    pub(super) os_release: String,
    /// Kernel release.
    pub(super) release: String,
}

impl Live {
    /// Those that were taken out before, or else [`Self::extract`]: they take half a minute to compress.
    pub(super) fn kept<'l>(kept: &'l mut Option<Self>, source: &Source, work: &Path) -> Result<&'l Self> {
        Ok(match kept {
            Some(live) => live,
            None => kept.insert(Self::extract(source, work)?),
        })
    }

    /// Takes the parts out of the raw image, into `work`.
    fn extract(source: &Source, work: &Path) -> Result<Self> {
        let mut raw = File::open(&source.raw)?;
        let table = GPT::read_from(&mut raw, SECTOR).with_context(|| format!("{}", source.raw.display()))?;
        let start = |name: &str| {
            let mut partitions = table.iter().map(|(_, entry)| entry);
            let entry = partitions.find(|entry| entry.partition_name.as_str() == name);
            entry.map(|entry| entry.starting_lba * SECTOR).with_context(|| format!("no partition {name}"))
        };
        let esp = format!("{}@@{}", source.raw.display(), start(ESP)?);
        let [kernel, plain, uki] = ["vmlinuz", "initrd", "hull.efi"].map(|name| work.join(name));
        for file in [&kernel, &plain, &uki] {
            let name = file.file_name().and_then(|name| name.to_str()).context("a name")?;
            let mut copy = Command::new("mcopy");
            copy.env("MTOOLS_SKIP_CHECK", "1").args(["-n", "-o", "-i", &esp, &format!("::/hull/a/{name}")]);
            run(copy.arg(file))?;
        }
        let uki = fs::read(uki)?;
        let pe = object::read::pe::PeFile64::parse(&*uki).context("hull.efi")?;
        let text = |name: &str| {
            let section = pe.section_by_name(name).with_context(|| format!("hull.efi has no section {name}"))?;
            // Behind the content there are zeros, up to the file's alignment.
            let text = String::from_utf8(section.data()?.to_vec()).with_context(|| format!("hull.efi: {name}"))?;
            anyhow::Ok(text.trim_end_matches('\0').to_owned())
        };
        let [command_line, os_release, release] = [text(".cmdline")?, text(".osrel")?, text(".uname")?];
        raw.seek(SeekFrom::Start(start(ROOT)?))?;
        let root = source.facts.sizes.root + source.facts.sizes.verity;
        let initrd = work.join("live-initrd");
        let head = hull_update::install::head::wrap(&front(&raw, start(ROOT)?)?);
        let size = root + head.len() as u64;
        write_initrd(&plain, &mut raw.take(root).chain(&*head), size, &initrd, work)?;
        Ok(Self { kernel, initrd, command_line, os_release, release })
    }
}

/// The first `length` bytes, without the zeros at their end.
fn front(raw: &File, length: u64) -> Result<Vec<u8>> {
    let mut front = Vec::new();
    let mut piece = vec![0; usize::try_from(PIECE)?];
    for at in (0..length).step_by(piece.len()) {
        raw.read_exact_at(&mut piece, at)?;
        if piece.iter().any(|byte| *byte != 0) {
            front.resize(usize::try_from(at)?, 0);
            front.extend(&piece);
        }
    }
    Ok(front)
}

fn write_initrd(plain: &Path, root: &mut dyn Read, size: u64, target: &Path, work: &Path) -> Result<()> {
    let carrier = work.join("root.cpio");
    let mut file = File::create(&carrier)?;
    file.write_all(&initrd::head(MEMBER, u32::try_from(size).context("a cpio member holds at most 4 GiB")?)?)?;
    let copied = std::io::copy(root, &mut file)?;
    anyhow::ensure!(copied == size, "the root slot ends after {copied} of {size} bytes");
    file.write_all(&initrd::tail(size)?)?;
    let packed = work.join("root.cpio.zst");
    archive::zstd_file(&carrier, &packed)?;
    fs::remove_file(&carrier)?;
    let mut content = fs::read(plain)?;
    // The kernel looks for the next archive at multiples of 4.
    content.resize(content.len().next_multiple_of(4), 0);
    let mut file = File::create(target)?;
    file.write_all(&content)?;
    std::io::copy(&mut File::open(&packed)?, &mut file)?;
    Ok(fs::remove_file(packed)?)
}
