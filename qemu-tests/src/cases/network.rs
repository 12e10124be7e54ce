//! Four cards on three segments and real servers on the other side: renamed and static, a bond with a VLAN on it, and one
//! that nobody answers.

use super::first_boot::user_data;
use super::lan::Lan;
use super::vlan::Vlan;
use crate::guest::{Boot, Guest, Site};
use crate::machine::Network;
use crate::report::Report;
use crate::seed::Seed;
use anyhow::{Context, Result, ensure};
use std::time::{Duration, Instant};

const NAMESPACE: &str = "hull-test";
/// Of the machine's cards, whose addresses end in 01 to 04.
const TAPS: [&str; 4] = ["hull-tap1", "hull-tap2", "hull-tap3", "hull-tap4"];
/// Bridge of the bond's two cards, on this side; the third port is for frames of its VLAN.
const PAIR: &str = "hull-pair";
const TRUNK: &str = "hull-trunk";
/// Where the VLAN's frames come out.
const VLAN: &str = "hull-vlan7";
/// Where the machine is reached.
const STATIC: &str = "192.0.2.10";
/// Solicitations and duplicate address detection take seconds.
const ADDRESS_DEADLINE: Duration = Duration::from_secs(180);
/// Boots take one as long as another only about: on a busy machine some half as long again, and these seconds.
const SPREAD: f64 = 15.0;

const CARDS: &str = "version: 2
ethernets:
  uplink:
    match: {macaddress: '52:54:00:00:00:01'}
    set-name: front
    addresses: [192.0.2.10/24, '2001:db8:1::10/64']
    mtu: 1400
    routes:
      - {to: default, via: 192.0.2.1}
      - {to: 198.51.100.0/24, via: 192.0.2.2}
      - {to: '2001:db8:ff::/48', via: '2001:db8:1::1'}
    nameservers: {addresses: [192.0.2.1], search: [front.example]}
  first:
    match: {macaddress: '52:54:00:00:00:02'}
    set-name: leg1
  second:
    match: {macaddress: '52:54:00:00:00:03'}
bonds:
  pair:
    interfaces: [first, second]
    parameters: {mode: active-backup, primary: first, mii-monitor-interval: 100}
    mtu: 1450
    dhcp4: true
    dhcp6: true
vlans:
  store: {id: 7, link: pair, dhcp4: true}
";

/// What is asked of the machine, and what its answer has in it.
const CHECKS: [(&str, &str, &str); 18] = [
    ("a_card_gets_the_name_given_to_its_address", "ip -o link show front", "52:54:00:00:00:01"),
    ("a_static_ipv4_address_is_set", "ip addr show front", "inet 192.0.2.10/24"),
    ("a_static_ipv6_address_is_set", "ip addr show front", "inet6 2001:db8:1::10/64"),
    ("an_mtu_is_set", "ip link show front", "mtu 1400"),
    ("a_static_route_is_set", "ip route", "198.51.100.0/24 via 192.0.2.2 dev front"),
    ("a_static_ipv6_route_is_set", "ip -6 route", "2001:db8:ff::/48 via 2001:db8:1::1 dev front"),
    ("a_static_default_route_comes_first", "ip route get 203.0.113.1", "via 192.0.2.1 dev front"),
    ("the_static_name_server_is_asked_for_its_domain", "nslookup name.front.example 127.0.0.53", "192.0.2.42"),
    ("dhcp_gives_a_bond_an_ipv4_address", "ip addr show pair", "inet 10.77.0."),
    ("dhcpv6_gives_a_bond_an_address", "ip addr show pair", "inet6 2001:db8:77:"),
    ("names_are_resolved_by_the_server_that_dhcp_named", "nslookup answer.example 127.0.0.53", "10.77.0.42"),
    ("a_bond_has_its_mode", "cat /proc/net/bonding/pair", "fault-tolerance (active-backup)"),
    ("a_renamed_card_is_the_primary_of_a_bond", "cat /proc/net/bonding/pair", "Currently Active Slave: leg1"),
    ("a_card_that_keeps_its_name_is_in_the_bond", "ip -o link show master pair", "52:54:00:00:00:03"),
    ("a_bond_has_its_mtu", "ip link show leg1", "mtu 1450"),
    ("a_vlan_has_its_number", "ip -d link show store", "802.1Q id 7"),
    ("a_vlan_on_a_bond_has_an_address_of_its_own_network", "ip addr show store", "inet 10.77.7."),
    (
        "networkd_is_done_with_all",
        "sudo hull exec network networkctl --no-legend list front leg1 eth2 pair store | grep -c ' configured'",
        "5",
    ),
];

/// Runs the scenario.
pub fn run(site: &Site, report: &mut Report) {
    let Some((_vlan, _lan)) = report.value("segments_and_servers_are_made", || segments(site)) else { return };
    let booted = report.value("boots_with_a_network_config", || {
        let boot = Boot {
            seed: Some(seed(site, CARDS)?),
            network: Network::None,
            taps: Some((NAMESPACE.into(), TAPS.map(str::to_owned).into())),
            address: Some(STATIC.into()),
            ..Boot::default()
        };
        let mut guest = Guest::boot(site, "network", &boot)?;
        guest.wait_complete()?;
        Ok(guest)
    });
    let Some(mut guest) = booted else { return };
    if !report.case("a_static_address_is_reached", || guest.retry(30, "true").map(drop)) {
        return;
    }
    for (name, line, want) in CHECKS {
        report.case(name, || soon(&guest, line, want));
    }
    report.case("containers_have_the_name_servers_of_the_machine", || {
        let import = "docker image inspect box > /dev/null || tar -c -C / bin/busybox | docker import - box";
        soon(
            &guest,
            &format!("{import}; docker run --rm box /bin/busybox cat /etc/resolv.conf"),
            "nameserver 192.0.2.1\n",
        )
    });
    report.case("a_bond_goes_on_without_its_first_cable", || cable_pulled(&guest));
    report.case("a_card_without_a_server_delays_no_boot", || unanswered(site, &mut guest));
}

fn seed(site: &Site, network_config: &str) -> Result<Seed> {
    let mut seed = Seed::vfat(user_data(site)?, "network");
    seed.network_config = Some(network_config.into());
    Ok(seed)
}

/// The static card's, with a server for names; the bond's, with DHCP untagged and for VLAN 7; one with nobody.
fn segments(site: &Site) -> Result<(Vlan, Lan)> {
    let log = |name: &str| site.work.join(format!("dnsmasq-{name}.log"));
    let mut lan = Lan::new(NAMESPACE)?;
    for tap in TAPS.into_iter().chain([TRUNK, VLAN]) {
        lan.tap(tap)?;
    }
    lan.address(TAPS[0], "192.0.2.1/24")?;
    lan.address(TAPS[0], "2001:db8:1::1/64")?;
    lan.serve(TAPS[0], &["--address=/name.front.example/192.0.2.42"], &log("front"))?;
    lan.ip(&format!("link add {PAIR} type bridge"))?;
    for tap in [TAPS[1], TAPS[2], TRUNK] {
        lan.ip(&format!("link set {tap} master {PAIR}"))?;
    }
    lan.ip(&format!("link set {PAIR} up"))?;
    lan.lease(PAIR, &log("pair"))?;
    let vlan = Vlan::join(NAMESPACE, 7, TRUNK, VLAN, &site.work)?;
    lan.address(VLAN, "10.77.7.1/24")?;
    lan.serve(VLAN, &["--dhcp-range=10.77.7.50,10.77.7.99,1h"], &log("vlan"))?;
    Ok((vlan, lan))
}

/// Asks over ssh until the answer has it.
pub(super) fn soon(guest: &Guest, line: &str, want: &str) -> Result<()> {
    let deadline = Instant::now() + ADDRESS_DEADLINE;
    loop {
        let text = guest.ssh(&format!("{{ {line}; }} 2>&1 || true")).unwrap_or_else(|error| format!("{error:#}"));
        if text.contains(want) {
            return Ok(());
        }
        ensure!(Instant::now() < deadline, "{line}: no {want:?} in: {text}");
        std::thread::sleep(Duration::from_secs(1));
    }
}

/// The other card takes over, and the VLAN's address is still reached.
fn cable_pulled(guest: &Guest) -> Result<()> {
    guest.set_link("tap2", false)?;
    soon(guest, "cat /proc/net/bonding/pair", "Currently Active Slave: eth2")?;
    soon(guest, "sudo ping -c 1 -W 5 10.77.7.1", "1 packets received")?;
    guest.set_link("tap2", true)
}

/// The same machine with DHCP besides on the static card, where nobody answers, and on a card where nobody ever does.
fn unanswered(site: &Site, guest: &mut Guest) -> Result<()> {
    let without = boot_seconds(guest)?;
    guest.hull("poweroff").ok();
    guest.wait_off(30)?;
    let more = CARDS.replace("    mtu: 1400\n", "    mtu: 1400\n    dhcp4: true\n    dhcp6: true\n").replace(
        "bonds:\n",
        "  dead: {match: {macaddress: '52:54:00:00:00:04'}, set-name: dead, dhcp4: true, dhcp6: true}\nbonds:\n",
    );
    guest.set_seed(Some(&seed(site, &more)?))?;
    guest.start()?;
    guest.wait_complete()?;
    let with = boot_seconds(guest)?;
    println!("       boot complete after {without} s, with silent cards after {with} s");
    let start = Instant::now();
    guest.retry(30, "true").context("a static address waits for DHCP on its card")?;
    println!("       reached {:.1} s later", start.elapsed().as_secs_f64());
    // Still asking, which it was from the beginning.
    soon(guest, "sudo hull exec network networkctl --no-legend list dead", " configuring")?;
    ensure!(with < without * 1.5 + SPREAD, "the boot took {with} s, and {without} s without silent cards");
    Ok(())
}

/// What the console's last line of a boot says, in seconds since the kernel's start.
fn boot_seconds(guest: &mut Guest) -> Result<f64> {
    let console = guest.console()?;
    let (_, rest) = console.rsplit_once("boot complete in ").context("no boot complete")?;
    let (seconds, _) = rest.split_once(" s").context("no seconds")?;
    seconds.parse().with_context(|| seconds.to_owned())
}
