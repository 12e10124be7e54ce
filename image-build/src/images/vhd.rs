//! Fixed VHD ("Virtual Hard Disk Image Format Specification" 1.0) as Azure takes it: the raw bytes, whose number is a whole
//! number of MiB, and a footer of 512 bytes. All numbers are big endian.
//!
//! ```text
//!  0 "conectix"   24 time, seconds since 2000   48 current size   60 disk type, 2 is fixed
//! 64 checksum: the bytes' sum without it, inverted   68 identity, 16 bytes
//! ```

use super::convert;
use super::format::Format;
use super::{MIB, Source};
use crate::guid::Guid;
use crate::tools::run;
use anyhow::{Context, Result, ensure};
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::process::Command;

const FOOTER: usize = 512;
const COOKIE: &[u8] = b"conectix";
const TIME: usize = 24;
const CURRENT_SIZE: usize = 48;
const DISK_TYPE: usize = 60;
const FIXED: u32 = 2;
const CHECKSUM: usize = 64;
const IDENTITY: usize = 68;
/// 2000-01-01, where the format's time begins.
const EPOCH: u64 = 946_684_800;

/// Makes and checks the disk. `force_size`: without it the size is rounded to a geometry of cylinders.
pub(super) fn make(source: &Source, target: &Path) -> Result<()> {
    let mut convert = Command::new("qemu-img");
    convert.args(["convert", "-f", "raw", "-O", "vpc", "-o", "subformat=fixed,force_size=on"]);
    run(convert.arg(&source.raw).arg(target))?;
    let file = File::options().read(true).write(true).open(target)?;
    let mut footer = [0; FOOTER];
    file.read_exact_at(&mut footer, source.size).context("no footer behind the disk")?;
    stamp(&mut footer, &Guid::derived(&source.facts.root_hash, "vhd"), source.facts.time);
    file.write_all_at(&footer, source.size)?;
    azure_takes(&file).with_context(|| format!("{}", target.display()))?;
    convert::check(source, Format::Vhd, target)
}

/// Time and identity in place of the moment's.
fn stamp(footer: &mut [u8; FOOTER], id: &Guid, time: u64) {
    let seconds = u32::try_from(time.saturating_sub(EPOCH)).unwrap_or(u32::MAX);
    footer[TIME..TIME + 4].copy_from_slice(&seconds.to_be_bytes());
    footer[IDENTITY..IDENTITY + 16].copy_from_slice(&id.on_disk());
    let sum = checksum(footer);
    footer[CHECKSUM..CHECKSUM + 4].copy_from_slice(&sum.to_be_bytes());
}

fn checksum(footer: &[u8; FOOTER]) -> u32 {
    let counted = footer.iter().enumerate().filter(|(at, _)| !(CHECKSUM..CHECKSUM + 4).contains(at));
    !counted.map(|(_, byte)| u32::from(*byte)).sum::<u32>()
}

/// Azure's rules: a fixed disk, the size that the footer names, whole MiB.
fn azure_takes(file: &File) -> Result<()> {
    let length = file.metadata()?.len();
    let size = length.checked_sub(FOOTER as u64).context("shorter than a footer")?;
    let mut footer = [0; FOOTER];
    file.read_exact_at(&mut footer, size)?;
    let word = |at: usize| footer[at..at + 4].iter().fold(0, |value: u32, byte| value << 8 | u32::from(*byte));
    let named = u64::from(word(CURRENT_SIZE)) << 32 | u64::from(word(CURRENT_SIZE + 4));
    ensure!(footer.starts_with(COOKIE), "no footer at its end");
    ensure!(word(DISK_TYPE) == FIXED, "disk type {} is not fixed", word(DISK_TYPE));
    ensure!(word(CHECKSUM) == checksum(&footer), "the footer's checksum is wrong");
    ensure!(named == size, "the footer names {named} bytes, there are {size}");
    ensure!(size % MIB == 0, "{size} bytes are no whole number of MiB");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::images::convert::tests::source;
    use std::fs;

    #[test]
    fn twice_gives_the_same_and_azures_rules_hold() {
        let dir = tempfile::tempdir().unwrap();
        let source = source(dir.path());
        let disks = ["a.vhd", "b.vhd"].map(|name| {
            make(&source, &dir.path().join(name)).unwrap();
            fs::read(dir.path().join(name)).unwrap()
        });
        assert_eq!(disks[0].len(), (3 << 20) + FOOTER);
        assert!(disks[0] == disks[1]);
    }

    #[test]
    fn what_azure_refuses_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let source = source(dir.path());
        let path = dir.path().join("a.vhd");
        make(&source, &path).unwrap();
        let good = fs::read(&path).unwrap();
        let end = good.len() - FOOTER;
        let broken = |change: &dyn Fn(&mut Vec<u8>)| {
            let mut bytes = good.clone();
            change(&mut bytes);
            fs::write(&path, bytes).unwrap();
            azure_takes(&File::open(&path).unwrap()).unwrap_err().to_string()
        };
        let resealed = |bytes: &mut Vec<u8>, at: usize, value: u8| {
            bytes[end + at] = value;
            let mut footer: [u8; FOOTER] = bytes[end..].try_into().unwrap();
            let sum = checksum(&footer);
            footer[CHECKSUM..CHECKSUM + 4].copy_from_slice(&sum.to_be_bytes());
            bytes[end..].copy_from_slice(&footer);
        };
        assert!(broken(&|bytes| bytes[end] = b'C').contains("no footer"));
        assert!(broken(&|bytes| bytes[end + IDENTITY] ^= 1).contains("checksum"));
        assert!(broken(&|bytes| resealed(bytes, DISK_TYPE + 3, 3)).contains("not fixed"));
        assert!(broken(&|bytes| resealed(bytes, CURRENT_SIZE + 5, 1)).contains("names"));
        assert!(broken(&|bytes| bytes.truncate(100)).contains("shorter"));
        let odd = broken(&|bytes| {
            bytes.drain(..512);
            let mut footer: [u8; FOOTER] = bytes[end - 512..].try_into().unwrap();
            footer[CURRENT_SIZE..CURRENT_SIZE + 8].copy_from_slice(&(end as u64 - 512).to_be_bytes());
            let sum = checksum(&footer);
            footer[CHECKSUM..CHECKSUM + 4].copy_from_slice(&sum.to_be_bytes());
            bytes[end - 512..].copy_from_slice(&footer);
        });
        assert!(odd.contains("no whole number of MiB"), "{odd}");
    }
}
