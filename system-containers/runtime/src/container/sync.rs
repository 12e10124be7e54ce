//! Conversation of a caller with the first process it creates: whole messages over a `SOCK_SEQPACKET` pair.

use crate::error::{StartError, Step};
use rustix::buffer::spare_capacity;
use rustix::io::Errno;
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, recv, send, socketpair};
use std::os::fd::OwnedFd;

/// Asks for id mappings.
pub(super) const MAPS: &[u8] = b"maps";
/// Asks for resource limits.
pub(super) const LIMITS: &[u8] = b"limits";
/// Asks for the hooks of the runtime namespace.
pub(super) const HOOKS: &[u8] = b"hooks";
/// Everything is made.
pub(super) const CREATED: &[u8] = b"created";
const GO: &[u8] = b"go";

/// Longest message: an error with a path and the excerpt of a hook's output.
const LONGEST: usize = 16 * 1024;

/// One end.
#[derive(Debug)]
pub(super) struct Sync(OwnedFd);

/// Both ends, close-on-exec.
pub(super) fn pair() -> Result<(Sync, Sync), StartError> {
    let pair = socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None);
    pair.map(|(ours, theirs)| (Sync(ours), Sync(theirs))).map_err(failed)
}

impl Sync {
    /// In the child: asks and waits for leave to go on.
    pub(super) fn ask(&self, question: &[u8]) -> Result<(), StartError> {
        self.tell(question)?;
        match self.hear()?.as_slice() {
            GO => Ok(()),
            // The caller has gone, or gave up.
            _ => Err(failed(Errno::CANCELED)),
        }
    }

    pub(super) fn tell(&self, message: &[u8]) -> Result<(), StartError> {
        send(&self.0, message, SendFlags::NOSIGNAL).map(drop).map_err(failed)
    }

    /// In the caller: gives leave.
    pub(super) fn go(&self) -> Result<(), StartError> {
        self.tell(GO)
    }

    /// The next message; empty when the other end is closed.
    pub(super) fn hear(&self) -> Result<Vec<u8>, StartError> {
        // Not filled before: most messages touch one page of it.
        let mut bytes = Vec::with_capacity(LONGEST);
        loop {
            match recv(&self.0, spare_capacity(&mut bytes), RecvFlags::empty()) {
                Ok(_) => return Ok(bytes),
                Err(Errno::INTR) => {}
                Err(errno) => return Err(failed(errno)),
            }
        }
    }
}

fn failed(errno: Errno) -> StartError {
    StartError::of(Step::Clone, errno)
}
