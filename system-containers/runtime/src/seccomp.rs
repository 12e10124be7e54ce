//! What a bundle's filter is installed with: flags, and who is notified (specification, "Seccomp" and "The Container
//! Process State").

use crate::error::{StartError, Step};
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, connect, socket_with};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::os::fd::OwnedFd;
use std::path::PathBuf;

pub use hull_sys::seccomp::{LOG, SPEC_ALLOW, WAIT_KILLABLE_RECV};

/// A compiled filter and how it is installed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seccomp {
    /// The program, as in [`crate::Launch::seccomp`].
    pub program: PathBuf,
    /// [`LOG`], [`SPEC_ALLOW`], [`WAIT_KILLABLE_RECV`].
    pub flags: u32,
    /// Needed by a program that notifies.
    pub listener: Option<Listener>,
}

/// The agent that is sent the descriptor of notifications.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Listener {
    /// A listening stream socket.
    pub path: PathBuf,
    /// Handed to the agent as it is.
    pub metadata: Option<String>,
}

impl Listener {
    /// Connects to the agent, in the host's mount namespace.
    pub(crate) fn connect(&self) -> Result<OwnedFd, StartError> {
        let connected = || -> Result<OwnedFd, Errno> {
            let socket = socket_with(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None)?;
            connect(&socket, &SocketAddrUnix::new(&self.path)?)?;
            Ok(socket)
        };
        connected().map_err(|errno| StartError::at(Step::Seccomp, &self.path, errno))
    }

    /// What the agent is told: the process `pid`, in a container of this state.
    pub(crate) fn message(&self, pid: i32, state: &Value) -> Vec<u8> {
        let mut message = json!({"ociVersion": state["ociVersion"], "fds": ["seccompFd"], "pid": pid, "state": state});
        if let Some(metadata) = &self.metadata {
            message["metadata"] = json!(metadata);
        }
        message.to_string().into_bytes()
    }
}
