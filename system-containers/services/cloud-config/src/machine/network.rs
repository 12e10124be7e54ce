//! Network configuration version 2, the part of netplan's format that cloud-init documents.
//!
//! Every value that reaches a configuration file of networkd is an address, a number or a checked name: nothing of
//! the source can become a line of its own there. Unknown keys are warnings, because a machine without network for a
//! misspelt key helps nobody.

mod read;

pub use read::read;
use serde::Serialize;
use std::collections::BTreeMap;
use std::net::IpAddr;

/// The whole configuration.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Network {
    /// Always 2.
    pub version: u32,
    /// `config: disabled`: no interface is configured.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub config: Option<String>,
    /// Physical and virtual network cards, by id.
    pub ethernets: BTreeMap<String, Link>,
    /// Bonds, by name.
    pub bonds: BTreeMap<String, Link>,
    /// Bridges, by name.
    pub bridges: BTreeMap<String, Link>,
    /// VLANs, by name.
    pub vlans: BTreeMap<String, Link>,
}

/// One interface. What only one type has is empty in the others.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Link {
    /// Which card an id means; without it the id is the interface name.
    #[serde(skip_serializing_if = "Option::is_none", rename = "match")]
    pub matches: Option<Match>,
    /// New name of a matched card.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub set_name: Option<String>,
    /// Wake on LAN by magic packet.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub wakeonlan: Option<bool>,
    /// DHCP for IPv4.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dhcp4: Option<bool>,
    /// DHCP for IPv6.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dhcp6: Option<bool>,
    /// Details of DHCP for IPv4.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dhcp4_overrides: Option<DhcpOverrides>,
    /// Details of DHCP for IPv6.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dhcp6_overrides: Option<DhcpOverrides>,
    /// IPv6 router advertisements.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub accept_ra: Option<bool>,
    /// Addresses with prefix length.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub addresses: Vec<String>,
    /// IPv4 default route.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gateway4: Option<String>,
    /// IPv6 default route.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gateway6: Option<String>,
    /// Other routes.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub routes: Vec<Route>,
    /// DNS.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub nameservers: Option<Nameservers>,
    /// Largest packet in bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mtu: Option<u32>,
    /// Own hardware address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub macaddress: Option<String>,
    /// The machine counts as online without it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub optional: Option<bool>,
    /// Members of a bond or bridge.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub interfaces: Vec<String>,
    /// Settings of a bond or bridge by netplan's names, checked words.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub parameters: BTreeMap<String, String>,
    /// VLAN number.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<u32>,
    /// Interface below a VLAN.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub link: Option<String>,
}

/// Conditions; all given ones must hold.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Match {
    /// Interface name, `*` and `?` allowed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Permanent hardware address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub macaddress: Option<String>,
    /// Kernel driver.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub driver: Option<String>,
}

/// What is taken from a DHCP server.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct DhcpOverrides {
    /// Name sent to the server.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hostname: Option<String>,
    /// Metric of its routes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub route_metric: Option<u32>,
    /// Whether a name is sent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub send_hostname: Option<bool>,
    /// Its DNS servers are used.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub use_dns: Option<bool>,
    /// Its domains are used.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub use_domains: Option<bool>,
    /// Its MTU is used.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub use_mtu: Option<bool>,
    /// Its NTP servers are used.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub use_ntp: Option<bool>,
    /// Its routes are used.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub use_routes: Option<bool>,
}

/// One route.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Route {
    /// Destination network, or `default`.
    pub to: String,
    /// Gateway; without it the destination is on the link.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub via: Option<String>,
    /// The gateway is on the link although no address says so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub on_link: Option<bool>,
    /// Metric.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metric: Option<u32>,
    /// Routing table.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub table: Option<u32>,
    /// Source address of packets.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// `unicast`, `blackhole`, `unreachable`, `prohibit` or `local`.
    #[serde(skip_serializing_if = "Option::is_none", rename = "type")]
    pub kind: Option<String>,
}

/// DNS of a link.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Nameservers {
    /// Servers.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub addresses: Vec<String>,
    /// Search domains.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub search: Vec<String>,
}

/// `address/length`.
pub fn is_prefix(text: &str) -> bool {
    let Some((address, length)) = text.split_once('/') else { return false };
    let Ok(address) = address.parse::<IpAddr>() else { return false };
    let longest = if address.is_ipv4() { 32 } else { 128 };
    length.bytes().all(|byte| byte.is_ascii_digit()) && length.parse::<u32>().is_ok_and(|length| length <= longest)
}

/// A name the kernel takes for an interface, and that is no pattern.
pub fn is_interface(name: &str) -> bool {
    is_pattern(name) && !name.contains(['*', '?', '[', ']', '!'])
}

/// An interface name with `*`, `?` and `[…]`.
fn is_pattern(name: &str) -> bool {
    (1..=15).contains(&name.len())
        && !matches!(name, "." | "..")
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-.*?[]!@".contains(&byte))
}

/// Six hexadecimal octets.
fn is_mac(text: &str) -> bool {
    let octets: Vec<&str> = text.split(':').collect();
    octets.len() == 6
        && octets.iter().all(|octet| octet.len() == 2 && octet.bytes().all(|byte| byte.is_ascii_hexdigit()))
}
