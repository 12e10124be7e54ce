//! One message with descriptors over a stream socket, ended by shutting down the sending side.
//!
//! Descriptors travel by `SCM_RIGHTS` with the first bytes; they are never inherited, so no other process started at the
//! same moment by a thread of the caller can end up holding them.

use rustix::io::Errno;
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage, SendFlags,
    Shutdown, recvmsg, sendmsg, shutdown,
};
use std::io::{IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{BorrowedFd, OwnedFd};

/// Most descriptors in one message: the three standard streams, and those a container gets besides.
pub(crate) const MAX_FDS: usize = 3 + crate::launch::MAX_DESCRIPTORS;

/// Most bytes read at once.
const CHUNK: usize = 16 * 1024;

/// Sends `bytes` (at least one) with `fds`, then ends this direction.
pub(crate) fn send(socket: BorrowedFd<'_>, bytes: &[u8], fds: &[BorrowedFd<'_>]) -> Result<(), Errno> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_FDS))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    if !fds.is_empty() && !control.push(SendAncillaryMessage::ScmRights(fds)) {
        return Err(Errno::TOOBIG);
    }
    let mut sent = 0;
    while sent < bytes.len() {
        match sendmsg(socket, &[IoSlice::new(&bytes[sent..])], &mut control, SendFlags::NOSIGNAL) {
            Ok(length) => sent += length,
            Err(Errno::INTR) => continue,
            Err(errno) => return Err(errno),
        }
        control.clear();
    }
    shutdown(socket, Shutdown::Write)
}

/// Receives until the other side has ended its direction. `EAGAIN` when the socket's receive timeout passes.
pub(crate) fn receive(socket: BorrowedFd<'_>) -> Result<(Vec<u8>, Vec<OwnedFd>), Errno> {
    let (mut bytes, mut fds) = (Vec::new(), Vec::new());
    let mut chunk = vec![0; CHUNK];
    loop {
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_FDS))];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let flags = RecvFlags::CMSG_CLOEXEC;
        let length = match recvmsg(socket, &mut [IoSliceMut::new(&mut chunk)], &mut control, flags) {
            Ok(message) => message.bytes,
            Err(Errno::INTR) => continue,
            Err(errno) => return Err(errno),
        };
        for message in control.drain() {
            if let RecvAncillaryMessage::ScmRights(received) = message {
                fds.extend(received);
            }
        }
        if length == 0 {
            return Ok((bytes, fds));
        }
        bytes.extend_from_slice(&chunk[..length]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};
    use std::os::fd::AsFd;

    #[test]
    fn long_messages_arrive_whole_with_their_descriptors() {
        let (left, right) =
            socketpair(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None).expect("socketpair");
        let bytes = vec![7; 3 * CHUNK + 1];
        let sender = std::thread::spawn({
            let bytes = bytes.clone();
            move || {
                let null = std::fs::File::open("/dev/null").expect("open /dev/null");
                send(left.as_fd(), &bytes, &[null.as_fd(), null.as_fd()])
            }
        });
        let (got, fds) = receive(right.as_fd()).expect("receive");
        assert_eq!((got, fds.len()), (bytes, 2));
        assert_eq!(sender.join().expect("sender"), Ok(()));
    }
}
