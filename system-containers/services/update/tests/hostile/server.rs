//! A server of files below a folder that lies as a test wants.

use rustls::pki_types::PrivateKeyDer;
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

/// What happens to one request.
#[derive(Clone, Debug)]
pub(crate) enum Lie {
    /// The file.
    Honest,
    /// Always the whole file.
    NoRanges,
    /// That many bytes of the body, then nothing.
    Cut(usize),
    /// Another body.
    Body(Vec<u8>),
    /// Zeros without an end, and no word on how many.
    Endless,
    /// A byte now and then.
    Drip,
    /// Elsewhere.
    Redirect(String),
    /// Another range than asked for.
    OtherRange,
    /// Nothing but a status.
    Status(u16),
}

type Answer = dyn Fn(&str) -> Lie + Send + Sync;

/// Runs until it is dropped.
pub(crate) struct Server {
    pub(crate) url: String,
    /// Bytes of bodies.
    sent: Arc<AtomicU64>,
    requests: Arc<Mutex<Vec<String>>>,
    is_over: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

/// An authority and a server it vouches for, made for one test.
pub(crate) struct Tls {
    pub(crate) authority: String,
    config: Arc<ServerConfig>,
}

impl Tls {
    pub(crate) fn new() -> Self {
        let key = rcgen::KeyPair::generate().unwrap();
        let mut parameters = rcgen::CertificateParams::default();
        parameters.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        let authority = parameters.self_signed(&key).unwrap().pem();
        let issuer = rcgen::Issuer::new(parameters, key);
        let key = rcgen::KeyPair::generate().unwrap();
        let server = rcgen::CertificateParams::new(["127.0.0.1".to_owned()]).unwrap().signed_by(&key, &issuer).unwrap();
        let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
        let config = config.with_no_client_auth().with_single_cert(vec![server.der().clone()], key).unwrap();
        Self { authority, config: Arc::new(config) }
    }
}

trait Stream: Read + Write {}
impl<T: Read + Write> Stream for T {}

impl Server {
    /// Answers every request as `lie` says of its path.
    pub(crate) fn new(folder: PathBuf, tls: Option<&Tls>, lie: impl Fn(&str) -> Lie + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let scheme = if tls.is_some() { "https" } else { "http" };
        let url = format!("{scheme}://{}/hull", listener.local_addr().unwrap());
        let (sent, requests, is_over) = (Arc::default(), Arc::default(), Arc::<AtomicBool>::default());
        let (sent2, requests2, is_over2) = (Arc::clone(&sent), Arc::clone(&requests), Arc::clone(&is_over));
        let config = tls.map(|tls| Arc::clone(&tls.config));
        let thread = std::thread::spawn(move || {
            while let Ok((stream, _)) = listener.accept() {
                if is_over2.load(Ordering::SeqCst) {
                    return;
                }
                let stream: Box<dyn Stream> = match &config {
                    Some(config) => {
                        let connection = ServerConnection::new(Arc::clone(config)).unwrap();
                        Box::new(StreamOwned::new(connection, stream))
                    }
                    None => Box::new(stream),
                };
                // A client that hangs up is none of the server's business.
                answer(stream, &folder, &lie, &sent2, &requests2).ok();
            }
        });
        Self { url, sent, requests, is_over, thread: Some(thread) }
    }

    pub(crate) fn sent(&self) -> u64 {
        self.sent.swap(0, Ordering::SeqCst)
    }

    pub(crate) fn requests(&self) -> Vec<String> {
        std::mem::take(&mut self.requests.lock().unwrap())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::SeqCst);
        let address = self.url.split('/').nth(2).unwrap();
        TcpStream::connect(address).ok();
        self.thread.take().unwrap().join().unwrap();
    }
}

fn answer(
    mut stream: Box<dyn Stream>,
    folder: &std::path::Path,
    lie: &Answer,
    sent: &AtomicU64,
    requests: &Mutex<Vec<String>>,
) -> std::io::Result<()> {
    let mut head = String::new();
    let mut reader = BufReader::new(&mut stream);
    while !head.ends_with("\r\n\r\n") && reader.read_line(&mut head)? > 0 {}
    let path = head.split(' ').nth(1).unwrap_or_default().trim_start_matches("/hull/").to_owned();
    requests.lock().unwrap().push(path.clone());
    let lie = lie(&path);
    let mut send = |bytes: &[u8]| -> std::io::Result<()> {
        stream.write_all(bytes)?;
        sent.fetch_add(bytes.len() as u64, Ordering::SeqCst);
        stream.flush()
    };
    match &lie {
        Lie::Endless => {
            send(b"HTTP/1.1 200 OK\r\n\r\n")?;
            loop {
                send(&[b' '; 65536])?;
            }
        }
        Lie::Drip => {
            send(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")?;
            loop {
                send(b" ")?;
                std::thread::sleep(Duration::from_millis(2));
            }
        }
        Lie::Redirect(to) => return send(format!("HTTP/1.1 302 Found\r\nLocation: {to}\r\n\r\n").as_bytes()),
        Lie::Status(status) => return send(format!("HTTP/1.1 {status} No\r\nContent-Length: 0\r\n\r\n").as_bytes()),
        _ => {}
    }
    let body = match &lie {
        Lie::Body(body) => body.clone(),
        _ => match std::fs::read(folder.join(&path)) {
            Ok(body) => body,
            Err(_) => return send(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"),
        },
    };
    let range = head.lines().find_map(|line| line.strip_prefix("Range: bytes=")).and_then(|text| text.split_once('-'));
    let (status, part) = match range.filter(|_| !matches!(lie, Lie::NoRanges)) {
        None => ("200 OK".to_owned(), &body[..]),
        Some((from, to)) => {
            let from: usize = from.parse().unwrap();
            let to = to.parse().map_or(body.len(), |to: usize| to + 1).min(body.len());
            let shown = if matches!(lie, Lie::OtherRange) { from + 1 } else { from };
            if from > to {
                return send(b"HTTP/1.1 416 No\r\nContent-Length: 0\r\n\r\n");
            }
            (format!("206 Part\r\nContent-Range: bytes {shown}-{}/{}", to - 1, body.len()), &body[from..to])
        }
    };
    stream.write_all(format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\n\r\n", part.len()).as_bytes())?;
    let part = if let Lie::Cut(count) = lie { &part[..count.min(part.len())] } else { part };
    stream.write_all(part)?;
    sent.fetch_add(part.len() as u64, Ordering::SeqCst);
    stream.flush()
}
