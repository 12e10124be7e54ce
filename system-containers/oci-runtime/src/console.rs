//! Sockets terminals travel over.

use anyhow::{Context, Result, bail};
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SocketAddrUnix, SocketFlags, SocketType,
    connect as connect_to, recvmsg, socket_with, socketpair,
};
use std::io::IoSliceMut;
use std::mem::MaybeUninit;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::path::Path;

/// Connects to `--console-socket`.
pub(crate) fn connect(path: &Path) -> Result<OwnedFd> {
    let open = || {
        let socket = socket_with(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None)?;
        connect_to(&socket, &SocketAddrUnix::new(path)?)?;
        Ok::<_, rustix::io::Errno>(socket)
    };
    open().with_context(|| format!("--console-socket {}", path.display()))
}

/// Both ends of one's own: the first receives what is sent to the second.
pub(crate) fn pair() -> Result<(OwnedFd, OwnedFd)> {
    Ok(socketpair(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None)?)
}

/// Takes a terminal's master.
pub(crate) fn receive(socket: BorrowedFd<'_>) -> Result<OwnedFd> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let mut name = [0; 64];
    recvmsg(socket, &mut [IoSliceMut::new(&mut name)], &mut control, RecvFlags::CMSG_CLOEXEC | RecvFlags::DONTWAIT)
        .context("receive terminal")?;
    for message in control.drain() {
        if let RecvAncillaryMessage::ScmRights(mut received) = message {
            return received.next().context("receive terminal");
        }
    }
    bail!("receive terminal: none came")
}
