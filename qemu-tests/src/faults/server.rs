//! A static web server on this machine that answers ranges, and lies when it is told to.

use anyhow::Result;
use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

/// Answered with a status that the test sets, for gates.
pub const HEALTH: &str = "health";
/// Between two bytes of a server that drips.
const DRIP: Duration = Duration::from_millis(100);

/// What happens to requests for one path.
#[derive(Clone, Debug)]
pub enum Lie {
    /// That many bytes of the body, then nothing.
    Cut(u64),
    /// Another body.
    Body(Vec<u8>),
    /// The first byte of the answer is another one.
    Flipped,
    /// Spaces without an end, and no word on how many.
    Endless,
    /// A byte now and then.
    Drip,
    /// Elsewhere.
    Redirect(&'static str),
    /// Always the whole file.
    NoRanges,
}

#[derive(Debug, Default)]
struct State {
    folder: PathBuf,
    /// End of the path, and what is answered in place of the file.
    lie: Option<(String, Lie)>,
    is_healthy: bool,
}

/// Runs until it is dropped.
#[derive(Debug)]
pub struct Server {
    /// Loopback port.
    pub port: u16,
    state: Arc<Mutex<State>>,
    is_over: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    /// Starts with nothing to hand out.
    pub fn start() -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let port = listener.local_addr()?.port();
        let state = Arc::new(Mutex::new(State { is_healthy: true, ..State::default() }));
        let is_over = Arc::<AtomicBool>::default();
        let (shared, end) = (Arc::clone(&state), Arc::clone(&is_over));
        let thread = std::thread::spawn(move || {
            while let Ok((stream, _)) = listener.accept() {
                if end.load(Ordering::SeqCst) {
                    return;
                }
                let (shared, end) = (Arc::clone(&shared), Arc::clone(&end));
                // A client that hangs up is none of the server's business.
                std::thread::spawn(move || answer(stream, &shared, &end).ok());
            }
        });
        Ok(Self { port, state, is_over, thread: Some(thread) })
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner));
    }

    /// Hands out the files below `folder`, honestly.
    pub fn serve(&self, folder: &Path) {
        self.change(|state| (state.folder, state.lie) = (folder.into(), None));
    }

    /// Answers requests for paths that end so with a lie from now on.
    pub fn lie(&self, end: &str, lie: Lie) {
        self.change(|state| state.lie = Some((end.into(), lie)));
    }

    /// Whether [`HEALTH`] is answered with 200 or 503.
    pub fn set_healthy(&self, is_healthy: bool) {
        self.change(|state| state.is_healthy = is_healthy);
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::SeqCst);
        // Wakes the thread up; where that fails, it has ended.
        drop(TcpStream::connect(("127.0.0.1", self.port)));
        drop(self.thread.take().map(JoinHandle::join));
    }
}

fn answer(mut stream: TcpStream, state: &Mutex<State>, is_over: &AtomicBool) -> Result<()> {
    let mut head = String::new();
    let mut reader = BufReader::new(stream.try_clone()?);
    while !head.ends_with("\r\n\r\n") && reader.read_line(&mut head)? > 0 {}
    let path = head.split(' ').nth(1).unwrap_or_default().trim_start_matches('/').to_owned();
    let (folder, lie, is_healthy) = {
        let state = state.lock().unwrap_or_else(PoisonError::into_inner);
        let lie = state.lie.clone().filter(|(end, _)| path.ends_with(end)).map(|(_, lie)| lie);
        (state.folder.clone(), lie, state.is_healthy)
    };
    if path == HEALTH {
        return status(stream, if is_healthy { "200 OK" } else { "503 Unavailable" });
    }
    match lie {
        Some(Lie::Endless) => return spaces(stream, None, is_over),
        Some(Lie::Drip) => return spaces(stream, Some(DRIP), is_over),
        Some(Lie::Redirect(to)) => return status(stream, &format!("302 Found\r\nLocation: {to}")),
        Some(Lie::Body(body)) => {
            write!(stream, "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: {}\r\n\r\n", body.len())?;
            return Ok(stream.write_all(&body)?);
        }
        Some(Lie::Cut(_) | Lie::Flipped | Lie::NoRanges) | None => {}
    }
    let is_sane = !path.split('/').any(|part| part == "..");
    match File::open(folder.join(&path)) {
        Ok(file) if is_sane && file.metadata()?.is_file() => send(stream, &file, &head, lie.as_ref()),
        _ => status(stream, "404 Not Found"),
    }
}

fn status(mut stream: TcpStream, status: &str) -> Result<()> {
    Ok(write!(stream, "HTTP/1.1 {status}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n")?)
}

fn spaces(mut stream: TcpStream, pause: Option<Duration>, is_over: &AtomicBool) -> Result<()> {
    stream.write_all(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n")?;
    while !is_over.load(Ordering::SeqCst) {
        stream.write_all(&[b' '; 65536][..if pause.is_some() { 1 } else { 65536 }])?;
        pause.into_iter().for_each(std::thread::sleep);
    }
    Ok(())
}

fn send(mut stream: TcpStream, file: &File, head: &str, lie: Option<&Lie>) -> Result<()> {
    let size = file.metadata()?.len();
    let line = head.lines().find_map(|line| line.strip_prefix("Range: bytes="));
    let range = line.and_then(|text| text.split_once('-')).filter(|_| !matches!(lie, Some(Lie::NoRanges)));
    let (from, to) = match range {
        None => (0, size),
        Some((from, to)) => (from.parse()?, to.parse().map_or(size, |to: u64| to + 1).min(size)),
    };
    if range.is_some() && from >= to {
        return status(stream, "416 Range Not Satisfiable");
    }
    let answer = match range {
        None => "200 OK".to_owned(),
        Some(_) => format!("206 Partial Content\r\nContent-Range: bytes {from}-{}/{size}", to - 1),
    };
    write!(stream, "HTTP/1.1 {answer}\r\nConnection: close\r\nContent-Length: {}\r\n\r\n", to - from)?;
    let end = if let Some(Lie::Cut(count)) = lie { to.min(from + count) } else { to };
    let mut at = from;
    let mut buffer = vec![0; 1 << 16];
    while at < end {
        let count = usize::try_from((end - at).min(buffer.len() as u64))?;
        file.read_exact_at(&mut buffer[..count], at)?;
        if at == from && matches!(lie, Some(Lie::Flipped)) {
            buffer[0] ^= 1;
        }
        stream.write_all(&buffer[..count])?;
        at += count as u64;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;

    fn get(server: &Server, path: &str, headers: &str) -> (String, Vec<u8>) {
        let mut stream = TcpStream::connect(("127.0.0.1", server.port)).unwrap();
        write!(stream, "GET /{path} HTTP/1.1\r\nHost: x\r\n{headers}\r\n").unwrap();
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes).unwrap();
        let end = bytes.windows(4).position(|window| window == b"\r\n\r\n").unwrap();
        let head = String::from_utf8(bytes[..end].to_vec()).unwrap();
        (head.split(' ').nth(1).unwrap().to_owned(), bytes[end + 4..].to_vec())
    }

    #[test]
    fn files_ranges_and_lies() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("f"), b"0123456789").unwrap();
        let server = Server::start().unwrap();
        server.serve(dir.path());
        let range = "Range: bytes=2-4\r\n";
        let answer = |status: &str, body: &[u8]| (status.to_owned(), body.to_vec());
        assert_eq!(get(&server, "f", ""), answer("200", b"0123456789"));
        assert_eq!(get(&server, "f", range), answer("206", b"234"));
        assert_eq!(get(&server, "f", "Range: bytes=7-\r\n"), answer("206", b"789"));
        assert_eq!(get(&server, "f", "Range: bytes=10-\r\n"), answer("416", b""));
        assert_eq!(get(&server, "../f", ""), answer("404", b""));
        for (lie, expected) in [
            (Lie::Cut(1), answer("206", b"2")),
            (Lie::Flipped, answer("206", b"334")),
            (Lie::NoRanges, answer("200", b"0123456789")),
            (Lie::Body(b"x".to_vec()), answer("200", b"x")),
            (Lie::Redirect("ftp://x/"), answer("302", b"")),
        ] {
            server.lie("f", lie.clone());
            assert_eq!(get(&server, "f", range), expected, "{lie:?}");
        }
        for (is_healthy, status) in [(true, "200"), (false, "503")] {
            server.set_healthy(is_healthy);
            assert_eq!(get(&server, HEALTH, "").0, status);
        }
    }
}
