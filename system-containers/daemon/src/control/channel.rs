//! The socket: packets with at most one descriptor. PID 1 passes its end number in `HULL_CONTROL_FD`.

use super::exits::Exits;
use super::message::{FromInit, MAX_PACKET, ToInit};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::io::Errno;
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage, SendFlags,
    recvmsg, sendmsg,
};
use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use tokio::io::Interest;
use tokio::net::UnixDatagram;

/// Environment variable with the number of the inherited descriptor.
pub const VARIABLE: &str = "HULL_CONTROL_FD";

/// PID 1 reads at once; when it does not for this long, something is badly wrong and the caller is told.
const SEND_TIMEOUT: Timespec = Timespec { tv_sec: 2, tv_nsec: 0 };

/// The daemon's end. tokio knows no sequenced packets; its datagram socket is only asked when there is something to
/// read, the packets themselves go through [`recvmsg`] and [`sendmsg`] with their descriptors.
#[derive(Debug)]
pub struct Channel {
    socket: UnixDatagram,
    exits: Exits,
}

/// Takes over the descriptor numbered in the environment: the number itself is closed, so that no helper inherits it.
pub fn inherited() -> io::Result<OwnedFd> {
    let text = std::env::var(VARIABLE)
        .map_err(|_| io::Error::other(format!("{VARIABLE} is not set: the daemon is started by PID 1")))?;
    let number = text.parse::<i32>().map_err(|_| io::Error::other(format!("{VARIABLE}={text} is no number")))?;
    let this = rustix::process::pidfd_open(rustix::process::getpid(), rustix::process::PidfdFlags::empty())?;
    let socket = rustix::process::pidfd_getfd(&this, number, rustix::process::PidfdGetfdFlags::empty())?;
    nix::unistd::close(number)?;
    Ok(socket)
}

impl Channel {
    /// Wraps the socket; needs a running tokio reactor. Exits are written to `exits` before they are received.
    pub fn new(socket: OwnedFd, exits: Exits) -> io::Result<Self> {
        rustix::io::ioctl_fionbio(&socket, true)?;
        Ok(Self { socket: UnixDatagram::from_std(socket.into())?, exits })
    }

    /// Exits a daemon before this one received.
    pub fn known_exits(&self) -> Vec<FromInit> {
        self.exits.read()
    }

    /// Sends one message; waits for room a bounded time.
    pub fn send(&self, message: &ToInit, descriptor: Option<BorrowedFd<'_>>) -> io::Result<()> {
        let text = message.encode();
        let mut end = text.len().min(MAX_PACKET);
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        let data = [IoSlice::new(&text.as_bytes()[..end])];
        let descriptors: Vec<BorrowedFd<'_>> = descriptor.into_iter().collect();
        loop {
            let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
            let mut control = SendAncillaryBuffer::new(&mut space);
            if !descriptors.is_empty() {
                control.push(SendAncillaryMessage::ScmRights(&descriptors));
            }
            match sendmsg(&self.socket, &data, &mut control, SendFlags::NOSIGNAL | SendFlags::DONTWAIT) {
                Ok(_) => return Ok(()),
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => {
                    let mut wait = [PollFd::new(&self.socket, PollFlags::OUT)];
                    if poll(&mut wait, Some(&SEND_TIMEOUT))? == 0 {
                        return Err(io::Error::new(io::ErrorKind::TimedOut, "PID 1 does not read the control channel"));
                    }
                }
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// The next message with its descriptor; `None` when PID 1 closed the channel.
    pub async fn receive(&self) -> io::Result<Option<(FromInit, Option<OwnedFd>)>> {
        loop {
            self.socket.readable().await?;
            match self.socket.try_io(Interest::READABLE, || self.receive_kept()) {
                Ok(Packet { text, .. }) if text.is_empty() => return Ok(None),
                Ok(Packet { text, descriptor }) => match FromInit::parse(&text) {
                    Ok(message) => return Ok(Some((message, descriptor))),
                    Err(error) => log::warn!("{error}"),
                },
                Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => {}
                Err(error) => return Err(error),
            }
        }
    }
}

impl Channel {
    fn receive_kept(&self) -> io::Result<Packet> {
        let peeked = receive_now(self.socket.as_fd(), RecvFlags::PEEK)?;
        if let Ok(exit @ FromInit::Exit { .. }) = FromInit::parse(&peeked.text) {
            self.exits.add(&exit);
        }
        drop(peeked);
        receive_now(self.socket.as_fd(), RecvFlags::empty())
    }
}

struct Packet {
    text: String,
    descriptor: Option<OwnedFd>,
}

fn receive_now(socket: BorrowedFd<'_>, flags: RecvFlags) -> io::Result<Packet> {
    let mut data = [0; MAX_PACKET];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let received = recvmsg(
        socket,
        &mut [IoSliceMut::new(&mut data)],
        &mut control,
        flags | RecvFlags::DONTWAIT | RecvFlags::CMSG_CLOEXEC,
    )?;
    let descriptor = control.drain().find_map(|message| match message {
        RecvAncillaryMessage::ScmRights(mut descriptors) => descriptors.next(),
        _ => None,
    });
    Ok(Packet { text: String::from_utf8_lossy(&data[..received.bytes]).into_owned(), descriptor })
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};

    #[tokio::test]
    async fn messages_and_descriptors_cross() {
        let (ours, theirs) =
            socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let exits = || Exits::new(folder.path().join("exits"));
        let channel = Channel::new(ours, exits()).unwrap();
        let (read_end, _write_end) = rustix::pipe::pipe().unwrap();
        channel.send(&ToInit::Store { name: "x".into() }, Some(read_end.as_fd())).unwrap();
        let packet = receive_now(theirs.as_fd(), RecvFlags::empty()).unwrap();
        assert_eq!(packet.text, "FDSTORE=1\nFDNAME=x");
        assert!(packet.descriptor.is_some());

        rustix::net::send(&theirs, b"nonsense", SendFlags::empty()).unwrap();
        rustix::net::send(&theirs, b"STOP=reboot", SendFlags::empty()).unwrap();
        let (message, _) = channel.receive().await.unwrap().unwrap();
        assert_eq!(message, FromInit::Stop(crate::control::Power::Reboot));
        rustix::net::send(&theirs, b"EXIT=7\nSTATUS=0\nTIME_US=9", SendFlags::empty()).unwrap();
        let exit = FromInit::Exit { pid: 7, status: 0, time_us: 9 };
        assert_eq!(channel.receive().await.unwrap().unwrap().0, exit);
        assert_eq!(exits().read(), [exit]);
        drop(theirs);
        assert!(channel.receive().await.unwrap().is_none());
    }
}
