//! The sd_notify(3) protocol: datagrams of `KEY=VALUE` lines on a socket in a directory that only this service's
//! container has mounted. That directory is what tells senders apart, so credentials need not be looked at.

use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixDatagram;
use std::path::Path;

/// Name of the socket in its directory.
pub const SOCKET: &str = "notify";

/// Longest datagram in bytes that is looked at; the protocol's users send far less.
pub const MAX_DATAGRAM: usize = 4096;

/// Longest status text kept, in characters.
const MAX_STATUS: usize = 200;

/// What one datagram says. Keys of no use here (`WATCHDOG=`, `MAINPID=`, …) are passed over.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Notification {
    /// `READY=1`.
    pub ready: bool,
    /// `STOPPING=1`.
    pub stopping: bool,
    /// `STATUS=`, without control characters.
    pub status: Option<String>,
}

impl Notification {
    /// Reads a datagram.
    pub fn parse(datagram: &[u8]) -> Self {
        let mut notification = Self::default();
        for line in String::from_utf8_lossy(datagram).lines() {
            match line.split_once('=') {
                Some(("READY", "1")) => notification.ready = true,
                Some(("STOPPING", "1")) => notification.stopping = true,
                Some(("STATUS", text)) => {
                    let clean = text.chars().filter(|character| !character.is_control());
                    notification.status = Some(clean.take(MAX_STATUS).collect());
                }
                _ => {}
            }
        }
        notification
    }
}

/// Makes the directory and binds the socket in it anew; every user of the container may write to it.
pub fn bind(folder: &Path) -> io::Result<OwnedFd> {
    std::fs::create_dir_all(folder)?;
    let path = folder.join(SOCKET);
    match std::fs::remove_file(&path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let socket = UnixDatagram::bind(&path)?;
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o666))?;
    Ok(socket.into())
}

/// Makes a bound socket readable by the asynchronous thread.
pub fn listen(socket: OwnedFd) -> io::Result<tokio::net::UnixDatagram> {
    let socket = UnixDatagram::from(socket);
    socket.set_nonblocking(true)?;
    tokio::net::UnixDatagram::from_std(socket)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn datagrams() {
        let ready = Notification { ready: true, ..Notification::default() };
        for (text, expected) in [
            ("READY=1", ready.clone()),
            ("READY=1\nMAINPID=12\n", ready),
            ("READY=0", Notification::default()),
            ("WATCHDOG=1", Notification::default()),
            ("STATUS=a\u{1b}b", Notification { status: Some("ab".into()), ..Notification::default() }),
            ("STOPPING=1", Notification { stopping: true, ..Notification::default() }),
        ] {
            assert_eq!(Notification::parse(text.as_bytes()), expected, "{text}");
        }
        Notification::parse(&[0xff, 0, b'=']);
    }

    #[tokio::test]
    async fn a_bound_socket_receives_and_can_be_bound_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("n");
        drop(bind(&path).unwrap());
        let socket = listen(bind(&path).unwrap()).unwrap();
        UnixDatagram::unbound().unwrap().send_to(b"READY=1", path.join(SOCKET)).unwrap();
        let mut buffer = [0; MAX_DATAGRAM];
        let length = socket.recv(&mut buffer).await.unwrap();
        assert!(Notification::parse(&buffer[..length]).ready);
    }
}
