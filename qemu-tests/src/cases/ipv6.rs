//! A network without IPv4: addresses, name servers, logins and images all come over IPv6.

use super::lan::{Lan, TAP};
use super::network::soon;
use super::registry::Registry;
use crate::guest::{Boot, Guest, Site, USER};
use crate::machine::Network;
use crate::namespace::within;
use crate::report::Report;
use crate::seed::Seed;
use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

const NAMESPACE: &str = "hull-ipv6";
/// Router, name server and registry.
const SERVER: &str = "2001:db8:66::1";
/// What the machine makes of the advertised network and its card's hardware address.
const ADDRESS: &str = "2001:db8:66:0:5054:ff:fe00:1";
const NAME: &str = "registry.example";
const IMAGE: &str = "registry.example:5000/box:1";
/// For a container's first answer.
const ANSWER_DEADLINE: Duration = Duration::from_secs(120);

/// What is asked of the machine, and what its answer has in it.
const CHECKS: [(&str, &str, &str); 6] = [
    ("router_advertisements_give_an_address", "ip addr show eth0", "inet6 2001:db8:66:0:5054:ff:fe00:1/64"),
    ("dhcpv6_gives_another", "ip addr show eth0", "inet6 2001:db8:66::1"),
    ("router_advertisements_give_a_default_route", "ip -6 route show default", "via fe80::"),
    ("there_is_no_ipv4_address", "test -z \"$(ip -4 addr show eth0)\" && echo none", "none"),
    ("a_name_server_is_known", "cat /run/systemd/resolve/resolv.conf", "nameserver 2001:db8:66::1"),
    ("names_are_resolved", "nslookup registry.example 127.0.0.53", "2001:db8:66::1"),
];

/// Runs the scenario.
pub fn run(site: &Site, report: &mut Report) {
    let Some((_lan, _registry, authority)) = report.value("a_segment_without_ipv4_is_made", || segment(site)) else {
        return;
    };
    let booted = report.value("boots_without_ipv4_to_boot_complete", || {
        let boot = Boot {
            seed: Some(Seed::vfat(user_data(site, &authority)?, "ipv6")),
            network: Network::None,
            taps: Some((NAMESPACE.into(), vec![TAP.to_owned()])),
            address: Some(ADDRESS.into()),
            ..Boot::default()
        };
        let mut guest = Guest::boot(site, "ipv6", &boot)?;
        guest.wait_complete()?;
        Ok(guest)
    });
    let Some(mut guest) = booted else { return };
    if !report.case("ssh_comes_in_over_ipv6", || guest.retry(30, "true").map(drop)) {
        return;
    }
    for (name, line, want) in CHECKS {
        report.case(name, || soon(&guest, line, want));
    }
    report.case("status_finds_nothing_wrong", || nothing_wrong(&guest));
    let pulled = report.case("docker_believes_the_users_authority_and_pushes_and_pulls_over_ipv6", || {
        guest.ssh(&format!("tar -c -C / bin/busybox | docker import - {IMAGE}"))?;
        guest.ssh(&format!("docker push -q {IMAGE} && docker rmi {IMAGE} && docker pull -q {IMAGE}")).map(drop)
    });
    if pulled {
        report.case("a_container_resolves_names", || resolves(&guest, ""));
        report.case("so_does_one_on_a_network_of_its_own", || {
            guest.ssh("docker network create own")?;
            resolves(&guest, "--network own")
        });
        report.case("a_published_port_is_reached_over_ipv6", || published(&guest));
    }
}

fn user_data(site: &Site, authority: &str) -> Result<String> {
    let settings = json!({
        "users": [{"name": USER, "groups": ["docker"], "sudo": "ALL=(ALL) NOPASSWD:ALL", "ssh_authorized_keys": [site.public_key()?]}],
        "ca_certs": {"trusted": [authority]},
    });
    // JSON is YAML.
    Ok(format!("#cloud-config\n{settings}\n"))
}

/// The last is the certificate of the authority that the registry's is from.
fn segment(site: &Site) -> Result<(Lan, Registry, String)> {
    let mut lan = Lan::new(NAMESPACE)?;
    lan.tap(TAP)?;
    lan.address(TAP, &format!("{SERVER}/64"))?;
    let options = [
        "--dhcp-range=2001:db8:66::100,2001:db8:66::1ff,slaac,64,1h",
        "--dhcp-option=option6:dns-server,[2001:db8:66::1]",
        "--address=/registry.example/2001:db8:66::1",
    ];
    lan.serve(TAP, &options, &site.work.join("dnsmasq-ipv6.log"))?;
    let address = SocketAddr::new(SERVER.parse()?, 5000);
    let (registry, authority) = Registry::start_trusted(&site.work.join("ipv6-registry"), NAMESPACE, address, NAME)?;
    Ok((lan, registry, authority))
}

fn nothing_wrong(guest: &Guest) -> Result<()> {
    let text = guest.ssh("sudo hull status --json")?;
    let status: Value = serde_json::from_str(&text)?;
    let messages = status["messages"].as_array().context("no messages in the status")?;
    // A busy host is seen from within.
    let is_calm = messages.iter().all(|message| message["source"] == "pressure");
    let services = status["services"].as_array().context("no services in the status")?;
    let restarts =
        services.iter().filter(|service| service["restarts"] != 0 || !service["last_error"].is_null()).count();
    ensure!(status["boot"] == "complete" && is_calm && restarts == 0, "{text}");
    Ok(())
}

/// It has no IPv6 address, and the machine's name server no other: resolved answers it.
fn resolves(guest: &Guest, options: &str) -> Result<()> {
    let line = format!("docker run --rm {options} {IMAGE} /bin/busybox nslookup registry.example");
    soon(guest, &line, "2001:db8:66::1")
}

/// A container's web server is asked from the other side.
fn published(guest: &Guest) -> Result<()> {
    let serve = "busybox mkdir /www; echo over IPv6 > /www/index.html; exec busybox httpd -f -p 80 -h /www";
    guest.ssh(&format!("docker run -d -p 8080:80 {IMAGE} /bin/busybox sh -c '{serve}'"))?;
    let address = SocketAddr::new(ADDRESS.parse()?, 8080);
    let deadline = Instant::now() + ANSWER_DEADLINE;
    loop {
        let answer = within(Some(NAMESPACE), move || {
            let mut stream = TcpStream::connect_timeout(&address, ANSWER_DEADLINE)?;
            stream.set_read_timeout(Some(ANSWER_DEADLINE))?;
            stream.write_all(b"GET / HTTP/1.0\r\n\r\n")?;
            let mut text = String::new();
            stream.read_to_string(&mut text)?;
            Ok(text)
        });
        match answer {
            Ok(text) if text.contains("over IPv6") => return Ok(()),
            other => ensure!(Instant::now() < deadline, "{address} answers {other:?}"),
        }
        std::thread::sleep(Duration::from_millis(300));
    }
}
