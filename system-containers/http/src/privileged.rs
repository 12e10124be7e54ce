//! Connections from a port below 1024: some servers know root by that, as NFS does.

use rustix::io::Errno;
use rustix::net::sockopt::{Timeout, set_socket_timeout};
use rustix::net::{AddressFamily, SocketFlags, SocketType, bind, connect as connect_to, socket_with};
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream};
use std::time::Duration;

/// Ports tried, from above, as the lower ones are likelier to belong to a service.
const PORTS: std::ops::Range<u16> = 600..1024;

/// Connects within `limit`.
pub(crate) fn connect(to: SocketAddr, limit: Duration) -> io::Result<TcpStream> {
    let (family, any) = match to {
        SocketAddr::V4(_) => (AddressFamily::INET, Ipv4Addr::UNSPECIFIED.into()),
        SocketAddr::V6(_) => (AddressFamily::INET6, Ipv6Addr::UNSPECIFIED.into()),
    };
    for port in PORTS.rev() {
        let socket = socket_with(family, SocketType::STREAM, SocketFlags::CLOEXEC, None)?;
        match bind(&socket, &SocketAddr::new(any, port)) {
            Err(Errno::ADDRINUSE) => continue,
            bound => bound?,
        }
        // It bounds connect(2) too, socket(7).
        set_socket_timeout(&socket, Timeout::Send, Some(limit))?;
        match connect_to(&socket, &to) {
            // A connection of the same ports that has just ended.
            Err(Errno::ADDRNOTAVAIL) => continue,
            connected => connected?,
        }
        return Ok(TcpStream::from(socket));
    }
    Err(io::Error::new(io::ErrorKind::AddrInUse, "no port below 1024 is free"))
}
