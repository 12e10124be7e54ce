//! The sd_notify(3) protocol: datagrams of `KEY=VALUE` lines on a socket in a directory that only this service's
//! container has mounted. That directory is what tells senders apart, so credentials need not be looked at.

use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, recvmsg};
use std::io::{self, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::time::Duration;
use tokio::io::Interest;

/// Name of the socket in its directory.
pub const SOCKET: &str = "notify";

/// Longest datagram in bytes that is looked at; the protocol's users send far less.
pub const MAX_DATAGRAM: usize = 4096;

/// Longest status text kept, in characters.
const MAX_STATUS: usize = 200;

/// Most descriptors of one datagram, `SCM_MAX_FD` of the kernel.
const MAX_DESCRIPTORS: usize = 253;

/// Longest name of a kept descriptor in bytes, so that it fits into PID 1's names with the service's.
const MAX_FD_NAME: usize = 128;

/// Name of descriptors that were given none, as in sd_pid_notify_with_fds(3).
const DEFAULT_FD_NAME: &str = "stored";

/// What one datagram says. Keys of no use here (`MAINPID=`, `MONOTONIC_USEC=`, …) are passed over.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Notification {
    /// `READY=1`.
    pub ready: bool,
    /// `STOPPING=1`.
    pub stopping: bool,
    /// `STATUS=`, without control characters.
    pub status: Option<String>,
    /// `WATCHDOG=1`: it lives.
    pub alive: bool,
    /// `WATCHDOG=trigger`: it found a fault itself.
    pub fault: bool,
    /// `WATCHDOG_USEC=`: another time between two signs of life.
    pub watchdog: Option<Duration>,
    /// `FDSTORE=1`: descriptors to keep.
    pub store: bool,
    /// `FDSTOREREMOVE=1`: descriptors to forget.
    pub remove: bool,
    /// `FDNAME=`; `None` when it is missing or no good.
    pub fd_name: Option<String>,
    /// `FDPOLL=0`: kept even when its other end is gone.
    pub keep_broken: bool,
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
                Some(("WATCHDOG", "1")) => notification.alive = true,
                Some(("WATCHDOG", "trigger")) => notification.fault = true,
                Some(("WATCHDOG_USEC", text)) => {
                    notification.watchdog = text.parse().ok().filter(|period| *period > 0).map(Duration::from_micros);
                }
                Some(("FDSTORE", "1")) => notification.store = true,
                Some(("FDSTOREREMOVE", "1")) => notification.remove = true,
                Some(("FDNAME", name)) => {
                    notification.fd_name = Some(name.to_owned()).filter(|name| fd_name_is_good(name))
                }
                Some(("FDPOLL", "0")) => notification.keep_broken = true,
                _ => {}
            }
        }
        notification
    }

    /// Name under which descriptors are kept.
    pub fn stored_name(&self) -> &str {
        self.fd_name.as_deref().unwrap_or(DEFAULT_FD_NAME)
    }
}

/// Printable ASCII without the `:` that separates names in `LISTEN_FDNAMES`, as in systemd's `fdname_is_valid()`.
fn fd_name_is_good(name: &str) -> bool {
    let good = |byte: u8| (byte.is_ascii_graphic() || byte == b' ') && byte != b':';
    (1..=MAX_FD_NAME).contains(&name.len()) && name.bytes().all(good)
}

/// The next datagram with the descriptors that came with it.
///
/// # Errors
/// When the socket is broken.
pub async fn receive(socket: &tokio::net::UnixDatagram) -> io::Result<(Notification, Vec<OwnedFd>)> {
    loop {
        socket.readable().await?;
        match socket.try_io(Interest::READABLE, || receive_now(socket.as_fd())) {
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => {}
            other => return other,
        }
    }
}

fn receive_now(socket: BorrowedFd<'_>) -> io::Result<(Notification, Vec<OwnedFd>)> {
    let mut data = [0; MAX_DATAGRAM];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_DESCRIPTORS))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let flags = RecvFlags::DONTWAIT | RecvFlags::CMSG_CLOEXEC;
    let received = recvmsg(socket, &mut [IoSliceMut::new(&mut data)], &mut control, flags)?;
    let mut descriptors = Vec::new();
    for message in control.drain() {
        if let RecvAncillaryMessage::ScmRights(rights) = message {
            descriptors.extend(rights);
        }
    }
    Ok((Notification::parse(&data[..received.bytes]), descriptors))
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
            ("WATCHDOG=1", Notification { alive: true, ..Notification::default() }),
            ("WATCHDOG=trigger", Notification { fault: true, ..Notification::default() }),
            ("WATCHDOG_USEC=0", Notification::default()),
            (
                "WATCHDOG_USEC=1500",
                Notification { watchdog: Some(Duration::from_micros(1500)), ..Notification::default() },
            ),
            (
                "FDSTORE=1\nFDNAME=a b\nFDPOLL=0",
                Notification { store: true, fd_name: Some("a b".into()), keep_broken: true, ..Notification::default() },
            ),
            ("FDSTORE=1\nFDNAME=a:b", Notification { store: true, ..Notification::default() }),
            ("FDSTOREREMOVE=1", Notification { remove: true, ..Notification::default() }),
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
        assert!(receive(&socket).await.unwrap().0.ready);
    }
}
