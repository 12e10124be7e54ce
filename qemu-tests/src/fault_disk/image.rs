//! A disk's content at one moment: a base file, and extents over it that point into traces. Copying an image copies the
//! map only; [`Image::export`] makes a file of it for tools of this machine.

use super::cut::{Fate, Plan, SECTOR, Version};
use super::extents::{Extents, Source};
use super::trace::{Content, Event, Trace};
use anyhow::{Context, Result, ensure};
use rustix::fs::SeekFrom;
use rustix::io::Errno;
use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;

/// What is copied at a time.
const CHUNK: u64 = 1 << 20;

/// A disk's content.
#[derive(Debug, Clone)]
pub struct Image {
    size: u64,
    extents: Extents,
}

impl Image {
    /// A raw file, which nobody may write meanwhile, made longer by zeros to `size` bytes.
    pub fn of_file(base: &Path, size: u64) -> Result<Self> {
        let file = File::open(base).with_context(|| format!("base image {}", base.display()))?;
        let length = file.metadata()?.len();
        ensure!(size >= length, "a disk of {size} bytes on a base of {length}: {}", base.display());
        ensure!(size % SECTOR == 0, "a disk of {size} bytes is not made of sectors");
        let mut extents = Extents::default();
        extents.put(0..length, Source::File(Arc::new(file), 0));
        Ok(Self { size, extents })
    }

    /// Bytes.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Fills `buffer` with the bytes from `offset` on, which must be there.
    pub fn read(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        let mut rest = buffer;
        let end = offset + rest.len() as u64;
        for piece in self.extents.pieces(offset..end) {
            let length = usize::try_from(piece.range.end - piece.range.start).map_err(io::Error::other)?;
            let (part, after) = rest.split_at_mut(length);
            match piece.source {
                Some(source) => source.read(part)?,
                None => part.fill(0),
            }
            rest = after;
        }
        Ok(())
    }

    /// Puts a source's bytes over a range.
    pub fn put(&mut self, range: Range<u64>, source: Source) {
        self.extents.put(range, source);
    }

    /// Makes a range zero.
    pub fn clear(&mut self, range: Range<u64>) {
        self.extents.clear(range);
    }

    /// The image after a cut of which `trace` was begun on this one.
    pub fn after(&self, trace: &Trace, plan: &Plan) -> Result<Self> {
        ensure!(trace.size == self.size, "a trace of a disk of {} bytes on one of {}", trace.size, self.size);
        let mut image = self.clone();
        for number in &plan.durable {
            image.apply(trace, *number, None)?;
        }
        // Versions are mixed out of the durable image, of which whole sectors would take parts away.
        let mut torn = Vec::new();
        for (sector, fate) in &plan.sectors {
            if let Fate::Torn { split, head, tail } = fate {
                let mut bytes = image.sector(trace, *sector, *head)?;
                let other = image.sector(trace, *sector, *tail)?;
                let split = usize::from(*split);
                bytes[split..].copy_from_slice(&other[split..]);
                torn.push((*sector, bytes));
            }
        }
        for (sector, fate) in &plan.sectors {
            if let Fate::Whole(Some(number)) = fate {
                image.apply(trace, *number, Some(*sector))?;
            }
        }
        for (sector, bytes) in torn {
            image.put(sector * SECTOR..(sector + 1) * SECTOR, Source::Bytes(bytes.into(), 0));
        }
        Ok(image)
    }

    fn sector(&self, trace: &Trace, sector: u64, version: Version) -> Result<Vec<u8>> {
        let mut bytes = vec![0; usize::try_from(SECTOR)?];
        match version {
            None => self.read(sector * SECTOR, &mut bytes)?,
            Some(number) => {
                // One sector over nothing: cheap, and there is one way only to apply a record.
                let mut alone = Self { size: self.size, extents: Extents::default() };
                alone.apply(trace, number, Some(sector))?;
                alone.read(sector * SECTOR, &mut bytes)?;
            }
        }
        Ok(bytes)
    }

    /// Applies a change, or the part of it on one sector. Changes are made of whole sectors: the server refuses others.
    fn apply(&mut self, trace: &Trace, number: usize, sector: Option<u64>) -> Result<()> {
        let record = trace.records.get(number).with_context(|| format!("no record {number}"))?;
        let Event::Change { range, content, .. } = &record.event else { return Ok(()) };
        let part = match sector {
            None => range.clone(),
            Some(sector) => range.start.max(sector * SECTOR)..range.end.min((sector + 1) * SECTOR),
        };
        match content {
            Content::Zeroes | Content::Trim => self.clear(part),
            Content::Data(at) => {
                let from = at + (part.start - range.start);
                self.put(part, Source::File(Arc::clone(trace.file()), from));
            }
        }
        Ok(())
    }

    /// Writes a range of the disk to a new sparse file.
    pub fn export(&self, range: Range<u64>, path: &Path) -> Result<()> {
        let file = File::create(path).with_context(|| format!("{}", path.display()))?;
        file.set_len(range.end - range.start)?;
        self.fill(range.clone(), &file, range.start).with_context(|| format!("bytes {range:?} to {}", path.display()))
    }

    /// Writes a sparse file as long as the disk, of which only `parts` are there.
    pub fn excerpt(&self, parts: &[Range<u64>], path: &Path) -> Result<()> {
        let file = File::create(path).with_context(|| format!("{}", path.display()))?;
        file.set_len(self.size)?;
        for part in parts {
            self.fill(part.clone(), &file, 0).with_context(|| format!("bytes {part:?} to {}", path.display()))?;
        }
        Ok(())
    }

    /// Copies a range to a file that begins with byte `origin` of the disk.
    fn fill(&self, range: Range<u64>, file: &File, origin: u64) -> io::Result<()> {
        for piece in self.extents.pieces(range) {
            let to = piece.range.start - origin;
            let length = piece.range.end - piece.range.start;
            match piece.source {
                None => {}
                Some(Source::File(from, at)) => {
                    for part in data(&from, at..at + length)? {
                        let source = Source::File(Arc::clone(&from), part.start);
                        copy(source, file, to + part.start - at, part.end - part.start)?;
                    }
                }
                Some(source) => copy(source, file, to, length)?,
            }
        }
        Ok(())
    }
}

fn copy(mut source: Source, file: &File, mut to: u64, length: u64) -> io::Result<()> {
    let mut rest = length;
    let mut buffer = Vec::new();
    while rest > 0 {
        let part = rest.min(CHUNK);
        buffer.resize(usize::try_from(part).map_err(io::Error::other)?, 0);
        source.read(&mut buffer)?;
        file.write_all_at(&buffer, to)?;
        source = source.after(part);
        (to, rest) = (to + part, rest - part);
    }
    Ok(())
}

/// The parts of a file's range that are not holes.
fn data(file: &File, range: Range<u64>) -> io::Result<Vec<Range<u64>>> {
    let mut parts = Vec::new();
    let mut at = range.start;
    while at < range.end {
        let start = match rustix::fs::seek(file, SeekFrom::Data(at)) {
            Ok(start) if start < range.end => start,
            Ok(_) | Err(Errno::NXIO) => break,
            Err(error) => return Err(error.into()),
        };
        let end = rustix::fs::seek(file, SeekFrom::Hole(start))?.min(range.end);
        parts.push(start..end);
        at = end;
    }
    Ok(parts)
}
