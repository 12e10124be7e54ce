//! Members of a tar archive, one after the other (POSIX.1-2008 pax; GNU long names), with bounded names.
//!
//! The `tar` crate decodes the fields of a header; its iterator is not used, because it reads names of any length into
//! memory and hides extended headers that matter here.

use crate::error::ImageError;
use std::io::{self, ErrorKind, Read};
use tar::{EntryType, Header, PaxExtensions};

const BLOCK: usize = 512;
/// Longest extended header or long name in bytes; PATH_MAX is 4096.
const MAX_EXTENDED: u64 = 64 << 10;
/// Extended headers in a row before one member.
const MAX_HEADERS: usize = 8;

/// One member; its content is read from [`Tar`].
#[derive(Debug, Clone)]
pub(crate) struct Member {
    pub(crate) path: Vec<u8>,
    pub(crate) link: Vec<u8>,
    pub(crate) kind: EntryType,
    pub(crate) mode: u32,
    pub(crate) uid: u64,
    pub(crate) gid: u64,
    /// Seconds since 1970.
    pub(crate) mtime: u64,
    pub(crate) size: u64,
    /// Where the content starts in the archive.
    pub(crate) offset: u64,
    /// It has `security.capability`, which gives privileges like a set-user-ID bit.
    pub(crate) has_capabilities: bool,
}

/// What extended headers say about the next member.
#[derive(Debug, Default)]
struct Extended {
    path: Option<Vec<u8>>,
    link: Option<Vec<u8>>,
    size: Option<u64>,
    uid: Option<u64>,
    gid: Option<u64>,
    has_capabilities: bool,
}

/// A reader of an archive; as a reader itself it gives the current member's content.
#[derive(Debug)]
pub(crate) struct Tar<R> {
    reader: R,
    position: u64,
    content: u64,
    padding: u64,
}

impl<R: Read> Tar<R> {
    pub(crate) fn new(reader: R) -> Self {
        Self { reader, position: 0, content: 0, padding: 0 }
    }

    /// The next member; `None` at the end.
    pub(crate) fn next(&mut self) -> Result<Option<Member>, ImageError> {
        self.find().map_err(|error| match error.kind() {
            ErrorKind::UnexpectedEof => ImageError::refused(self.place(), "the archive is cut off"),
            ErrorKind::InvalidData | ErrorKind::InvalidInput | ErrorKind::Other => {
                ImageError::refused(self.place(), error.to_string())
            }
            _ => ImageError::Io { what: "read archive".into(), source: error },
        })
    }

    /// Reads what is behind the end, so that a digest covers it; gives the reader back.
    pub(crate) fn finish(mut self) -> io::Result<R> {
        io::copy(&mut self.reader, &mut io::sink())?;
        Ok(self.reader)
    }

    fn place(&self) -> String {
        format!("byte {} of the archive", self.position)
    }

    fn find(&mut self) -> io::Result<Option<Member>> {
        let mut extended = Extended::default();
        for _ in 0..MAX_HEADERS {
            self.skip()?;
            let Some(block) = self.block()? else { return Ok(None) };
            let header = Header::from_byte_slice(&block);
            check_sum(&block, header)?;
            let kind = header.entry_type();
            let size = header.entry_size()?;
            if kind.is_pax_global_extensions() {
                self.begin(size)?;
            } else if kind.is_pax_local_extensions() {
                extended.read_pax(&self.extended(size)?)?;
            } else if kind.is_gnu_longname() {
                extended.path = Some(terminated(self.extended(size)?));
            } else if kind.is_gnu_longlink() {
                extended.link = Some(terminated(self.extended(size)?));
            } else {
                return self.member(header, extended).map(Some);
            }
        }
        Err(invalid("too many extended headers in a row"))
    }

    fn member(&mut self, header: &Header, extended: Extended) -> io::Result<Member> {
        let kind = header.entry_type();
        // Links carry no content, whatever their size says (POSIX.1-2008, pax Interchange Format, typeflag 1 and 2).
        let has_content = kind.is_file() || kind.is_contiguous();
        let size = if has_content { extended.size.unwrap_or(header.entry_size()?) } else { 0 };
        self.begin(size)?;
        let link = header.link_name_bytes().map(|bytes| bytes.into_owned()).unwrap_or_default();
        Ok(Member {
            path: extended.path.unwrap_or_else(|| header.path_bytes().into_owned()),
            link: extended.link.unwrap_or(link),
            kind,
            mode: header.mode()?,
            uid: extended.uid.map_or_else(|| header.uid(), Ok)?,
            gid: extended.gid.map_or_else(|| header.gid(), Ok)?,
            mtime: header.mtime().unwrap_or(0),
            size,
            offset: self.position,
            has_capabilities: extended.has_capabilities,
        })
    }

    /// A header; `None` at a block of zeros or at the end of the data.
    fn block(&mut self) -> io::Result<Option<[u8; BLOCK]>> {
        let mut block = [0; BLOCK];
        let mut filled = 0;
        while filled < BLOCK {
            match self.reader.read(&mut block[filled..])? {
                0 if filled == 0 => return Ok(None),
                0 => return Err(ErrorKind::UnexpectedEof.into()),
                count => filled += count,
            }
        }
        self.position += BLOCK as u64;
        Ok(block.iter().any(|byte| *byte != 0).then_some(block))
    }

    fn begin(&mut self, size: u64) -> io::Result<()> {
        let whole = size.checked_next_multiple_of(BLOCK as u64).ok_or_else(|| invalid("impossible size"))?;
        self.content = size;
        self.padding = whole - size;
        Ok(())
    }

    fn extended(&mut self, size: u64) -> io::Result<Vec<u8>> {
        if size > MAX_EXTENDED {
            return Err(invalid("a name or extended header is longer than 64 KiB"));
        }
        self.begin(size)?;
        let mut bytes = Vec::new();
        self.read_to_end(&mut bytes)?;
        Ok(bytes)
    }

    fn skip(&mut self) -> io::Result<()> {
        let left = self.content + self.padding;
        let skipped = io::copy(&mut (&mut self.reader).take(left), &mut io::sink())?;
        self.position += skipped;
        (self.content, self.padding) = (0, 0);
        if skipped < left { Err(ErrorKind::UnexpectedEof.into()) } else { Ok(()) }
    }
}

impl<R: Read> Read for Tar<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let wanted = buffer.len().min(usize::try_from(self.content).unwrap_or(usize::MAX));
        let count = self.reader.read(&mut buffer[..wanted])?;
        if count == 0 && wanted > 0 {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        self.content -= count as u64;
        self.position += count as u64;
        Ok(count)
    }
}

impl Extended {
    fn read_pax(&mut self, bytes: &[u8]) -> io::Result<()> {
        for record in PaxExtensions::new(bytes) {
            let record = record?;
            let value = record.value_bytes();
            let number = || std::str::from_utf8(value).ok().and_then(|text| text.parse().ok());
            let number = || number().ok_or_else(|| invalid("an extended header's number is none"));
            match record.key_bytes() {
                b"path" => self.path = Some(value.to_vec()),
                b"linkpath" => self.link = Some(value.to_vec()),
                b"size" => self.size = Some(number()?),
                b"uid" => self.uid = Some(number()?),
                b"gid" => self.gid = Some(number()?),
                b"SCHILY.xattr.security.capability" => self.has_capabilities = true,
                key if key.starts_with(b"GNU.sparse.") => return Err(invalid("sparse files are not supported")),
                _ => {}
            }
        }
        Ok(())
    }
}

/// The sum of all bytes, the sum's own field taken as spaces.
fn check_sum(block: &[u8; BLOCK], header: &Header) -> io::Result<()> {
    const FIELD: std::ops::Range<usize> = 148..156;
    let sum: u32 =
        block.iter().enumerate().map(|(at, byte)| u32::from(if FIELD.contains(&at) { b' ' } else { *byte })).sum();
    if header.cksum()? == sum { Ok(()) } else { Err(invalid("a header's checksum is wrong")) }
}

fn terminated(mut name: Vec<u8>) -> Vec<u8> {
    if let Some(end) = name.iter().position(|byte| *byte == 0) {
        name.truncate(end);
    }
    name
}

fn invalid(text: &'static str) -> io::Error {
    io::Error::new(ErrorKind::InvalidData, text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn archive() -> Vec<u8> {
        let mut builder = tar::Builder::new(Vec::new());
        let mut header = Header::new_gnu();
        header.set_size(700);
        header.set_mode(0o644);
        header.set_uid(0);
        header.set_gid(0);
        builder.append_data(&mut header.clone(), "n".repeat(200), &[7; 700][..]).unwrap();
        builder.append_pax_extensions([("size", b"700".as_slice()), ("path", b"p")]).unwrap();
        builder.append_data(&mut header, "short", &[7; 700][..]).unwrap();
        builder.into_inner().unwrap()
    }

    fn paths(bytes: &[u8]) -> Result<Vec<usize>, ImageError> {
        let mut tar = Tar::new(bytes);
        let mut lengths = Vec::new();
        while let Some(member) = tar.next()? {
            lengths.push(member.path.len());
        }
        Ok(lengths)
    }

    #[test]
    fn both_kinds_of_long_names_are_read() {
        assert_eq!(paths(&archive()).unwrap(), [200, 1]);
    }

    proptest! {
        /// Whatever is changed or missing: an error or a shorter list, no panic and no endless loop.
        #[test]
        fn broken_archives_end(at in 0_usize..4096, byte: u8, length in 0_usize..6000) {
            let mut bytes = archive();
            let at = at % bytes.len();
            bytes[at] = byte;
            bytes.truncate(length);
            if let Ok(found) = paths(&bytes) {
                prop_assert!(found.len() <= 10);
            }
        }
    }
}
