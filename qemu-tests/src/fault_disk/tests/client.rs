//! A client that says what a test tells it to, mistakes included.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

pub(super) struct Client(pub(super) UnixStream);

pub(super) const READ: u16 = 0;
pub(super) const WRITE: u16 = 1;
pub(super) const DISCONNECT: u16 = 2;
pub(super) const FLUSH: u16 = 3;
pub(super) const TRIM: u16 = 4;
pub(super) const WRITE_ZEROES: u16 = 6;
pub(super) const FUA: u16 = 1;

pub(super) fn option(number: u32, data: &[u8]) -> Vec<u8> {
    [b"IHAVEOPT", &number.to_be_bytes()[..], &(data.len() as u32).to_be_bytes(), data].concat()
}

/// Data of GO: no name, one information request.
pub(super) const BLOCK_SIZE: [u8; 8] = [0, 0, 0, 0, 0, 1, 0, 3];

impl Client {
    /// Reads the greeting and sends the client's flags.
    pub(super) fn greet(socket: &Path) -> Self {
        let stream = UnixStream::connect(socket).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        let mut client = Self(stream);
        assert_eq!(client.get(18), b"NBDMAGICIHAVEOPT\0\x03");
        client.put(&3_u32.to_be_bytes());
        client
    }

    /// Ready for requests.
    pub(super) fn go(socket: &Path) -> Self {
        let mut client = Self::greet(socket);
        client.put(&option(7, &BLOCK_SIZE));
        while client.option_reply().0 != 1 {}
        client
    }

    pub(super) fn put(&mut self, bytes: &[u8]) {
        self.0.write_all(bytes).unwrap();
    }

    pub(super) fn get(&mut self, length: usize) -> Vec<u8> {
        let mut bytes = vec![0; length];
        self.0.read_exact(&mut bytes).unwrap();
        bytes
    }

    fn number(&mut self) -> u32 {
        u32::from_be_bytes(self.get(4).try_into().unwrap())
    }

    /// Kind and data of a reply to an option.
    pub(super) fn option_reply(&mut self) -> (u32, Vec<u8>) {
        assert_eq!(self.get(8), 0x0003_e889_0455_65a9_u64.to_be_bytes());
        self.number();
        let (kind, length) = (self.number(), self.number());
        (kind, self.get(length as usize))
    }

    pub(super) fn request(flags: u16, kind: u16, cookie: u64, offset: u64, length: u32, data: &[u8]) -> Vec<u8> {
        let (flags, kind, cookie) = (flags.to_be_bytes(), kind.to_be_bytes(), cookie.to_be_bytes());
        let magic = 0x2560_9513_u32.to_be_bytes();
        [&magic[..], &flags, &kind, &cookie, &offset.to_be_bytes(), &length.to_be_bytes(), data].concat()
    }

    /// Error and cookie of a reply.
    pub(super) fn reply(&mut self) -> (u32, u64) {
        assert_eq!(self.number(), 0x6744_6698);
        (self.number(), u64::from_be_bytes(self.get(8).try_into().unwrap()))
    }

    /// Sends a request and returns its reply's error.
    pub(super) fn ask(&mut self, flags: u16, kind: u16, offset: u64, length: u32, data: &[u8]) -> u32 {
        self.put(&Self::request(flags, kind, 7, offset, length, data));
        let (error, cookie) = self.reply();
        assert_eq!(cookie, 7);
        error
    }

    pub(super) fn write(&mut self, offset: u64, data: &[u8]) {
        assert_eq!(self.ask(0, WRITE, offset, data.len() as u32, data), 0);
    }

    pub(super) fn flush(&mut self) {
        assert_eq!(self.ask(0, FLUSH, 0, 0, &[]), 0);
    }

    pub(super) fn read(&mut self, offset: u64, length: u32) -> Vec<u8> {
        assert_eq!(self.ask(0, READ, offset, length, &[]), 0);
        self.get(length as usize)
    }

    pub(super) fn ended(&mut self) -> bool {
        matches!(self.0.read(&mut [0]), Ok(0) | Err(_))
    }
}
