//! The machine's network, and services that listen on it.

use super::Attempt;
use rustix::io::{Errno, Result};
use rustix::net::{AddressFamily, SocketFlags, SocketType, socket_with};
use std::net::{TcpStream, UdpSocket};

/// Services in the machine's network namespace.
const ON_THE_NETWORK: &[&str] = &["console", "docker", "network", "syslog", "time", "udev"];

pub(super) const ATTEMPTS: &[Attempt] = &[
    Attempt {
        name: "open_a_packet_socket",
        call: "socket",
        refusals: &[Errno::PERM],
        free: None,
        may: &["console", "docker", "network"],
        act: |_| socket_with(AddressFamily::PACKET, SocketType::RAW, SocketFlags::CLOEXEC, None).map(drop),
    },
    Attempt {
        name: "configure_a_network_interface",
        call: "socket",
        refusals: &[Errno::PERM],
        free: None,
        may: &["console", "docker", "network", "udev"],
        // It is up already.
        act: |_| hull_sys::loopback::bring_up(),
    },
    Attempt {
        name: "reach_another_machine",
        call: "connect",
        refusals: &[Errno::NETUNREACH],
        free: None,
        may: ON_THE_NETWORK,
        // QEMU's end of the guest's network, which has no default route. Connecting a datagram socket looks for a route
        // and sends nothing.
        act: |_| of_io(UdpSocket::bind("0.0.0.0:0").and_then(|socket| socket.connect("10.0.2.2:9"))),
    },
    Attempt {
        name: "reach_a_service_on_the_loopback_interface",
        call: "connect",
        refusals: &[Errno::CONNREFUSED],
        free: None,
        may: ON_THE_NETWORK,
        // systemd-resolved.
        act: |_| of_io(TcpStream::connect("127.0.0.53:53").map(drop)),
    },
];

fn of_io(result: std::io::Result<()>) -> Result<()> {
    result.map_err(|error| Errno::from_io_error(&error).unwrap_or(Errno::IO))
}
