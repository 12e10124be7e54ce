//! Readiness probes that answer at once: `tcp`, `http`, `unix`, `path`, `http-unix`. `exec` is a child and belongs to the loop.
//!
//! Every try is bounded by [`TRY`], because the supervisor has one thread.

use hull_service::Probe;
use hull_service::validate::split_http;
use rustix::net::sockopt::{Timeout, set_socket_timeout};
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType};
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::time::Duration;

/// Longest a try may hold up the supervisor.
const TRY: Duration = Duration::from_millis(500);
/// Enough of an answer to hold `HTTP/1.1 200`.
const STATUS_LINE: usize = 12;

/// Tries the probe once; `exec` never passes here.
pub(crate) fn passes(probe: &Probe) -> bool {
    match probe {
        Probe::Exec(_) => false,
        Probe::Tcp(address) => {
            address.parse::<SocketAddr>().is_ok_and(|address| TcpStream::connect_timeout(&address, TRY).is_ok())
        }
        Probe::Unix(path) => connect(path).is_ok(),
        Probe::Path(path) => std::fs::symlink_metadata(path).is_ok(),
        Probe::HttpUnix(text) => {
            let parts = text.split_once(':');
            parts
                .is_some_and(|(socket, path)| connect(socket).and_then(|stream| http_ok(stream, path)).unwrap_or(false))
        }
        Probe::Http(text) => split_http(text).is_some_and(|(address, path)| {
            TcpStream::connect_timeout(&address, TRY).and_then(|stream| http_ok(stream, path)).unwrap_or(false)
        }),
    }
}

/// Connects without waiting for room in the listener's queue.
fn connect(path: &str) -> io::Result<UnixStream> {
    let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
    let socket = rustix::net::socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
    rustix::net::connect(&socket, &SocketAddrUnix::new(path)?)?;
    let stream = UnixStream::from(socket);
    stream.set_nonblocking(false)?;
    Ok(stream)
}

fn http_ok(mut stream: impl Read + Write + AsFd, path: &str) -> io::Result<bool> {
    for timeout in [Timeout::Recv, Timeout::Send] {
        set_socket_timeout(&stream, timeout, Some(TRY))?;
    }
    stream.write_all(format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").as_bytes())?;
    let mut status = [0; STATUS_LINE];
    stream.read_exact(&mut status)?;
    Ok(status.starts_with(b"HTTP/1.") && status.ends_with(b" 200"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;
    use std::os::unix::net::UnixListener;

    #[test]
    fn probes_tell_there_from_not_there() {
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join(name).display().to_string();
        let _listener = UnixListener::bind(path("socket")).unwrap();
        std::fs::write(path("file"), "").unwrap();
        let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
        let open = tcp.local_addr().unwrap().to_string();
        let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
        for (probe, expected) in [
            (Probe::Path(path("file")), true),
            (Probe::Path(path("none")), false),
            (Probe::Unix(path("socket")), true),
            (Probe::Unix(path("file")), false),
            (Probe::Unix(path("none")), false),
            (Probe::Tcp(open), true),
            (Probe::Tcp(closed), false),
        ] {
            assert_eq!(passes(&probe), expected, "{probe:?}");
        }
    }

    #[test]
    fn http_wants_status_200_and_does_not_wait_for_ever() {
        let directory = tempfile::tempdir().unwrap();
        let socket = directory.path().join("s").display().to_string();
        let listener = UnixListener::bind(&socket).unwrap();
        let answers = ["HTTP/1.1 200 OK\r\n\r\nOK", "HTTP/1.1 503 Busy\r\n\r\n", "SSH-2.0-x 200", ""];
        let server = std::thread::spawn(move || {
            for answer in answers {
                let (mut stream, _) = listener.accept().unwrap();
                let mut request = [0; 64];
                let length = stream.read(&mut request).unwrap();
                assert!(request[..length].starts_with(b"GET /_ping HTTP/1.1\r\n"));
                stream.write_all(answer.as_bytes()).unwrap();
                if answer.is_empty() {
                    std::thread::sleep(TRY * 2);
                }
            }
        });
        let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = tcp.local_addr().unwrap();
        let web = std::thread::spawn(move || {
            let (mut stream, _) = tcp.accept().unwrap();
            let mut request = [0; 64];
            let length = stream.read(&mut request).unwrap();
            assert!(request[..length].starts_with(b"GET /live HTTP/1.1\r\n"));
            stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").unwrap();
        });
        assert!(passes(&Probe::Http(format!("{address}/live"))));
        web.join().unwrap();
        let tries = answers.map(|_| passes(&Probe::HttpUnix(format!("{socket}:/_ping"))));
        assert_eq!(tries, [true, false, false, false]);
        server.join().unwrap();
    }
}
