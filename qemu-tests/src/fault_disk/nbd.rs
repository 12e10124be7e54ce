//! The server's side of the NBD protocol as bytes: handshake, requests, simple replies.
//!
//! Specification: <https://github.com/NetworkBlockDevice/nbd/blob/master/doc/proto.md>. Numbers are big-endian. Fixed
//! newstyle with the options QEMU's client uses; there is one export, with any name.

use super::cut::SECTOR;
use anyhow::{Context, Result, bail, ensure};
use std::io::{Read, Write};
use std::ops::Range;

const MAGIC: u64 = 0x4e42_444d_4147_4943;
const OPTION_MAGIC: u64 = 0x4948_4156_454f_5054;
const OPTION_REPLY_MAGIC: u64 = 0x0003_e889_0455_65a9;
const REQUEST_MAGIC: u32 = 0x2560_9513;
const REPLY_MAGIC: u32 = 0x6744_6698;

const FIXED_NEWSTYLE: u16 = 1;
const NO_ZEROES: u16 = 2;

const EXPORT_NAME: u32 = 1;
const ABORT: u32 = 2;
const LIST: u32 = 3;
const INFO: u32 = 6;
const GO: u32 = 7;

const ACK: u32 = 1;
const SERVER: u32 = 2;
const INFORMATION: u32 = 3;
const UNSUPPORTED: u32 = (1 << 31) + 1;
const INVALID: u32 = (1 << 31) + 3;
const BLOCK_SIZE_REQUIRED: u32 = (1 << 31) + 8;

const INFO_EXPORT: u16 = 0;
const INFO_BLOCK_SIZE: u16 = 3;
/// Block sizes told: minimum, preferred; the maximum is [`PAYLOAD_LIMIT`].
const BLOCK_SIZES: [u32; 2] = [512, 4096];

/// `HAS_FLAGS`, `SEND_FLUSH`, `SEND_FUA`, `SEND_TRIM`, `SEND_WRITE_ZEROES`.
const TRANSMISSION_FLAGS: u16 = 1 | 1 << 2 | 1 << 3 | 1 << 5 | 1 << 6;

/// Longest data of a request or reply: the limit the specification advises for clients that do not ask.
pub const PAYLOAD_LIMIT: u32 = 32 << 20;
/// Longest option: a name of 4096 bytes and some information requests.
const OPTION_LIMIT: u32 = 8192;
/// Options of a handshake, so that a client cannot keep a thread with them.
const OPTIONS_LIMIT: usize = 64;

/// Errors of requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u32)]
pub enum Errno {
    /// EIO.
    Io = 5,
    /// EINVAL.
    Invalid = 22,
    /// ENOSPC: a change behind the end.
    NoSpace = 28,
}

/// What a request is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// Send bytes.
    Read(Range<u64>),
    /// Write the bytes from this offset on.
    Write(u64, Vec<u8>),
    /// Forget a range.
    Trim(Range<u64>),
    /// Make a range zero.
    WriteZeroes(Range<u64>),
    /// Put everything answered so far on the medium.
    Flush,
    /// Good-bye; not answered.
    Disconnect,
    /// Refused with this error.
    Bad(Errno),
}

/// A request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// Returned with the answer.
    pub cookie: u64,
    /// The answer promises that the change is on the medium.
    pub fua: bool,
    /// What to do.
    pub command: Command,
}

/// Takes a client to the point where it sends requests; false when it went away before in an orderly manner.
pub fn handshake(stream: &mut (impl Read + Write), size: u64) -> Result<bool> {
    let greeting = [&MAGIC.to_be_bytes()[..], &OPTION_MAGIC.to_be_bytes(), &(FIXED_NEWSTYLE | NO_ZEROES).to_be_bytes()];
    stream.write_all(&greeting.concat())?;
    let flags = number(stream)?;
    ensure!(flags & u32::from(FIXED_NEWSTYLE) != 0, "the client does not know fixed newstyle: flags {flags:#x}");
    for _ in 0..OPTIONS_LIMIT {
        let mut magic = [0; 8];
        stream.read_exact(&mut magic)?;
        ensure!(u64::from_be_bytes(magic) == OPTION_MAGIC, "no option");
        let (option, length) = (number(stream)?, number(stream)?);
        ensure!(length <= OPTION_LIMIT, "option {option} with {length} bytes");
        let mut data = vec![0; usize::try_from(length)?];
        stream.read_exact(&mut data)?;
        let mut reply = |kind: u32, data: &[u8]| -> Result<()> {
            let length = u32::try_from(data.len())?.to_be_bytes();
            let head = [&OPTION_REPLY_MAGIC.to_be_bytes()[..], &option.to_be_bytes(), &kind.to_be_bytes(), &length];
            Ok(stream.write_all(&[&head.concat(), data].concat())?)
        };
        match option {
            EXPORT_NAME => {
                let zeroes = if flags & u32::from(NO_ZEROES) == 0 { 124 } else { 0 };
                let export = [&size.to_be_bytes()[..], &TRANSMISSION_FLAGS.to_be_bytes(), &vec![0; zeroes]];
                stream.write_all(&export.concat())?;
                return Ok(true);
            }
            ABORT => {
                reply(ACK, &[])?;
                return Ok(false);
            }
            LIST if data.is_empty() => {
                // One export, whose name is empty: the length of the name.
                reply(SERVER, &0_u32.to_be_bytes())?;
                reply(ACK, &[])?;
            }
            INFO | GO => match information_requests(&data) {
                Some(asked) if option == INFO || asked.contains(&INFO_BLOCK_SIZE) => {
                    let export =
                        [&INFO_EXPORT.to_be_bytes()[..], &size.to_be_bytes(), &TRANSMISSION_FLAGS.to_be_bytes()];
                    reply(INFORMATION, &export.concat())?;
                    let [minimum, preferred] = BLOCK_SIZES.map(u32::to_be_bytes);
                    let sizes =
                        [&INFO_BLOCK_SIZE.to_be_bytes()[..], &minimum, &preferred, &PAYLOAD_LIMIT.to_be_bytes()];
                    reply(INFORMATION, &sizes.concat())?;
                    reply(ACK, &[])?;
                    if option == GO {
                        return Ok(true);
                    }
                }
                // Without asking, a client may send requests of single bytes, which this disk refuses.
                Some(_) => reply(BLOCK_SIZE_REQUIRED, &[])?,
                None => reply(INVALID, &[])?,
            },
            LIST => reply(INVALID, &[])?,
            _ => reply(UNSUPPORTED, &[])?,
        }
    }
    bail!("more than {OPTIONS_LIMIT} options")
}

/// Data of INFO and GO: name, and the numbers of what is asked for.
fn information_requests(data: &[u8]) -> Option<Vec<u16>> {
    let (length, rest) = data.split_first_chunk()?;
    let rest = rest.get(usize::try_from(u32::from_be_bytes(*length)).ok()?..)?;
    let (count, rest) = rest.split_first_chunk()?;
    if rest.len() != 2 * usize::from(u16::from_be_bytes(*count)) {
        return None;
    }
    Some(rest.chunks_exact(2).map(|pair| u16::from_be_bytes([pair[0], pair[1]])).collect())
}

fn number(stream: &mut impl Read) -> Result<u32> {
    let mut bytes = [0; 4];
    stream.read_exact(&mut bytes)?;
    Ok(u32::from_be_bytes(bytes))
}

const READ: u16 = 0;
const WRITE: u16 = 1;
const DISCONNECT: u16 = 2;
const FLUSH: u16 = 3;
const TRIM: u16 = 4;
const WRITE_ZEROES: u16 = 6;

const FUA: u16 = 1;
const NO_HOLE: u16 = 2;

impl Request {
    /// Reads one in full, with its data. An error means that the connection cannot go on.
    pub fn read(stream: &mut impl Read, size: u64) -> Result<Self> {
        let mut head = [0; 28];
        stream.read_exact(&mut head).context("request")?;
        let [magic, length] = [0, 24].map(|at| u32::from_be_bytes([0, 1, 2, 3].map(|i| head[at + i])));
        let [flags, kind] = [4, 6].map(|at| u16::from_be_bytes([head[at], head[at + 1]]));
        let [cookie, offset] = [8, 16].map(|at| u64::from_be_bytes([0, 1, 2, 3, 4, 5, 6, 7].map(|i| head[at + i])));
        ensure!(magic == REQUEST_MAGIC, "no request: {magic:#x}");
        let mut data = Vec::new();
        if kind == WRITE {
            ensure!(length <= PAYLOAD_LIMIT, "a write of {length} bytes");
            data.resize(usize::try_from(length)?, 0);
            stream.read_exact(&mut data).context("data of a write")?;
        }
        let known = if kind == WRITE_ZEROES { FUA | NO_HOLE } else { FUA };
        let command = match (kind, bounds(kind, offset, length, size)) {
            (DISCONNECT, _) => Command::Disconnect,
            _ if flags & !known != 0 => Command::Bad(Errno::Invalid),
            (FLUSH, _) => Command::Flush,
            (READ | WRITE | TRIM | WRITE_ZEROES, Err(error)) => Command::Bad(error),
            (READ, Ok(range)) => Command::Read(range),
            (WRITE, Ok(_)) => Command::Write(offset, data),
            (TRIM, Ok(range)) => Command::Trim(range),
            (WRITE_ZEROES, Ok(range)) => Command::WriteZeroes(range),
            _ => Command::Bad(Errno::Invalid),
        };
        Ok(Self { cookie, fua: flags & FUA != 0, command })
    }
}

fn bounds(kind: u16, offset: u64, length: u32, size: u64) -> Result<Range<u64>, Errno> {
    let outside = if kind == READ { Errno::Invalid } else { Errno::NoSpace };
    let end = offset.checked_add(length.into()).filter(|end| *end <= size).ok_or(outside)?;
    let whole = offset % SECTOR == 0 && end % SECTOR == 0 && end > offset;
    if whole && (kind != READ || length <= PAYLOAD_LIMIT) { Ok(offset..end) } else { Err(Errno::Invalid) }
}

/// A simple reply; after it, `length` bytes are left in `buffer` for the data of a read.
pub fn reply(cookie: u64, answer: Result<usize, Errno>, buffer: &mut Vec<u8>) {
    let (error, length) = match answer {
        Ok(length) => (0, length),
        Err(error) => (error as u32, 0),
    };
    buffer.clear();
    buffer.extend(REPLY_MAGIC.to_be_bytes());
    buffer.extend(error.to_be_bytes());
    buffer.extend(cookie.to_be_bytes());
    buffer.resize(REPLY + length, 0);
}

/// Length of a reply without data.
pub const REPLY: usize = 16;
