//! One request a connection, HTTP/1.1 (RFC 9112), over TCP or TLS.

use crate::answer::Response;
use crate::limits::Limits;
use crate::paced::Paced;
use crate::privileged;
use crate::url::Url;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use std::cell::OnceCell;
use std::io::{self, BufReader, Error, ErrorKind, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::path::PathBuf;
use std::sync::Arc;

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

/// A request.
#[derive(Debug, Clone, Copy)]
pub struct Request<'r> {
    /// `GET` and the like.
    pub method: &'r str,
    /// Where to.
    pub url: &'r Url,
    /// Headers besides those that every request has.
    pub headers: &'r [(&'r str, &'r str)],
    /// Body.
    pub body: Option<&'r [u8]>,
    /// From a port below 1024, which takes the capability NET_BIND_SERVICE.
    pub from_privileged_port: bool,
}

impl Connector {
    /// `roots`: certificates of authorities, PEM: a file, or a folder of files. They are read for the first TLS server.
    #[must_use]
    pub fn new(roots: PathBuf, limits: Limits) -> Self {
        Self { roots, limits, tls: OnceCell::new() }
    }

    /// Sends a GET with further headers and reads the answer's head.
    pub fn get(&self, url: &Url, headers: &[(&str, &str)]) -> io::Result<Response> {
        self.send(&Request { method: "GET", url, headers, body: None, from_privileged_port: false })
    }

    /// Sends a form (`application/x-www-form-urlencoded`) and reads the answer's head.
    pub fn post(&self, url: &Url, form: &str) -> io::Result<Response> {
        let headers = &[("Content-Type", "application/x-www-form-urlencoded")];
        let body = Some(form.as_bytes());
        self.send(&Request { method: "POST", url, headers, body, from_privileged_port: false })
    }

    /// Sends a request with further headers and reads the answer's head. A body is sent with its length.
    pub fn send(&self, request: &Request<'_>) -> io::Result<Response> {
        let Request { method, url, headers, body, from_privileged_port } = *request;
        let mut stream = self.connect(url, from_privileged_port)?;
        let mut head = format!(
            "{method} {} HTTP/1.1\r\nHost: {}\r\nUser-Agent: hull/{}\r\nConnection: close\r\n",
            url.path,
            url.authority(),
            env!("CARGO_PKG_VERSION")
        );
        for (name, value) in headers {
            head += &format!("{name}: {value}\r\n");
        }
        if let Some(body) = body {
            head += &format!("Content-Length: {}\r\n", body.len());
        }
        head += "\r\n";
        stream.write_all(head.as_bytes())?;
        stream.write_all(body.unwrap_or_default())?;
        stream.flush()?;
        Response::of(BufReader::with_capacity(64 << 10, Box::new(stream)))
    }

    fn connect(&self, url: &Url, from_privileged_port: bool) -> io::Result<Box<dyn Stream>> {
        let mut last = Error::new(ErrorKind::NotFound, "the name has no address");
        for address in (url.host.as_str(), url.port).to_socket_addrs()? {
            let connected = match from_privileged_port {
                true => privileged::connect(address, self.limits.connect),
                false => TcpStream::connect_timeout(&address, self.limits.connect),
            };
            match connected {
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
