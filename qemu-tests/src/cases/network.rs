//! Network configuration against a real DHCP server: Debian's dnsmasq in a network namespace of this run's own.

use super::first_boot::user_data;
use crate::guest::{Boot, Guest, Site};
use crate::machine::Network;
use crate::report::Report;
use crate::seed::{Seed, run as command};
use anyhow::{Context, Result, ensure};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

const NAMESPACE: &str = "hull-test";
const TAPS: [&str; 2] = ["hull-tap0", "hull-tap1"];
/// Solicitations and duplicate address detection take seconds.
const ADDRESS_DEADLINE: Duration = Duration::from_secs(60);
const NETWORK_CONFIG: &str = "version: 2
ethernets:
  lan:
    match: {macaddress: '52:54:00:00:00:01'}
    dhcp4: true
    dhcp6: true
  fixed:
    match: {macaddress: '52:54:00:00:00:02'}
    addresses: [192.0.2.10/24, '2001:db8:1::10/64']
    mtu: 1400
    routes:
      - {to: 198.51.100.0/24, via: 192.0.2.1}
";

/// The namespace, its taps and its server, removed when dropped.
#[derive(Debug)]
struct Lan {
    server: Child,
}

impl Lan {
    fn start(log: &std::path::Path) -> Result<Self> {
        // What a broken-off run left; an error means that there is nothing.
        drop(Command::new("ip").args(["netns", "del", NAMESPACE]).output());
        let ip = |arguments: &str| command(Command::new("ip").args(["-n", NAMESPACE]).args(arguments.split(' ')));
        command(Command::new("ip").args(["netns", "add", NAMESPACE]))?;
        ip("link set lo up")?;
        for tap in TAPS {
            ip(&format!("tuntap add dev {tap} mode tap"))?;
            ip(&format!("link set {tap} up"))?;
        }
        ip(&format!("addr add 10.77.0.1/24 dev {}", TAPS[0]))?;
        ip(&format!("addr add 2001:db8:77::1/64 dev {} nodad", TAPS[0]))?;
        let log = std::fs::File::create(log)?;
        let server = Command::new("ip")
            .args([
                "netns",
                "exec",
                NAMESPACE,
                "dnsmasq",
                "--no-daemon",
                "--conf-file=/dev/null",
                "--no-resolv",
                "--no-hosts",
            ])
            .args([
                "--user=root",
                "--leasefile-ro",
                "--bind-dynamic",
                "--enable-ra",
                "--dhcp-authoritative",
                "--log-dhcp",
            ])
            .arg(format!("--interface={}", TAPS[0]))
            .args(["--dhcp-range=10.77.0.50,10.77.0.99,1h", "--dhcp-range=2001:db8:77::100,2001:db8:77::1ff,64,1h"])
            .args(["--dhcp-option=option6:dns-server,[2001:db8:77::1]", "--address=/answer.example/10.77.0.42"])
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .context("dnsmasq; is dnsmasq-base installed?")?;
        Ok(Self { server })
    }
}

impl Drop for Lan {
    fn drop(&mut self) {
        drop(self.server.kill());
        drop(self.server.wait());
        drop(Command::new("ip").args(["netns", "del", NAMESPACE]).output());
    }
}

/// Runs the scenario.
pub fn run(site: &Site, report: &mut Report) {
    let Some(_lan) = report.value("dhcp_server_starts", || Lan::start(&site.work.join("dnsmasq.log"))) else { return };
    let booted = report.value("boots_with_a_network_config", || {
        let mut seed = Seed::vfat(user_data(site)?, "network");
        seed.network_config = Some(NETWORK_CONFIG.into());
        let boot = Boot {
            seed: Some(seed),
            network: Network::None,
            taps: Some((NAMESPACE.into(), TAPS.map(str::to_owned).into())),
            ..Boot::default()
        };
        let mut guest = Guest::boot(site, "network", &boot)?;
        guest.wait_complete()?;
        Ok(guest)
    });
    let Some(mut guest) = booted else { return };
    for (name, line, want) in [
        ("dhcp_gives_an_ipv4_address", "ip addr show eth0", "inet 10.77.0."),
        ("dhcpv6_gives_an_address", "ip addr show eth0", "inet6 2001:db8:77:"),
        ("static_ipv4_address_is_set", "ip addr show eth1", "inet 192.0.2.10/24"),
        ("static_ipv6_address_is_set", "ip addr show eth1", "inet6 2001:db8:1::10/64"),
        ("mtu_is_set", "ip link show eth1", "mtu 1400"),
        ("static_route_is_set", "ip route", "198.51.100.0/24 via 192.0.2.1"),
        ("names_are_resolved_by_the_server_that_dhcp_named", "nslookup answer.example 127.0.0.53", "10.77.0.42"),
    ] {
        report.case(name, || soon(&mut guest, line, want));
    }
}

fn soon(guest: &mut Guest, line: &str, want: &str) -> Result<()> {
    let deadline = Instant::now() + ADDRESS_DEADLINE;
    loop {
        let text = guest.host(&format!("busybox {line} || true"))?;
        if text.contains(want) {
            return Ok(());
        }
        ensure!(Instant::now() < deadline, "{line}: no {want:?} in: {text}");
        std::thread::sleep(Duration::from_secs(1));
    }
}
