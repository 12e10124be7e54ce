//! In the child: the filter, and the descriptor of its notifications on its way to the agent.
//!
//! Once the filter is on, any system call but execve may be refused, or may itself wait for the agent that has not got
//! the descriptor yet. So it is sent by a thread of the same process that began before and has no filter; the filtered
//! thread makes no call until that is done, and execve ends the other.

use super::of_io;
use crate::channel;
use crate::error::{StartError, Step};
use crate::seccomp::{Listener, Seccomp};
use hull_sys::seccomp::Filter;
use rustix::io::Errno;
use std::hint::spin_loop;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::OnceLock;
use std::thread;
use std::time::Duration;

/// How often the thread that sends looks for the descriptor; installing a filter takes a fraction of it.
const PAUSE: Duration = Duration::from_micros(100);

/// A filter ready to be installed.
#[derive(Debug)]
pub(super) struct Prepared {
    filter: Filter,
    flags: u32,
    pub(super) listener: Option<Listener>,
}

/// A connection to the agent and what it is told.
#[derive(Debug)]
pub(super) struct Agent {
    pub(super) socket: OwnedFd,
    pub(super) message: Vec<u8>,
}

/// Reads the program.
pub(super) fn read(seccomp: Option<&Seccomp>) -> Result<Option<Prepared>, StartError> {
    let Some(Seccomp { program, flags, listener }) = seccomp else { return Ok(None) };
    let filter = std::fs::read(program).and_then(|bytes| Filter::from_bytes(&bytes));
    let filter = filter.map_err(|error| StartError::at(Step::SeccompFile, program, of_io(&error)))?;
    Ok(Some(Prepared { filter, flags: *flags, listener: listener.clone() }))
}

impl Prepared {
    /// Puts the filter on the calling thread; what notifies needs an agent.
    pub(super) fn install(&self, agent: Option<Agent>) -> Result<(), StartError> {
        let failed = |error: std::io::Error| StartError::of(Step::Seccomp, of_io(&error));
        match agent {
            None => self.filter.install(self.flags).map_err(failed),
            Some(agent) => self.install_notifying(agent),
        }
    }

    fn install_notifying(&self, Agent { socket, message }: Agent) -> Result<(), StartError> {
        static LISTENER: OnceLock<OwnedFd> = OnceLock::new();
        static SENT: OnceLock<Result<(), Errno>> = OnceLock::new();
        let failed = |errno| StartError::at(Step::Seccomp, "listenerPath", errno);
        let send = move || {
            let listener = loop {
                match LISTENER.get() {
                    Some(listener) => break listener,
                    None => thread::sleep(PAUSE),
                }
            };
            SENT.set(channel::send(socket.as_fd(), &message, &[listener.as_fd()])).ok();
        };
        thread::Builder::new().spawn(send).map_err(|error| failed(of_io(&error)))?;
        let listener = self.filter.install_with_listener(self.flags).map_err(|error| failed(of_io(&error)))?;
        // Neither set nor get makes a system call here: nobody else sets it, and nobody waits for it.
        LISTENER.set(listener).map_err(|_| failed(Errno::ALREADY))?;
        loop {
            match SENT.get() {
                Some(sent) => return sent.map_err(failed),
                None => spin_loop(),
            }
        }
    }
}
