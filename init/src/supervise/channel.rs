//! The control channel: one SOCK_SEQPACKET pair for all incarnations of the daemon. PID 1 keeps both ends, so that
//! packets wait in the socket while no daemon runs. Sending never blocks: what does not fit waits in an outbox.

use super::fd_store::FdStore;
use super::message::{self, PACKET_BYTES};
use rustix::io::Errno;
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage,
    SendFlags, SocketFlags, SocketType, recvmsg, sendmsg, socketpair,
};
use std::collections::VecDeque;
use std::io::{IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// Exit reports kept when the socket is full; about 100 KiB.
const REPORTS_MAXIMUM: usize = 1024;
/// The protocol has one descriptor a packet; the kernel closes the others it does not find room for.
const FDS_A_PACKET: usize = 1;

/// A packet to the daemon.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Outgoing {
    /// A reaped child.
    Exit(String),
    /// A stored descriptor, looked up when it is sent.
    Fd(String),
    Text(String),
}

/// Both ends and what waits to be sent.
#[derive(Debug)]
pub(crate) struct Channel {
    ours: OwnedFd,
    theirs: OwnedFd,
    outbox: VecDeque<Outgoing>,
}

impl Channel {
    pub(crate) fn new() -> Result<Self, Errno> {
        let (ours, theirs) = socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)?;
        Ok(Self { ours, theirs, outbox: VecDeque::new() })
    }

    /// The end to wait on.
    pub(crate) fn ours(&self) -> BorrowedFd<'_> {
        self.ours.as_fd()
    }

    /// The end the daemon inherits.
    pub(crate) fn theirs(&self) -> BorrowedFd<'_> {
        self.theirs.as_fd()
    }

    /// Next packet from the daemon and its descriptor; `None` when there is none.
    pub(crate) fn receive(&self) -> Option<(Vec<u8>, Option<OwnedFd>)> {
        receive(self.ours.as_fd())
    }

    /// Queues the report of a reaped child, dropping the oldest when there are too many.
    pub(crate) fn report_exit(&mut self, pid: i32, status: i32, time_us: u64) {
        let is_exit = |packet: &Outgoing| matches!(packet, Outgoing::Exit(_));
        if self.outbox.iter().filter(|packet| is_exit(packet)).count() >= REPORTS_MAXIMUM {
            log::warn!("{REPORTS_MAXIMUM} exit reports wait for the daemon, the oldest is dropped");
            if let Some(oldest) = self.outbox.iter().position(is_exit) {
                self.outbox.remove(oldest);
            }
        }
        self.outbox.push_back(Outgoing::Exit(message::exit(pid, status, time_us)));
    }

    /// Queues the answer to FDSTORELIST.
    pub(crate) fn list<F>(&mut self, store: &FdStore<F>) {
        self.outbox.extend(store.names().map(|name| Outgoing::Fd(name.to_owned())));
        self.outbox.push_back(Outgoing::Text(message::STORE_END.to_owned()));
    }

    /// Queues a packet without descriptor.
    pub(crate) fn say(&mut self, text: String) {
        self.outbox.push_back(Outgoing::Text(text));
    }

    /// Sends what the socket takes; says whether something is left.
    pub(crate) fn flush(&mut self, store: &FdStore<OwnedFd>) -> bool {
        while let Some(packet) = self.outbox.front() {
            let sent = match packet {
                Outgoing::Exit(text) | Outgoing::Text(text) => send(&self.ours, text, None),
                Outgoing::Fd(name) => match store.get(name) {
                    Some(fd) => send(&self.ours, &message::stored(name), Some(fd.as_fd())),
                    None => Ok(()),
                },
            };
            match sent {
                Ok(()) => {}
                Err(Errno::AGAIN) => return true,
                Err(errno) => log::error!("a packet to the daemon is lost: {errno}"),
            }
            self.outbox.pop_front();
        }
        false
    }

    /// After the daemon died: takes back what it did not read. Exit reports are for its successor; answers to questions
    /// of the dead are dropped.
    pub(crate) fn rewind(&mut self) {
        let mut kept: VecDeque<_> = std::iter::from_fn(|| receive(self.theirs.as_fd()))
            .filter_map(|(packet, _)| String::from_utf8(packet).ok())
            .filter(|text| text.starts_with(message::EXIT))
            .map(Outgoing::Exit)
            .collect();
        kept.extend(self.outbox.drain(..).filter(|packet| matches!(packet, Outgoing::Exit(_))));
        self.outbox = kept;
    }
}

fn send(socket: &OwnedFd, text: &str, fd: Option<BorrowedFd<'_>>) -> Result<(), Errno> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(FDS_A_PACKET))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    let fds = fd.as_slice();
    if !fds.is_empty() && !control.push(SendAncillaryMessage::ScmRights(fds)) {
        return Err(Errno::NOBUFS);
    }
    let flags = SendFlags::DONTWAIT | SendFlags::NOSIGNAL;
    sendmsg(socket, &[IoSlice::new(text.as_bytes())], &mut control, flags).map(drop)
}

fn receive(socket: BorrowedFd<'_>) -> Option<(Vec<u8>, Option<OwnedFd>)> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(FDS_A_PACKET))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let mut packet = vec![0; PACKET_BYTES];
    let flags = RecvFlags::DONTWAIT | RecvFlags::CMSG_CLOEXEC;
    let received = recvmsg(socket, &mut [IoSliceMut::new(&mut packet)], &mut control, flags).ok()?;
    packet.truncate(received.bytes);
    let fd = control.drain().find_map(|message| match message {
        RecvAncillaryMessage::ScmRights(mut fds) => fds.next(),
        _ => None,
    });
    Some((packet, fd))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(channel: &Channel) -> Option<String> {
        receive(channel.theirs()).map(|(packet, _)| String::from_utf8(packet).expect("text"))
    }

    #[test]
    fn descriptors_travel_both_ways() {
        let mut channel = Channel::new().expect("socket pair");
        let (reader, writer) = rustix::pipe::pipe().expect("pipe");
        send(&channel.theirs, "FDSTORE=1\nFDNAME=log", Some(reader.as_fd())).expect("send");
        drop(reader);
        let (packet, fd) = channel.receive().expect("packet");
        assert_eq!(packet, b"FDSTORE=1\nFDNAME=log");
        let mut store = FdStore::new();
        store.put("log".into(), fd.expect("descriptor")).expect("room");

        channel.list(&store);
        assert!(!channel.flush(&store));
        let (packet, fd) = receive(channel.theirs()).expect("packet");
        assert_eq!(packet, b"FDNAME=log");
        rustix::io::write(&writer, b"line").expect("write");
        let mut line = [0; 8];
        assert_eq!(rustix::io::read(fd.expect("descriptor"), &mut line), Ok(4));
        assert_eq!(text(&channel).as_deref(), Some("FDSTOREEND=1"));
        assert!(receive(channel.theirs()).is_none() && channel.receive().is_none());
    }

    #[test]
    fn reports_wait_in_order_and_the_oldest_are_dropped() {
        let mut channel = Channel::new().expect("socket pair");
        let store = FdStore::new();
        let mut sent = 0;
        while !channel.flush(&store) {
            channel.report_exit(sent, 0, 1);
            sent += 1;
        }
        for pid in 0..2000 {
            channel.report_exit(sent + pid, 0, 1);
        }
        assert_eq!(channel.outbox.len(), REPORTS_MAXIMUM);
        let mut last = -1;
        let mut seen = 0;
        loop {
            channel.flush(&store);
            let Some(packet) = text(&channel) else { break };
            let pid = packet[5..packet.find('\n').expect("line")].parse().expect("pid");
            assert!(pid > last, "{pid} after {last}");
            (last, seen) = (pid, seen + 1);
        }
        assert_eq!(last, sent + 1999);
        assert!(seen >= REPORTS_MAXIMUM);
    }

    #[test]
    fn a_successor_gets_the_reports_but_not_the_answers() {
        let mut channel = Channel::new().expect("socket pair");
        let store = FdStore::new();
        channel.report_exit(1, 0, 1);
        channel.list(&store);
        channel.report_exit(2, 0, 2);
        channel.flush(&store);
        channel.report_exit(3, 0, 3);
        channel.say("STOP=halt".into());
        channel.rewind();
        channel.flush(&store);
        let seen: Vec<_> = std::iter::from_fn(|| text(&channel)).map(|packet| packet[..6].to_owned()).collect();
        assert_eq!(seen, ["EXIT=1", "EXIT=2", "EXIT=3"]);
    }
}
