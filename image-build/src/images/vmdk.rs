//! Stream-optimised VMDK (VMware "Virtual Disk Format 5.0"): compressed grains behind a header, with a descriptor in words
//! between them.
//!
//! ```text
//! sector 0               SparseExtentHeader: "KDMV", …, descriptor's sector and length at 28 and 36
//! descriptor             # Disk DescriptorFile … CID=<8 digits> …, filled up with zeros
//! ```

use super::Source;
use super::convert::{self, Grown};
use super::format::Format;
use crate::guid::Guid;
use anyhow::{Context, Result, ensure};
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;

const SECTOR: u64 = 512;
const MAGIC: &[u8] = b"KDMV";
const DESCRIPTOR_SECTOR: usize = 28;
const DESCRIPTOR_SECTORS: usize = 36;
/// qemu-img writes 20.
const DESCRIPTOR_SECTORS_MAXIMUM: u64 = 128;
/// Hardware version 14 is ESXi 6.7; the adapter is what VMware writes for its paravirtual controller, too.
const OPTIONS: &str = "subformat=streamOptimized,adapter_type=lsilogic,hwversion=14";
/// The word that qemu-img draws at random; the line of the parent's ends in the same letters.
const CONTENT_ID: &str = "\nCID=";

/// Makes and checks the disk.
pub(super) fn make(source: &Source, target: &Path, work: &Path) -> Result<()> {
    let grown = Grown::new(source, Format::Vmdk.virtual_size(source.size), work)?;
    convert::convert(&grown, "vmdk", OPTIONS, target)?;
    let file = File::options().read(true).write(true).open(target)?;
    let id = Guid::derived(&source.facts.root_hash, "vmdk").short();
    set_content_id(&file, id).with_context(|| format!("{}", target.display()))?;
    convert::check(source, Format::Vmdk, target)
}

fn set_content_id(file: &File, id: u32) -> Result<()> {
    let mut header = [0; 44];
    file.read_exact_at(&mut header, 0)?;
    ensure!(header.starts_with(MAGIC), "no VMDK");
    let number = |at: usize| header[at..at + 8].iter().rev().fold(0, |value, byte| value << 8 | u64::from(*byte));
    let (start, sectors) = (number(DESCRIPTOR_SECTOR), number(DESCRIPTOR_SECTORS));
    ensure!((1..=DESCRIPTOR_SECTORS_MAXIMUM).contains(&sectors), "a descriptor of {sectors} sectors");
    let length = usize::try_from(sectors * SECTOR)?;
    let mut descriptor = vec![0; length];
    file.read_exact_at(&mut descriptor, start * SECTOR)?;
    let changed = with_content_id(&descriptor, id).context("no CID in the descriptor")?;
    Ok(file.write_all_at(&changed, start * SECTOR)?)
}

/// The descriptor with another content id, of the same length. `None` when there is none or no room.
fn with_content_id(descriptor: &[u8], id: u32) -> Option<Vec<u8>> {
    let text = std::str::from_utf8(descriptor).ok()?.trim_end_matches('\0');
    let (before, after) = text.split_once(CONTENT_ID)?;
    let (_, after) = after.split_once('\n')?;
    let mut changed = format!("{before}{CONTENT_ID}{id:08x}\n{after}").into_bytes();
    if changed.len() > descriptor.len() {
        return None;
    }
    changed.resize(descriptor.len(), 0);
    Some(changed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::images::convert::tests::source;

    #[test]
    fn twice_gives_the_same() {
        let dir = tempfile::tempdir().unwrap();
        let source = source(dir.path());
        let disks = [1, 2].map(|number| {
            let folder = dir.path().join(number.to_string());
            std::fs::create_dir(&folder).unwrap();
            let disk = folder.join("hull-x86_64.vmdk");
            make(&source, &disk, &folder).unwrap();
            std::fs::read(disk).unwrap()
        });
        assert!(disks[0] == disks[1]);
        let id = format!("CID={:08x}\nparentCID=ffffffff", Guid::derived(&source.facts.root_hash, "vmdk").short());
        assert!(String::from_utf8_lossy(&disks[0][512..1024]).contains(&id));
    }

    #[test]
    fn only_a_content_id_that_is_there_is_changed() {
        let table: [(&[u8], Option<&[u8]>); 4] = [
            (b"version=1\nCID=1\nparentCID=ff\n\0\0\0\0\0\0\0", Some(b"version=1\nCID=000000ab\nparentCID=ff\n")),
            (b"v\nCID=1\nparentCID=ff\n", None),
            (b"v\nparentCID=ff\n\0\0\0\0\0\0\0\0\0\0", None),
            (b"\xff\nCID=1\n", None),
        ];
        for (before, after) in table {
            assert_eq!(with_content_id(before, 0xab).as_deref(), after);
        }
    }
}
