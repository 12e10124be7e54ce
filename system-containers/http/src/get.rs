//! One GET a connection, HTTP/1.1 (RFC 9112), over TCP or TLS. Heads are bounded; the body is a reader.

use crate::limits::Limits;
use crate::paced::Paced;
use crate::url::Url;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use std::cell::OnceCell;
use std::fmt;
use std::io::{self, BufRead, BufReader, Error, ErrorKind, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::path::PathBuf;
use std::sync::Arc;

/// Bytes of a head and header lines in it; registries send long redirects.
const MAX_HEAD: u64 = 32 << 10;
const MAX_HEADERS: usize = 64;
/// Bytes of the line before a chunk.
const MAX_CHUNK_LINE: u64 = 128;

trait Stream: Read + Write {}
impl<T: Read + Write> Stream for T {}

/// Makes connections.
#[derive(Debug)]
pub struct Connector {
    /// Certificates of authorities, PEM: a file, or a folder of files.
    roots: PathBuf,
    limits: Limits,
    tls: OnceCell<Arc<ClientConfig>>,
}

/// An answer; reading it reads the body.
pub struct Response {
    /// Status code.
    pub status: u16,
    headers: Vec<(String, String)>,
    stream: BufReader<Box<dyn Stream>>,
    framing: Framing,
}

/// How the body ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Framing {
    Length(u64),
    /// Bytes left of the current chunk; `None`: the next one's size comes first.
    Chunked(Option<u64>),
    Connection,
}

impl Connector {
    /// `roots`: certificates of authorities, PEM: a file, or a folder of files. They are read for the first TLS server.
    #[must_use]
    pub fn new(roots: PathBuf, limits: Limits) -> Self {
        Self { roots, limits, tls: OnceCell::new() }
    }

    /// Sends a request with further headers and reads the answer's head.
    pub fn get(&self, url: &Url, headers: &[(&str, &str)]) -> io::Result<Response> {
        let mut stream = self.connect(url)?;
        let mut request = format!(
            "GET {} HTTP/1.1\r\nHost: {}\r\nUser-Agent: hull/{}\r\nConnection: close\r\n",
            url.path,
            url.authority(),
            env!("CARGO_PKG_VERSION")
        );
        for (name, value) in headers {
            request += &format!("{name}: {value}\r\n");
        }
        request += "\r\n";
        stream.write_all(request.as_bytes())?;
        stream.flush()?;
        head(BufReader::with_capacity(64 << 10, stream))
    }

    fn connect(&self, url: &Url) -> io::Result<Box<dyn Stream>> {
        let mut last = Error::new(ErrorKind::NotFound, "the name has no address");
        for address in (url.host.as_str(), url.port).to_socket_addrs()? {
            match TcpStream::connect_timeout(&address, self.limits.connect) {
                Ok(stream) => {
                    let stream = Paced::new(stream, self.limits)?;
                    return if url.tls { self.secure(url, stream) } else { Ok(Box::new(stream)) };
                }
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    fn secure(&self, url: &Url, stream: Paced) -> io::Result<Box<dyn Stream>> {
        let config = match self.tls.get() {
            Some(config) => config,
            None => {
                let config = Arc::new(self.config()?);
                self.tls.get_or_init(|| config)
            }
        };
        let name = ServerName::try_from(url.host.clone()).map_err(Error::other)?;
        let connection = ClientConnection::new(Arc::clone(config), name).map_err(Error::other)?;
        Ok(Box::new(StreamOwned::new(connection, stream)))
    }

    fn config(&self) -> io::Result<ClientConfig> {
        let mut roots = RootCertStore::empty();
        let files: Vec<PathBuf> = match self.roots.is_dir() {
            true => std::fs::read_dir(&self.roots)?
                .map(|entry| entry.map(|entry| entry.path()))
                .collect::<Result<_, _>>()?,
            false => vec![self.roots.clone()],
        };
        for file in files {
            let fault = |error: rustls::pki_types::pem::Error| Error::other(format!("{}: {error}", file.display()));
            for certificate in CertificateDer::pem_file_iter(&file).map_err(fault)? {
                // A bundle may hold roots that are no longer well formed; the others count.
                roots.add(certificate.map_err(fault)?).ok();
            }
        }
        if roots.is_empty() {
            return Err(Error::other(format!("{}: no certificates", self.roots.display())));
        }
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
        Ok(builder.map_err(Error::other)?.with_root_certificates(roots).with_no_client_auth())
    }
}

fn head(mut stream: BufReader<Box<dyn Stream>>) -> io::Result<Response> {
    let mut bytes = Vec::new();
    while !bytes.ends_with(b"\r\n\r\n") {
        let left = MAX_HEAD.saturating_sub(bytes.len() as u64);
        if (&mut stream).take(left).read_until(b'\n', &mut bytes)? == 0 {
            return Err(Error::new(ErrorKind::UnexpectedEof, "the answer's head is cut off or too long"));
        }
    }
    let mut space = [httparse::EMPTY_HEADER; MAX_HEADERS];
    let mut parsed = httparse::Response::new(&mut space);
    parsed.parse(&bytes).map_err(|error| Error::new(ErrorKind::InvalidData, format!("not an HTTP answer: {error}")))?;
    let status = parsed.code.ok_or_else(|| invalid("no status"))?;
    let text = |header: &httparse::Header<'_>| {
        (header.name.to_ascii_lowercase(), String::from_utf8_lossy(header.value).trim().to_owned())
    };
    let headers: Vec<_> = parsed.headers.iter().map(text).collect();
    let mut response = Response { status, headers, stream, framing: Framing::Connection };
    let length = response.header("content-length").map(|text| text.parse().map_err(|_| invalid("content-length")));
    // RFC 9112, section 6.3: chunked wins over a length.
    response.framing = match response.header("transfer-encoding") {
        Some("chunked") => Framing::Chunked(None),
        Some(_) => return Err(invalid("transfer-encoding")),
        None => length.transpose()?.map_or(Framing::Connection, Framing::Length),
    };
    Ok(response)
}

impl Response {
    /// The first header of the name, which is in lower case.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    fn chunk(&mut self) -> io::Result<u64> {
        let mut line = Vec::new();
        (&mut self.stream).take(MAX_CHUNK_LINE).read_until(b'\n', &mut line)?;
        let text =
            std::str::from_utf8(&line).ok().filter(|text| text.ends_with('\n')).ok_or_else(|| invalid("chunk"))?;
        let digits = text.split(';').next().unwrap_or_default().trim();
        u64::from_str_radix(digits, 16).map_err(|_| invalid("chunk size"))
    }
}

impl Read for Response {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        if self.framing == Framing::Chunked(None) {
            let size = self.chunk()?;
            self.framing = if size == 0 { Framing::Length(0) } else { Framing::Chunked(Some(size)) };
        }
        let left = match self.framing {
            Framing::Length(left) | Framing::Chunked(Some(left)) => left,
            Framing::Connection | Framing::Chunked(None) => u64::MAX,
        };
        let count = (&mut self.stream).take(left).read(buffer)?;
        let left = left - count as u64;
        match &mut self.framing {
            Framing::Connection | Framing::Length(0) => {}
            _ if count == 0 => return Err(Error::new(ErrorKind::UnexpectedEof, "the answer is cut off")),
            Framing::Length(bytes) => *bytes = left,
            Framing::Chunked(bytes) => {
                *bytes = (left > 0).then_some(left);
                if bytes.is_none() {
                    let mut end = [0; 2];
                    self.stream.read_exact(&mut end)?;
                }
            }
        }
        Ok(count)
    }
}

impl fmt::Debug for Response {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Response").field("status", &self.status).field("framing", &self.framing).finish_non_exhaustive()
    }
}

fn invalid(what: &str) -> Error {
    Error::new(ErrorKind::InvalidData, format!("bad HTTP answer: {what}"))
}
