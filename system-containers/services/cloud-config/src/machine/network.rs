//! Network configuration: what every form of it is compiled into, netplan's version 2 with cloud-init's subset of keys.
//!
//! | module | what |
//! |---|---|
//! | `read` | chooses the form: version 2, version 1, OpenStack, disabled |
//! | `version2`, `routes` | netplan's format |
//! | `version1` | cloud-init's list of interfaces |
//! | `openstack` | `network_data.json` |
//! | [`kernel`] | `ip=` and `nameserver=` of the kernel command line |
//! | [`parameters`] | settings of bonds and bridges, in all their spellings |
//! | `draft` | collects interfaces; what only shows when all are known |
//! | `address` | addresses, masks, names |
//!
//! Every value that reaches a configuration file of networkd is an address, a number or a checked name: nothing of
//! the source can become a line of its own there. Unknown keys are warnings, because a machine without network for a
//! misspelt key helps nobody.

mod address;
mod draft;
pub mod kernel;
mod openstack;
pub mod parameters;
mod read;
mod routes;
mod version1;
mod version2;

pub use address::{is_interface, is_prefix, is_within};
pub use parameters::Parameter;
pub use read::read;

use crate::machine::json_schema;
use schemars::JsonSchema;
use serde::Serialize;
use std::collections::BTreeMap;
use std::net::IpAddr;

/// The whole configuration.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Network {
    /// Always 2.
    #[schemars(range(min = 2, max = 2))]
    pub version: u32,
    /// `config: disabled`: no interface is configured.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(skip)]
    pub config: Option<String>,
    /// Physical and virtual network cards, by id.
    #[schemars(default)]
    pub ethernets: BTreeMap<String, Link>,
    /// Bonds, by name.
    #[schemars(default)]
    pub bonds: BTreeMap<String, Link>,
    /// Bridges, by name.
    #[schemars(default)]
    pub bridges: BTreeMap<String, Link>,
    /// VLANs, by name.
    #[schemars(default)]
    pub vlans: BTreeMap<String, Link>,
}

/// One interface. What only one type has is empty in the others.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, JsonSchema)]
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
    /// How the machine names itself to a DHCP server: `mac` or `duid`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dhcp_identifier: Option<String>,
    /// Families with link-local addresses: `ipv4`, `ipv6`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub link_local: Option<Vec<String>>,
    /// IPv6 router advertisements.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub accept_ra: Option<bool>,
    /// Addresses with prefix length.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(default, schema_with = "json_schema::addresses")]
    pub addresses: Vec<String>,
    /// IPv4 default route.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gateway4: Option<String>,
    /// IPv6 default route.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gateway6: Option<String>,
    /// Other routes.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(default)]
    pub routes: Vec<Route>,
    /// Which table a packet's route is looked up in.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(default)]
    pub routing_policy: Vec<Rule>,
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
    #[schemars(default)]
    pub interfaces: Vec<String>,
    /// Settings of a bond or bridge by netplan's names, see [`parameters`].
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(default, schema_with = "json_schema::anything")]
    pub parameters: BTreeMap<String, Parameter>,
    /// VLAN number.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<u32>,
    /// Interface below a VLAN.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub link: Option<String>,
}

impl Link {
    /// Whether it gets addresses beside link-local ones.
    pub fn is_addressed(&self) -> bool {
        let wanted = [self.dhcp4, self.dhcp6, self.accept_ra];
        !self.addresses.is_empty() || wanted.contains(&Some(true))
    }

    /// Whether it may be several cards.
    pub fn is_wide(&self) -> bool {
        let is_one = |matched: &Match| {
            matched.macaddress.is_some() || matched.name.as_ref().is_some_and(|name| !address::is_wild(name))
        };
        self.matches.as_ref().is_some_and(|matched| !is_one(matched))
    }

    /// Whether none of its own addresses has this gateway in its network, so that networkd has to be told that it is
    /// on the link: clouds with one address a machine (`/32`) do that. A lease may bring that network by itself.
    pub fn is_beyond(&self, gateway: IpAddr) -> bool {
        let leased = if gateway.is_ipv4() { self.dhcp4 } else { self.dhcp6.or(self.accept_ra) };
        let is_link_local = matches!(gateway, IpAddr::V6(address) if address.is_unicast_link_local());
        let of_family = |address: &&String| address.contains(':') == gateway.is_ipv6();
        leased != Some(true)
            && !is_link_local
            && self.addresses.iter().any(|address| of_family(&address))
            && !self.addresses.iter().any(|address| is_within(address, gateway))
    }

    /// Adds DNS servers and domains that are not there yet.
    pub fn add_dns(&mut self, addresses: &[String], search: &[String]) {
        if addresses.is_empty() && search.is_empty() {
            return;
        }
        let servers = self.nameservers.get_or_insert_default();
        for (list, more) in [(&mut servers.addresses, addresses), (&mut servers.search, search)] {
            for item in more {
                if !list.contains(item) {
                    list.push(item.clone());
                }
            }
        }
    }
}

/// Conditions; all given ones must hold.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Match {
    /// Interface name, `*` and `?` allowed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Permanent hardware address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub macaddress: Option<String>,
    /// Kernel drivers, any of them; patterns.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(default, schema_with = "json_schema::texts")]
    pub driver: Vec<String>,
}

/// What is taken from a DHCP server.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, JsonSchema)]
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
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Route {
    /// Destination network, or `default`.
    #[schemars(default)]
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
    /// `global`, `link` or `host`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scope: Option<String>,
    /// Largest packet in bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mtu: Option<u32>,
    /// `unicast`, `blackhole` and the other types of ip-route(8).
    #[serde(skip_serializing_if = "Option::is_none", rename = "type")]
    pub kind: Option<String>,
}

/// One rule of the routing policy; all given conditions must hold.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Rule {
    /// Source network.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// Destination network.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to: Option<String>,
    /// Routing table.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub table: Option<u32>,
    /// Rules are asked in this order.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub priority: Option<u32>,
    /// Firewall mark.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mark: Option<u32>,
    /// Type of service.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub type_of_service: Option<u32>,
}

/// DNS of a link.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Nameservers {
    /// Servers.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(default)]
    pub addresses: Vec<String>,
    /// Search domains.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(default)]
    pub search: Vec<String>,
}
