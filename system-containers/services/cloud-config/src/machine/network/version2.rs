//! Version 2: netplan's format, the keys that cloud-init documents and some that clouds write.

use super::address::{is_id, is_interface, is_ip, is_ip4, is_ip6, is_mac, is_pattern, is_prefix};
use super::draft::{Draft, Kind, Origin};
use super::{DhcpOverrides, Link, Match, Nameservers, Network, parameters, routes};
use crate::document::{Fields, Node};
use crate::report::{Messages, quote};
use crate::userdata::names;

const ADDRESS: &str = "an address with prefix length, such as 192.0.2.5/24";
pub(super) const MAC: &str = "a hardware address such as 52:54:00:12:34:56";
/// Below 68 nothing of IPv4 fits; above is no packet.
pub(super) const MTU: std::ops::RangeInclusive<u32> = 68..=65536;

const SECTIONS: [(&str, Kind); 4] =
    [("ethernets", Kind::Ethernet), ("bonds", Kind::Bond), ("bridges", Kind::Bridge), ("vlans", Kind::Vlan)];

/// Reads the sections.
pub(super) fn read(mut fields: Fields<'_>, messages: &mut Messages) -> Network {
    let mut draft = Draft::default();
    fields.take_raw("renderer");
    for (key, kind) in SECTIONS {
        let path = fields.path(key);
        let Some(mut entries) = fields.take(key).and_then(|node| Fields::new(node, &path, messages)) else { continue };
        entries.take_raw("renderer");
        for entry in entries.rest() {
            let path = format!("{path}.{}", quote(&entry.key));
            if let Some(link) = link(&entry.node, &path, kind, messages) {
                draft.add(kind, &entry.key, link, Origin { place: entry.place, path }, messages);
            }
        }
    }
    fields.ignore_rest(messages);
    draft.finish(messages)
}

fn link(node: &Node, path: &str, kind: Kind, messages: &mut Messages) -> Option<Link> {
    // `eth0:` with nothing below is an interface that is only brought up.
    if node.is_null() {
        return Some(Link::default());
    }
    let mut fields = Fields::new(node, path, messages)?;
    fields.take_raw("renderer");
    let mut link = common(&mut fields, messages);
    match kind {
        Kind::Ethernet => {
            let before = messages.errors();
            link.matches = matches(&mut fields, messages);
            if messages.errors() > before {
                let text = "not used: with a condition less it would hold for cards it is not meant for";
                messages.error(node.place, &format!("{path}.match"), text);
                return None;
            }
            link.set_name = fields.checked("set-name", is_interface, "an interface name", messages);
            link.wakeonlan = fields.boolean("wakeonlan", messages);
        }
        Kind::Vlan => {
            link.id = fields.number("id", 0..=4094, messages);
            link.link = fields.checked("link", is_id, "the name of the interface below", messages);
            if link.id.is_none() || link.link.is_none() {
                messages.error(node.place, path, "not used: a VLAN needs id and link");
                return None;
            }
        }
        Kind::Bond | Kind::Bridge => {
            let members = fields.texts("interfaces", false, is_id, "an interface name", messages);
            link.interfaces = members.unwrap_or_default();
            let table = if kind == Kind::Bond { &parameters::BOND[..] } else { &parameters::BRIDGE };
            link.parameters = parameters::read(&mut fields, table, messages);
        }
    }
    fields.ignore_rest(messages);
    Some(link)
}

fn common(fields: &mut Fields<'_>, messages: &mut Messages) -> Link {
    let is_identifier = |text: &str| matches!(text, "mac" | "duid");
    let is_family = |text: &str| matches!(text, "ipv4" | "ipv6");
    Link {
        dhcp4: fields.boolean("dhcp4", messages),
        dhcp6: fields.boolean("dhcp6", messages),
        dhcp4_overrides: overrides(fields, "dhcp4-overrides", messages),
        dhcp6_overrides: overrides(fields, "dhcp6-overrides", messages),
        dhcp_identifier: fields.checked("dhcp-identifier", is_identifier, "mac or duid", messages),
        link_local: fields.texts("link-local", false, is_family, "ipv4 or ipv6", messages),
        accept_ra: fields.boolean("accept-ra", messages),
        addresses: addresses(fields, messages),
        gateway4: fields.checked("gateway4", is_ip4, "an IPv4 address", messages),
        gateway6: fields.checked("gateway6", is_ip6, "an IPv6 address", messages),
        routes: routes::routes(fields, messages),
        routing_policy: routes::rules(fields, messages),
        nameservers: nameservers(fields, messages),
        mtu: fields.number("mtu", MTU, messages),
        macaddress: fields.checked("macaddress", is_mac, MAC, messages),
        optional: fields.boolean("optional", messages),
        ..Link::default()
    }
}

/// Texts, or netplan's mappings of an address to options, which are left out.
fn addresses(fields: &mut Fields<'_>, messages: &mut Messages) -> Vec<String> {
    let path = fields.path("addresses");
    let Some(node) = fields.take("addresses") else { return Vec::new() };
    let Some(items) = node.list() else {
        messages.error(node.place, &path, format!("expected a list, each item {ADDRESS}, found {}", node.describe()));
        return Vec::new();
    };
    let mut found = Vec::new();
    for (index, item) in items.iter().enumerate() {
        let path = format!("{path}[{index}]");
        let text = match item.map() {
            Some([entry]) => {
                messages.warning(entry.place, &path, "the options of the address are ignored");
                Some(entry.key.as_str())
            }
            _ => item.text(),
        };
        match text.filter(|text| is_prefix(text)) {
            Some(text) => found.push(text.to_owned()),
            None => messages.error(item.place, &path, format!("expected {ADDRESS}")),
        }
    }
    found
}

fn matches(fields: &mut Fields<'_>, messages: &mut Messages) -> Option<Match> {
    let path = fields.path("match");
    let mut inner = Fields::new(fields.take("match")?, &path, messages)?;
    let is_driver =
        |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-*?".contains(&b));
    let found = Match {
        name: inner.checked("name", is_pattern, "an interface name or pattern", messages),
        macaddress: inner.checked("macaddress", is_mac, MAC, messages),
        driver: inner.texts("driver", true, is_driver, "the name of a driver", messages).unwrap_or_default(),
    };
    inner.deny_rest(messages);
    Some(found)
}

fn overrides(fields: &mut Fields<'_>, key: &str, messages: &mut Messages) -> Option<DhcpOverrides> {
    let path = fields.path(key);
    let mut inner = Fields::new(fields.take(key)?, &path, messages)?;
    let mut found = DhcpOverrides {
        hostname: inner.checked("hostname", names::is_host, "a host name", messages),
        route_metric: inner.number("route-metric", 0..=u32::MAX, messages),
        send_hostname: inner.boolean("send-hostname", messages),
        use_dns: inner.boolean("use-dns", messages),
        use_domains: inner.boolean("use-domains", messages),
        use_ntp: inner.boolean("use-ntp", messages),
        ..DhcpOverrides::default()
    };
    // Over IPv6, MTU and routes come with router advertisements.
    if key == "dhcp4-overrides" {
        found.use_mtu = inner.boolean("use-mtu", messages);
        found.use_routes = inner.boolean("use-routes", messages);
    }
    if let Some(node) = inner.take("use-hostname").filter(|node| node.boolean() != Some(false)) {
        let text = "ignored: the machine is not named by a DHCP server; use hostname in user data";
        messages.warning(node.place, &inner.path("use-hostname"), text);
    }
    inner.ignore_rest(messages);
    Some(found)
}

fn nameservers(fields: &mut Fields<'_>, messages: &mut Messages) -> Option<Nameservers> {
    let path = fields.path("nameservers");
    let mut inner = Fields::new(fields.take("nameservers")?, &path, messages)?;
    let found = Nameservers {
        addresses: inner.texts("addresses", true, is_ip, "an IP address", messages).unwrap_or_default(),
        search: inner.texts("search", true, is_domain, "a domain", messages).unwrap_or_default(),
    };
    inner.ignore_rest(messages);
    Some(found)
}

/// A search domain, or with `~` one that is only routed to.
pub(super) fn is_domain(text: &str) -> bool {
    text == "." || text == "~." || names::is_host(text.strip_prefix('~').unwrap_or(text))
}
