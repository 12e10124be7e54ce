//! OpenStack's `network_data.json`: links, networks on them, services. A configuration drive and the metadata service
//! have it; JSON is YAML, so it is read as that and messages have places.
//!
//! Cards keep the kernel's names and are found by hardware address, as the ids are those of the host's side. A bond is
//! called by its id, or `bond<n>` when that is no interface name; a VLAN `<bond>.<number>`, or `vlan<number>` on a card.

use super::address::{is_interface, is_ip, is_mac};
use super::draft::{Draft, Kind, Origin};
use super::version1::{share_dns, subnets};
use super::version2::{MAC, MTU};
use super::{Link, Match, Network, parameters};
use crate::document::{Fields, Node};
use crate::report::Messages;
use std::collections::{BTreeMap, BTreeSet};

const NETWORKS: &str = "ipv4, ipv6, ipv4_dhcp, ipv6_dhcp, ipv6_slaac, ipv6_dhcpv6-stateful or ipv6_dhcpv6-stateless";

/// One link, before it is known what is on it.
struct Part {
    kind: Kind,
    name: String,
    link: Link,
    origin: Origin,
}

/// Whether a document is of this form.
pub(super) fn is_data(node: &Node) -> bool {
    ["links", "networks"].iter().all(|key| node.get(key).is_some_and(|node| node.list().is_some()))
}

/// Reads the document.
pub(super) fn read(mut fields: Fields<'_>, messages: &mut Messages) -> Network {
    let mut parts = BTreeMap::new();
    each(&mut fields, "links", messages, |fields, origin, messages| {
        if let Some((id, part)) = link(fields, origin, &parts, messages) {
            parts.insert(id, part);
        }
    });
    leave_unknown(&mut parts, messages);
    name(&mut parts);
    each(&mut fields, "networks", messages, |mut fields, origin, messages| {
        let part = fields.take("link").and_then(Node::text).and_then(|id| parts.get_mut(id));
        match part {
            Some(part) => network(&mut fields, &mut part.link, messages),
            None => {
                messages.error(origin.place, &format!("{}.link", origin.path), "not used: expected the id of a link")
            }
        }
    });
    let mut servers = Vec::new();
    each(&mut fields, "services", messages, |mut fields, _, messages| servers.extend(service(&mut fields, messages)));
    let mut draft = Draft::default();
    for part in parts.into_values() {
        draft.add(part.kind, &part.name, part.link, part.origin, messages);
    }
    share_dns(&mut draft, &servers, &[]);
    draft.finish(messages)
}

fn each<'n>(
    fields: &mut Fields<'n>,
    key: &str,
    messages: &mut Messages,
    mut read: impl FnMut(Fields<'n>, Origin, &mut Messages),
) {
    let path = fields.path(key);
    for (index, item) in fields.take(key).and_then(Node::list).unwrap_or_default().iter().enumerate() {
        let origin = Origin { place: item.place, path: format!("{path}[{index}]") };
        if let Some(mut fields) = Fields::new(item, &origin.path, messages) {
            fields.drop_empty();
            read(fields, origin, messages);
        }
    }
}

fn link(
    mut fields: Fields<'_>,
    origin: Origin,
    known: &BTreeMap<String, Part>,
    messages: &mut Messages,
) -> Option<(String, Part)> {
    let refuse = |text: &str, messages: &mut Messages| {
        messages.error(origin.place, &origin.path, text);
        None
    };
    let Some(id) = fields.text("id", messages) else { return refuse("not used: a link needs an id", messages) };
    if known.contains_key(&id) {
        return refuse("not used: its id is that of a link before it", messages);
    }
    let mac = fields.checked("ethernet_mac_address", is_mac, MAC, messages);
    let mut link = Link { mtu: fields.number("mtu", MTU, messages), ..Link::default() };
    let kind = match fields.text("type", messages).as_deref() {
        Some("bond") => {
            link.macaddress = mac;
            link.interfaces =
                fields.texts("bond_links", true, |_| true, "the id of a link", messages).unwrap_or_default();
            Kind::Bond
        }
        Some("vlan") => {
            link.macaddress = fields.checked("vlan_mac_address", is_mac, MAC, messages).or(mac);
            link.id = fields.number("vlan_id", 0..=4094, messages);
            link.link = fields.text("vlan_link", messages);
            if link.id.is_none() || link.link.is_none() {
                return refuse("not used: a VLAN needs vlan_id and vlan_link", messages);
            }
            Kind::Vlan
        }
        _ => {
            if mac.is_none() {
                return refuse("not used: a card is found by its ethernet_mac_address", messages);
            }
            link.matches = Some(Match { macaddress: mac, ..Match::default() });
            Kind::Ethernet
        }
    };
    if kind == Kind::Bond {
        link.parameters = parameters::read_beside(fields, messages);
    }
    Some((id.clone(), Part { kind, name: id, link, origin }))
}

/// Forgets references to links that are not there, and VLANs on such.
fn leave_unknown(parts: &mut BTreeMap<String, Part>, messages: &mut Messages) {
    let ids: BTreeSet<String> = parts.keys().cloned().collect();
    parts.retain(|_, part| {
        let all = part.link.interfaces.len();
        part.link.interfaces.retain(|id| ids.contains(id));
        let lost = part.link.link.as_ref().is_some_and(|id| !ids.contains(id));
        if lost || part.link.interfaces.len() < all {
            let (key, text) =
                if lost { ("vlan_link", "the VLAN is not used") } else { ("bond_links", "a member is left out") };
            let path = format!("{}.{key}", part.origin.path);
            messages.error(part.origin.place, &path, format!("{text}: expected the id of a link"));
        }
        !lost
    });
}

/// Gives every link its name and puts names where ids stood.
fn name(parts: &mut BTreeMap<String, Part>) {
    let mut taken: BTreeSet<String> = BTreeSet::new();
    let mut names: BTreeMap<String, String> = BTreeMap::new();
    // VLANs last: they may be called after the bond below them.
    for wanted in [Kind::Bond, Kind::Ethernet, Kind::Vlan] {
        for (id, part) in parts.iter().filter(|(_, part)| part.kind == wanted) {
            let below =
                part.link.link.as_ref().filter(|below| parts.get(*below).is_some_and(|part| part.kind == Kind::Bond));
            let number = part.link.id.unwrap_or_default();
            let (first, stem) = match (wanted, below.and_then(|below| names.get(below))) {
                (Kind::Bond, _) => (id.clone(), "bond".to_owned()),
                (Kind::Vlan, Some(below)) => (format!("{below}.{number}"), format!("vlan{number}-")),
                (Kind::Vlan, None) => (format!("vlan{number}"), format!("vlan{number}-")),
                _ => (id.clone(), "nic".to_owned()),
            };
            let others = (0..parts.len()).map(|index| format!("{stem}{index}"));
            let mut choice = std::iter::once(first).chain(others);
            if let Some(name) = choice.find(|name| is_interface(name) && !taken.contains(name)) {
                taken.insert(name.clone());
                names.insert(id.clone(), name);
            }
        }
    }
    let renamed = |id: &String| names.get(id).unwrap_or(id).clone();
    for (id, part) in parts.iter_mut() {
        part.name = renamed(id);
        part.link.interfaces = part.link.interfaces.iter().map(renamed).collect();
        part.link.link = part.link.link.as_ref().map(renamed);
    }
}

fn network(fields: &mut Fields<'_>, link: &mut Link, messages: &mut Messages) {
    match fields.text("type", messages).as_deref() {
        Some("ipv4_dhcp") => link.dhcp4 = Some(true),
        Some("ipv6_dhcp" | "ipv6_dhcpv6-stateful" | "ipv6_dhcpv6-stateless") => {
            (link.dhcp6, link.accept_ra) = (Some(true), Some(true));
        }
        Some("ipv6_slaac") => link.accept_ra = Some(true),
        Some(kind @ ("ipv4" | "ipv6" | "static" | "static6")) => {
            let Some(own) = subnets::address(fields, ["ip_address", "netmask"], messages) else {
                return messages.error(
                    fields.place(),
                    &fields.path("ip_address"),
                    "not used: expected an address, and its netmask",
                );
            };
            link.addresses.push(own);
            if kind.ends_with('6') {
                link.accept_ra = link.accept_ra.or(Some(false));
            }
        }
        _ => return messages.error(fields.place(), &fields.path("type"), format!("not used: expected {NETWORKS}")),
    }
    subnets::static_routes(fields, link, messages);
    let servers = subnets::words(fields, "dns_nameservers", is_ip, "an IP address", messages).unwrap_or_default();
    link.add_dns(&servers, &[]);
    let mut servers = Vec::new();
    each(fields, "services", messages, |mut fields, _, messages| servers.extend(service(&mut fields, messages)));
    link.add_dns(&servers, &[]);
}

/// The address of a name server; other services are not the network's.
fn service(fields: &mut Fields<'_>, messages: &mut Messages) -> Option<String> {
    let is_dns = fields.take("type").and_then(Node::text) == Some("dns");
    fields.checked("address", is_ip, "an IP address", messages).filter(|_| is_dns)
}
