//! Metadata services as clouds have them, at their own addresses in a network namespace of the tests' own.
//!
//! | module | what |
//! |---|---|
//! | [`clouds`] | what each cloud's firmware says and its service answers |
//!
//! A service can have trouble first: errors, broken and endless answers, as they happen in the first seconds of a machine.

pub mod clouds;

use crate::namespace::within;
use anyhow::{Context, Result};
use clouds::{Answer, Cloud};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

/// How long a request may take to arrive.
const PATIENCE: Duration = Duration::from_secs(10);
/// Bytes of a head or body that are read.
const MAX_REQUEST: u64 = 64 << 10;

/// A running service, ended when dropped.
#[derive(Debug)]
pub struct Service {
    shared: Arc<Shared>,
    listeners: Vec<(SocketAddr, JoinHandle<()>)>,
    namespace: Option<String>,
}

#[derive(Debug)]
struct Shared {
    cloud: Cloud,
    trouble: AtomicUsize,
    ended: AtomicBool,
    seen: Mutex<Vec<String>>,
}

impl Service {
    /// Starts a cloud's service in a named network namespace, or in the caller's. The first `trouble` requests are answered
    /// badly, each in another way.
    pub fn start(cloud: &Cloud, namespace: Option<&str>, trouble: usize) -> Result<Self> {
        let shared = Arc::new(Shared {
            cloud: cloud.clone(),
            trouble: AtomicUsize::new(trouble),
            ended: AtomicBool::new(false),
            seen: Mutex::default(),
        });
        let mut service =
            Self { shared: Arc::clone(&shared), listeners: Vec::new(), namespace: namespace.map(str::to_owned) };
        for address in cloud.addresses {
            let address: SocketAddr = format!("{address}:80").parse()?;
            let listener = within(namespace, move || TcpListener::bind(address).map_err(Into::into))?;
            let shared = Arc::clone(&shared);
            let thread = std::thread::spawn(move || {
                for stream in listener.incoming().flatten() {
                    if shared.ended.load(Ordering::SeqCst) {
                        return;
                    }
                    // A client that breaks off is its own affair.
                    serve(&shared, stream).ok();
                }
            });
            service.listeners.push((address, thread));
        }
        Ok(service)
    }

    /// Requests so far, as `GET /path`.
    pub fn seen(&self) -> Vec<String> {
        self.shared.seen.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        self.shared.ended.store(true, Ordering::SeqCst);
        for (address, thread) in self.listeners.drain(..) {
            // Wakes it.
            drop(within(self.namespace.as_deref(), move || Ok(TcpStream::connect_timeout(&address, PATIENCE)?)));
            drop(thread.join());
        }
    }
}

fn serve(shared: &Shared, mut stream: TcpStream) -> Result<()> {
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    let peer = stream.peer_addr()?;
    let mut reader = BufReader::new(stream.try_clone()?).take(MAX_REQUEST);
    let mut lines = Vec::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        match line.trim() {
            "" => break,
            text => lines.push(text.to_owned()),
        }
    }
    let mut first = lines.first().context("no request")?.split(' ');
    let (method, path) = (first.next().unwrap_or_default(), first.next().unwrap_or_default());
    let header = |name: &str| {
        let line = lines
            .iter()
            .skip(1)
            .find_map(|line| line.split_once(": ").filter(|(key, _)| key.eq_ignore_ascii_case(name)));
        line.map(|(_, value)| value)
    };
    let length = header("content-length").and_then(|text| text.parse().ok()).unwrap_or(0);
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    shared.seen.lock().unwrap_or_else(PoisonError::into_inner).push(format!("{method} {path}"));
    let left = shared.trouble.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1));
    if let Ok(left) = left {
        return misbehave(left, &mut stream);
    }
    let Answer { status, body } = shared.cloud.answer(method, path, &header, peer.port(), &body);
    write!(stream, "HTTP/1.1 {status} X\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", body.len())?;
    Ok(stream.write_all(&body)?)
}

/// What a service does that is not ready yet.
fn misbehave(way: usize, stream: &mut TcpStream) -> Result<()> {
    match way % 5 {
        0 => write!(stream, "HTTP/1.1 500 Internal Server Error\r\nContent-Length: 2\r\n\r\nno")?,
        1 => write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n{{\"broken\": ")?,
        2 => write!(stream, "<html>\r\n\r\n")?,
        3 => {
            write!(stream, "HTTP/1.1 200 OK\r\n\r\n")?;
            let piece = vec![b'x'; 64 << 10];
            // Larger than anything that is taken.
            for _ in 0..40 {
                stream.write_all(&piece)?;
            }
        }
        _ => {}
    }
    Ok(())
}
