//! Messages to the system daemon by the sd_notify(3) protocol: `READY=1`, `STATUS=…`, `STOPPING=1`.

use std::ffi::OsString;
use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};

/// Sends to `$NOTIFY_SOCKET`; without one every message goes nowhere.
#[derive(Debug)]
pub(crate) struct Notifier {
    target: Option<(UnixDatagram, SocketAddr)>,
}

impl Notifier {
    /// Takes the value of `$NOTIFY_SOCKET`: a path, or `@name` for the abstract namespace.
    pub(crate) fn new(socket: Option<OsString>) -> io::Result<Self> {
        let Some(name) = socket else { return Ok(Self { target: None }) };
        let address = match name.as_bytes() {
            [b'@', name @ ..] => SocketAddr::from_abstract_name(name)?,
            _ => SocketAddr::from_pathname(&name)?,
        };
        Ok(Self { target: Some((UnixDatagram::unbound()?, address)) })
    }

    /// One message; a daemon that is being restarted misses it, which is logged and not fatal.
    pub(crate) fn send(&self, message: &str) {
        let Some((socket, address)) = &self.target else { return };
        if let Err(error) = socket.send_to_addr(message.as_bytes(), address) {
            eprintln!("<5>service-init: cannot notify the daemon: {error}");
        }
    }
}
