//! Files of a finished erofs image exchanged where they lie, so that all other blocks stay as they are. Knows as much of
//! the format as that takes (kernel, `fs/erofs/erofs_fs.h`): directories and files that are not compressed.
//!
//! ```text
//! inode: meta block × 4096 + nid × 32     format, …, size, first block
//! directory block:  entries of 12 bytes (nid, offset of the name, type), then the names
//! ```

use anyhow::{Context, Result, bail, ensure};
use std::fs::{File, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::Path;

const BLOCK: u64 = 4096;
const SUPERBLOCK: u64 = 1024;
const MAGIC: u32 = 0xe0f5_e1e2;
const INODE: u64 = 32;
const ENTRY: usize = 12;

/// An image that is being changed.
#[derive(Debug)]
pub struct Image {
    file: File,
    /// Offset of inode 0.
    inodes: u64,
    root: u64,
}

/// What an inode says of its content.
#[derive(Debug, Clone, Copy)]
struct Inode {
    size: u64,
    /// First block of the content.
    start: u64,
    /// Offset of the content's last, partial block where that lies behind the inode.
    tail: Option<u64>,
}

/// A name in a directory.
#[derive(Debug, Clone, Copy)]
struct Name {
    nid: u64,
    /// Offsets in the image of the number and of the name's last character.
    number: u64,
    last: u64,
}

impl Image {
    /// Opens the image for change.
    pub fn open(path: &Path) -> Result<Self> {
        let file = OpenOptions::new().read(true).write(true).open(path);
        let file = file.with_context(|| format!("{}", path.display()))?;
        let mut image = Self { file, inodes: 0, root: 0 };
        let block = image.bytes(SUPERBLOCK, 128)?;
        ensure!(number(&block, 0, 4) == u64::from(MAGIC) && block[12] == 12, "no erofs image with blocks of 4 KiB");
        image.root = number(&block, 14, 2);
        image.inodes = number(&block, 40, 4) * BLOCK;
        Ok(image)
    }

    /// Makes `path` name what `other` names.
    pub fn redirect(&self, path: &str, other: &str) -> Result<()> {
        let (name, nid) = (self.find(path)?, self.find(other)?.nid);
        Ok(self.file.write_all_at(&nid.to_le_bytes(), name.number)?)
    }

    /// Gives `path` another name, so that it is missing.
    pub fn hide(&self, path: &str) -> Result<()> {
        let last = self.find(path)?.last;
        let byte = self.bytes(last, 1)?[0];
        // One more keeps the order in the directory, which is searched by halves.
        Ok(self.file.write_all_at(&[byte + 1], last)?)
    }

    /// Writes over the content of an uncompressed file; within its first block.
    pub fn overwrite(&self, path: &str, offset: u64, content: &[u8]) -> Result<()> {
        let inode = self.inode(self.find(path)?.nid)?;
        ensure!(offset + content.len() as u64 <= BLOCK.min(inode.size), "{path}: more than its first block");
        ensure!(inode.size >= BLOCK, "{path} is too small to have a block of its own");
        Ok(self.file.write_all_at(content, inode.start * BLOCK + offset)?)
    }

    fn find(&self, path: &str) -> Result<Name> {
        let mut nid = self.root;
        let mut found = None;
        for part in path.split('/') {
            let name = self.entry(nid, part)?.with_context(|| format!("no {part} of {path} in the image"))?;
            nid = name.nid;
            found = Some(name);
        }
        found.context("an empty path")
    }

    fn entry(&self, directory: u64, wanted: &str) -> Result<Option<Name>> {
        let inode = self.inode(directory)?;
        for number_of_block in 0..inode.size.div_ceil(BLOCK) {
            let length = BLOCK.min(inode.size - number_of_block * BLOCK);
            let place = match inode.tail {
                Some(tail) if length < BLOCK => tail,
                _ => (inode.start + number_of_block) * BLOCK,
            };
            let block = self.bytes(place, usize::try_from(length)?)?;
            let offset_of = |index: usize| usize::try_from(number(&block, index * ENTRY + 8, 2));
            let entries = offset_of(0)? / ENTRY;
            for index in 0..entries {
                let from = offset_of(index)?;
                let to = if index + 1 < entries { offset_of(index + 1)? } else { block.len() };
                let name = block.get(from..to).context("a directory's names lie outside its block")?;
                let name = name.split(|byte| *byte == 0).next().unwrap_or_default();
                if name == wanted.as_bytes() {
                    return Ok(Some(Name {
                        nid: number(&block, index * ENTRY, 8),
                        number: place + (index * ENTRY) as u64,
                        last: place + (from + name.len() - 1) as u64,
                    }));
                }
            }
        }
        Ok(None)
    }

    fn inode(&self, nid: u64) -> Result<Inode> {
        let place = self.inodes + nid * INODE;
        let bytes = self.bytes(place, 64)?;
        let format = number(&bytes, 0, 2);
        let (length, size) = if format & 1 == 0 { (32, number(&bytes, 8, 4)) } else { (64, number(&bytes, 8, 8)) };
        let attributes = match number(&bytes, 2, 2) {
            0 => 0,
            count => 12 + 4 * (count - 1),
        };
        let tail = match format >> 1 & 7 {
            0 => None,
            2 => Some(place + length + attributes),
            layout => bail!("inode {nid} has layout {layout}: it is compressed"),
        };
        Ok(Inode { size, start: number(&bytes, 16, 4), tail })
    }

    fn bytes(&self, offset: u64, length: usize) -> Result<Vec<u8>> {
        let mut bytes = vec![0; length];
        self.file.read_exact_at(&mut bytes, offset).context("the image ends too early")?;
        Ok(bytes)
    }
}

/// A little-endian number of `length` bytes; of zeros behind the end.
fn number(bytes: &[u8], offset: usize, length: usize) -> u64 {
    bytes.iter().skip(offset).take(length).rev().fold(0, |value, byte| value << 8 | u64::from(*byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A root with the files `init` (block 2) and `spare` (block 3); its entries lie behind its inode.
    fn image() -> tempfile::NamedTempFile {
        let mut bytes = vec![0; 4 * 4096];
        let mut put = |place: usize, content: &[u8]| bytes[place..place + content.len()].copy_from_slice(content);
        put(1024, &MAGIC.to_le_bytes());
        put(1024 + 12, &[12]);
        put(1024 + 40, &1_u32.to_le_bytes());
        let names = b"initspare";
        let size = 2 * ENTRY + names.len();
        // Compact inodes: format, attributes, mode, links, size, time, first block.
        put(4096, &[2 << 1, 0]);
        put(4096 + 8, &u32::try_from(size).unwrap().to_le_bytes());
        for (nid, block) in [(8_usize, 2_u32), (16, 3)] {
            put(4096 + nid * 32 + 8, &4096_u32.to_le_bytes());
            put(4096 + nid * 32 + 16, &block.to_le_bytes());
        }
        for (index, nid, name) in [(0, 8_u8, 24_u8), (1, 16, 28)] {
            put(4096 + 32 + index * ENTRY, &[nid, 0, 0, 0, 0, 0, 0, 0, name, 0, 1, 0]);
        }
        put(4096 + 32 + 2 * ENTRY, names);
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), bytes).unwrap();
        file
    }

    #[test]
    fn names_and_content_are_exchanged_in_place() {
        let file = image();
        let image = Image::open(file.path()).unwrap();
        image.overwrite("spare", 8, b"new").unwrap();
        assert_eq!(&std::fs::read(file.path()).unwrap()[3 * 4096 + 8..][..3], b"new");
        image.redirect("init", "spare").unwrap();
        assert_eq!(image.find("init").unwrap().nid, 16);
        image.hide("init").unwrap();
        assert!(image.find("init").is_err());
        assert_eq!(image.find("iniu").unwrap().nid, 16);
    }

    #[test]
    fn what_cannot_be_done_is_an_error() {
        let file = image();
        let image = Image::open(file.path()).unwrap();
        for error in [
            image.overwrite("gone", 0, b"x").unwrap_err(),
            image.overwrite("spare", 4090, b"too long").unwrap_err(),
            image.redirect("init", "spare/below").unwrap_err(),
        ] {
            assert!(!error.to_string().is_empty());
        }
        std::fs::write(file.path(), [0; 4096]).unwrap();
        assert!(Image::open(file.path()).is_err());
    }
}
