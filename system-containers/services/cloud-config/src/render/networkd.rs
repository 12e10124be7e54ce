//! Network configuration to files of systemd-networkd: systemd.network(5), systemd.netdev(5), systemd.link(5).
//!
//! ```text
//! 05-engine.network       interfaces of the user engine: not touched
//! 10-<id>.link            set-name, wakeonlan: read by udev
//! 10-<name>.netdev        bond, bridge, VLAN
//! 10-<id>.network         one per interface
//! 90-default.network      DHCP on every network card, only without a configuration
//! ```

use crate::machine::network::{DhcpOverrides, Link, Network};
use std::collections::BTreeMap;
use std::fmt::Write;

/// dockerd makes `docker0`, `docker_gwbridge`, `br-` and 12 hex digits, and `veth` pairs.
const ENGINE: &str = "[Match]\nName=docker0 docker_gwbridge br-[0-9a-f][0-9a-f][0-9a-f][0-9a-f][0-9a-f][0-9a-f][0-9a-f][0-9a-f][0-9a-f][0-9a-f][0-9a-f][0-9a-f] veth*\n\n[Link]\nUnmanaged=yes\n";

/// Cards only: `Kind` is empty for them and names the type of every virtual interface.
const DEFAULT: &str = "[Match]\nType=ether\nKind=!*\n\n[Network]\nDHCP=yes\nIPv6AcceptRA=yes\n";

/// How a bond or bridge parameter of netplan is called here: section, key, and the unit added to a bare number.
const PARAMETERS: [(&str, &str, &str, &str); 24] = [
    ("mode", "Bond", "Mode", ""),
    ("mii-monitor-interval", "Bond", "MIIMonitorSec", "ms"),
    ("lacp-rate", "Bond", "LACPTransmitRate", ""),
    ("transmit-hash-policy", "Bond", "TransmitHashPolicy", ""),
    ("ad-select", "Bond", "AdSelect", ""),
    ("min-links", "Bond", "MinLinks", ""),
    ("up-delay", "Bond", "UpDelaySec", "ms"),
    ("down-delay", "Bond", "DownDelaySec", "ms"),
    ("arp-interval", "Bond", "ARPIntervalSec", "ms"),
    ("arp-validate", "Bond", "ARPValidate", ""),
    ("arp-all-targets", "Bond", "ARPAllTargets", ""),
    ("fail-over-mac-policy", "Bond", "FailOverMACPolicy", ""),
    ("gratuitous-arp", "Bond", "GratuitousARP", ""),
    ("packets-per-slave", "Bond", "PacketsPerSlave", ""),
    ("primary-reselect-policy", "Bond", "PrimaryReselectPolicy", ""),
    ("resend-igmp", "Bond", "ResendIGMP", ""),
    ("learn-packet-interval", "Bond", "LearnPacketIntervalSec", ""),
    ("all-slaves-active", "Bond", "AllSlavesActive", ""),
    ("stp", "Bridge", "STP", ""),
    ("priority", "Bridge", "Priority", ""),
    ("ageing-time", "Bridge", "AgeingTimeSec", ""),
    ("forward-delay", "Bridge", "ForwardDelaySec", ""),
    ("hello-time", "Bridge", "HelloTimeSec", ""),
    ("max-age", "Bridge", "MaxAgeSec", ""),
];
/// The one parameter that belongs to a member of the bond.
const PRIMARY: &str = "primary";

/// Whether a parameter means something here.
pub fn is_parameter(name: &str) -> bool {
    name == PRIMARY || PARAMETERS.iter().any(|(parameter, ..)| *parameter == name)
}

/// All files by name.
pub fn files(network: Option<&Network>) -> BTreeMap<String, String> {
    let mut files = BTreeMap::from([("05-engine.network".to_owned(), ENGINE.to_owned())]);
    let Some(network) = network else {
        files.insert("90-default.network".into(), DEFAULT.into());
        return files;
    };
    for (id, link) in &network.ethernets {
        if let Some(text) = link_file(id, link) {
            files.insert(format!("10-{id}.link"), text);
        }
        files.insert(format!("10-{id}.network"), network_file(network, id, link, true));
    }
    for (kind, links) in [("bond", &network.bonds), ("bridge", &network.bridges), ("vlan", &network.vlans)] {
        for (id, link) in links {
            files.insert(format!("10-{id}.netdev"), netdev_file(kind, id, link));
            files.insert(format!("10-{id}.network"), network_file(network, id, link, false));
        }
    }
    files
}

/// `Key=value` line, for anything that is there.
fn line<T: std::fmt::Display>(text: &mut String, key: &str, value: Option<T>) {
    if let Some(value) = value {
        // Writing to a string does not fail.
        writeln!(text, "{key}={value}").ok();
    }
}

fn yes(value: bool) -> &'static str {
    if value { "yes" } else { "no" }
}

fn match_section(id: &str, link: &Link, renamed: bool) -> String {
    let mut text = "[Match]\n".to_owned();
    match &link.matches {
        Some(matches) => {
            line(&mut text, "PermanentMACAddress", matches.macaddress.as_ref());
            line(&mut text, "Driver", matches.driver.as_ref());
            // A matched name is the one before set-name.
            let key = if renamed { "OriginalName" } else { "Name" };
            let name = match (&link.set_name, &matches.name) {
                (Some(new), Some(_)) if !renamed => Some(new.as_str()),
                (_, name) => name.as_deref(),
            };
            line(&mut text, key, name);
            if text == "[Match]\n" {
                text += "Type=ether\nKind=!*\n";
            }
        }
        None => line(&mut text, if renamed { "OriginalName" } else { "Name" }, Some(id)),
    }
    text
}

fn link_file(id: &str, link: &Link) -> Option<String> {
    if link.set_name.is_none() && link.wakeonlan != Some(true) {
        return None;
    }
    let mut text = match_section(id, link, true) + "\n[Link]\n";
    line(&mut text, "Name", link.set_name.as_ref());
    line(&mut text, "WakeOnLan", link.wakeonlan.and_then(|on| on.then_some("magic")));
    Some(text)
}

fn netdev_file(kind: &str, name: &str, link: &Link) -> String {
    let mut text = format!("[NetDev]\nName={name}\nKind={kind}\n");
    line(&mut text, "MACAddress", link.macaddress.as_ref());
    line(&mut text, "MTUBytes", link.mtu);
    if let (Some(id), "vlan") = (link.id, kind) {
        text += &format!("\n[VLAN]\nId={id}\n");
    }
    let section = if kind == "bond" { "Bond" } else { "Bridge" };
    let mut settings = String::new();
    for (name, of, key, unit) in PARAMETERS {
        if let (true, Some(value)) = (of == section, link.parameters.get(name)) {
            let unit = if value.bytes().all(|byte| byte.is_ascii_digit()) { unit } else { "" };
            line(&mut settings, key, Some(format!("{value}{unit}")));
        }
    }
    if !settings.is_empty() {
        text += &format!("\n[{section}]\n{settings}");
    }
    text
}

fn network_file(network: &Network, id: &str, link: &Link, card: bool) -> String {
    let mut text = if card { match_section(id, link, false) } else { format!("[Match]\nName={id}\n") };
    let mut section = String::new();
    line(&mut section, "MTUBytes", link.mtu);
    line(&mut section, "MACAddress", link.macaddress.as_ref().filter(|_| card));
    line(&mut section, "RequiredForOnline", link.optional.and_then(|on| on.then_some("no")));
    if !section.is_empty() {
        text += &format!("\n[Link]\n{section}");
    }
    text += "\n[Network]\n";
    let member = memberships(&mut text, network, id, link);
    let dhcp = match (link.dhcp4.unwrap_or(false), link.dhcp6.unwrap_or(false)) {
        (true, true) => "yes",
        (true, false) => "ipv4",
        (false, true) => "ipv6",
        (false, false) => "no",
    };
    line(&mut text, "DHCP", Some(dhcp));
    if member {
        text += "LinkLocalAddressing=no\n";
    }
    line(&mut text, "IPv6AcceptRA", link.accept_ra.map(yes).or(member.then_some("no")));
    for address in &link.addresses {
        line(&mut text, "Address", Some(address));
    }
    if !card && link.addresses.is_empty() && dhcp == "no" && !member {
        // Without a lower layer's carrier a bare bridge would never be configured.
        text += "ConfigureWithoutCarrier=yes\n";
    }
    for server in link.nameservers.iter().flat_map(|servers| &servers.addresses) {
        line(&mut text, "DNS", Some(server));
    }
    let search = link.nameservers.as_ref().map(|servers| servers.search.join(" ")).filter(|text| !text.is_empty());
    line(&mut text, "Domains", search);
    for gateway in [&link.gateway4, &link.gateway6].into_iter().flatten() {
        text += &format!("\n[Route]\nGateway={gateway}\n");
    }
    routes(&mut text, link);
    dhcp_section(&mut text, "DHCPv4", link.dhcp4_overrides.as_ref());
    dhcp_section(&mut text, "DHCPv6", link.dhcp6_overrides.as_ref());
    text
}

/// Bond, bridge and VLANs that stand on this interface; true when it is a member of one of the first two.
fn memberships(text: &mut String, network: &Network, id: &str, link: &Link) -> bool {
    let names = [Some(id), link.set_name.as_deref()];
    let is_me = |name: &String| names.contains(&Some(name.as_str()));
    let mut member = false;
    for (key, masters) in [("Bond", &network.bonds), ("Bridge", &network.bridges)] {
        for (master, settings) in masters {
            if settings.interfaces.iter().any(is_me) {
                line(text, key, Some(master));
                member = true;
                if key == "Bond" && settings.parameters.get(PRIMARY).is_some_and(is_me) {
                    text.push_str("PrimarySlave=yes\n");
                }
            }
        }
    }
    for (vlan, settings) in &network.vlans {
        if settings.link.as_ref().is_some_and(is_me) {
            line(text, "VLAN", Some(vlan));
        }
    }
    member
}

fn routes(text: &mut String, link: &Link) {
    for route in &link.routes {
        text.push_str("\n[Route]\n");
        if route.to == "default" {
            // networkd takes the family of the gateway.
            line(text, "Gateway", route.via.as_ref());
        } else {
            line(text, "Destination", Some(&route.to));
            line(text, "Gateway", route.via.as_ref());
        }
        line(text, "GatewayOnLink", route.on_link.map(yes));
        line(text, "Metric", route.metric);
        line(text, "Table", route.table);
        line(text, "PreferredSource", route.from.as_ref());
        line(text, "Type", route.kind.as_ref());
    }
}

fn dhcp_section(text: &mut String, section: &str, overrides: Option<&DhcpOverrides>) {
    let Some(overrides) = overrides else { return };
    let is_v4 = section == "DHCPv4";
    let mut lines = String::new();
    line(&mut lines, "UseDNS", overrides.use_dns.map(yes));
    line(&mut lines, "UseDomains", overrides.use_domains.map(yes));
    line(&mut lines, "UseNTP", overrides.use_ntp.map(yes));
    line(&mut lines, "SendHostname", overrides.send_hostname.map(yes));
    line(&mut lines, "Hostname", overrides.hostname.as_ref());
    if is_v4 {
        line(&mut lines, "UseMTU", overrides.use_mtu.map(yes));
        line(&mut lines, "UseRoutes", overrides.use_routes.map(yes));
        line(&mut lines, "RouteMetric", overrides.route_metric);
    }
    if !lines.is_empty() {
        text.push_str(&format!("\n[{section}]\n{lines}"));
    }
    // Over IPv6 routes come with router advertisements, not with DHCP.
    if !is_v4 && overrides.route_metric.is_some() {
        text.push_str("\n[IPv6AcceptRA]\n");
        line(text, "RouteMetric", overrides.route_metric);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::document::yaml;
    use crate::machine::network;
    use crate::report::Messages;
    use std::path::Path;

    fn render(text: &str) -> String {
        let mut messages = Messages::new("network-config");
        let node = yaml::parse(text, &mut messages).unwrap();
        let network = network::read(&node, "", &mut messages).unwrap();
        assert_eq!(messages.list(), []);
        files(Some(&network)).into_iter().map(|(name, content)| format!("# {name}\n{content}\n")).collect()
    }

    /// `testdata/network/<case>.yaml` gives `<case>.expected`: all files one after the other.
    #[test]
    fn golden() {
        let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/network");
        let mut cases = 0;
        for entry in std::fs::read_dir(&directory).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_some_and(|extension| extension == "yaml") {
                let expected = std::fs::read_to_string(path.with_extension("expected")).unwrap_or_default();
                let found = render(&std::fs::read_to_string(&path).unwrap());

                assert_eq!(found, expected, "{}", path.display());
                cases += 1;
            }
        }
        assert!(cases >= 4, "{cases} cases");
    }

    #[test]
    fn without_configuration_every_card_gets_dhcp_and_the_engine_is_left_alone() {
        let files = files(None);
        assert_eq!(files["90-default.network"], DEFAULT);
        assert!(files["05-engine.network"].contains("Unmanaged=yes"));
    }

    #[test]
    fn disabled_configures_nothing() {
        let network = Network { version: 2, config: Some("disabled".into()), ..Network::default() };
        assert_eq!(files(Some(&network)).len(), 1);
    }
}
