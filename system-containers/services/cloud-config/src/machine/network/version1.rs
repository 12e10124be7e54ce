//! Version 1: cloud-init's list of interfaces, name servers and routes. A mistake costs the entry it stands in.

pub(super) mod subnets;

use super::address::{is_interface, is_ip, is_mac, is_within};
use super::draft::{Draft, Kind, Origin};
use super::version2::{MAC, MTU, is_domain};
use super::{Link, Match, Network, Route, parameters};
use crate::document::{Fields, Node};
use crate::report::Messages;
use std::collections::BTreeMap;
use std::net::IpAddr;
use subnets::words;

/// Settings of ifupdown's bridges that are about waiting, and the list of members said once more.
const BRIDGE_OTHERS: [&str; 5] = ["bridge_ports", "bridge_hw", "bridge_maxwait", "bridge_waitport", "bridge_gcint"];

/// What belongs to no interface of its own.
#[derive(Debug, Default)]
struct Global {
    servers: Vec<String>,
    search: Vec<String>,
    routes: Vec<(Route, Origin)>,
    /// Name servers of one interface.
    named: Vec<(String, [Vec<String>; 2], Origin)>,
}

/// Reads `config`.
pub(super) fn read(mut fields: Fields<'_>, messages: &mut Messages) -> Option<Network> {
    let path = fields.path("config");
    let config = fields.take("config");
    let Some(items) = config.and_then(Node::list) else {
        let place = config.map_or(fields.place(), |config| config.place);
        messages.error(place, &path, "not used: version 1 needs config, a list of interfaces");
        return None;
    };
    fields.ignore_rest(messages);
    let mut draft = Draft::default();
    let mut global = Global::default();
    for (index, item) in items.iter().enumerate() {
        let origin = Origin { place: item.place, path: format!("{path}[{index}]") };
        if let Some(fields) = Fields::new(item, &origin.path, messages) {
            entry(fields, origin, &mut draft, &mut global, messages);
        }
    }
    global.apply(&mut draft, messages);
    Some(draft.finish(messages))
}

fn entry(mut fields: Fields<'_>, origin: Origin, draft: &mut Draft, global: &mut Global, messages: &mut Messages) {
    let types = "physical, bond, bridge, vlan, loopback, nameserver or route";
    let Some(kind) = fields.take("type").and_then(Node::text) else {
        return messages.error(origin.place, &origin.path, format!("not used: an entry needs type: {types}"));
    };
    fields.drop_empty();
    match kind {
        "physical" | "infiniband" => interface(fields, Kind::Ethernet, origin, draft, messages),
        "bond" => interface(fields, Kind::Bond, origin, draft, messages),
        "bridge" => interface(fields, Kind::Bridge, origin, draft, messages),
        "vlan" => interface(fields, Kind::Vlan, origin, draft, messages),
        "loopback" => {
            fields.take_raw("name");
            let mut link = Link::default();
            subnets::read(&mut fields, &mut link, messages);
            fields.ignore_rest(messages);
            if let Some(servers) = &link.nameservers {
                global.servers.extend(servers.addresses.iter().cloned());
                global.search.extend(servers.search.iter().cloned());
            }
            if !link.addresses.is_empty() {
                draft.add(Kind::Ethernet, "lo", Link { nameservers: None, ..link }, origin, messages);
            }
        }
        "nameserver" => global.nameserver(fields, origin, messages),
        "route" => {
            if let Some(route) = subnets::route(&mut fields, messages) {
                global.routes.push((route, origin));
            }
            fields.ignore_rest(messages);
        }
        _ => messages.error(origin.place, &format!("{}.type", origin.path), format!("not used: expected {types}")),
    }
}

fn interface(mut fields: Fields<'_>, kind: Kind, origin: Origin, draft: &mut Draft, messages: &mut Messages) {
    let name = fields.checked("name", is_interface, "an interface name of at most 15 letters, digits, . _ -", messages);
    let Some(name) = name else {
        return messages.error(origin.place, &origin.path, "not used: an interface needs a name");
    };
    let accept_ra = fields.boolean("accept-ra", messages);
    let mut link = Link {
        mtu: fields.number("mtu", MTU, messages),
        accept_ra: accept_ra.or(fields.boolean("accept_ra", messages)),
        ..Link::default()
    };
    let before = messages.errors();
    let mac = fields.checked("mac_address", is_mac, MAC, messages);
    if kind == Kind::Ethernet {
        if messages.errors() > before {
            return messages.error(origin.place, &origin.path, "not used: the card is not known without its address");
        }
        link.wakeonlan = fields.boolean("wakeonlan", messages);
        link.set_name = mac.is_some().then(|| name.clone());
        link.matches = mac.map(|mac| Match { macaddress: Some(mac), ..Match::default() });
    } else {
        link.macaddress = mac;
    }
    match kind {
        Kind::Ethernet => {}
        Kind::Bond => bond(&mut fields, &mut link, messages),
        Kind::Bridge => bridge(&mut fields, &mut link, messages),
        Kind::Vlan => {
            link.id = fields.number("vlan_id", 0..=4094, messages);
            link.link = fields.checked("vlan_link", is_interface, "the name of the interface below", messages);
            if link.id.is_none() || link.link.is_none() {
                return messages.error(origin.place, &origin.path, "not used: a VLAN needs vlan_id and vlan_link");
            }
        }
    }
    subnets::read(&mut fields, &mut link, messages);
    fields.ignore_rest(messages);
    draft.add(kind, &name, link, origin, messages);
}

fn bond(fields: &mut Fields<'_>, link: &mut Link, messages: &mut Messages) {
    let members = words(fields, "bond_interfaces", is_interface, "an interface name", messages);
    link.interfaces = members.unwrap_or_default();
    let path = fields.path("params");
    let params = fields.take("params");
    link.parameters = parameters::read_old(params, &path, ("bond", &parameters::BOND), &[], messages);
}

fn bridge(fields: &mut Fields<'_>, link: &mut Link, messages: &mut Messages) {
    let members = words(fields, "bridge_interfaces", is_interface, "an interface name", messages);
    link.interfaces = members.unwrap_or_default();
    let path = fields.path("params");
    let Some(params) = fields.take("params") else { return };
    let Some(others) = Fields::new(params, &path, messages) else { return };
    let mut others = others.only(|key| BRIDGE_OTHERS.contains(&key));
    others.drop_empty();
    link.parameters =
        parameters::read_old(Some(params), &path, ("bridge", &parameters::BRIDGE), &BRIDGE_OTHERS, messages);
    for member in words(&mut others, "bridge_ports", is_interface, "an interface name", messages).into_iter().flatten()
    {
        if member != "none" && !link.interfaces.contains(&member) {
            link.interfaces.push(member);
        }
    }
    let mac = others.checked("bridge_hw", is_mac, MAC, messages);
    link.macaddress = link.macaddress.take().or(mac);
    others.ignore_rest(messages);
}

impl Global {
    fn nameserver(&mut self, mut fields: Fields<'_>, origin: Origin, messages: &mut Messages) {
        let servers = words(&mut fields, "address", is_ip, "an IP address", messages).unwrap_or_default();
        let search = words(&mut fields, "search", is_domain, "a domain", messages).unwrap_or_default();
        match fields.checked("interface", is_interface, "an interface name", messages) {
            Some(name) => self.named.push((name, [servers, search], origin)),
            None => {
                self.servers.extend(servers);
                self.search.extend(search);
            }
        }
        fields.ignore_rest(messages);
    }

    fn apply(self, draft: &mut Draft, messages: &mut Messages) {
        for (name, [servers, search], origin) in self.named {
            match draft.link(&name) {
                Some(link) => link.add_dns(&servers, &search),
                None => {
                    let path = format!("{}.interface", origin.path);
                    messages.error(origin.place, &path, "not used: the interface is not defined");
                }
            }
        }
        for (route, origin) in self.routes {
            match carrier(draft, &route) {
                Some(link) => link.routes.push(route),
                None => {
                    let text = "not used: no interface has an address in the gateway's network; give the route below its subnet";
                    messages.error(origin.place, &origin.path, text);
                }
            }
        }
        share_dns(draft, &self.servers, &self.search);
    }
}

/// The interface that a route without one goes through: whose network holds the gateway, else the only one there is.
fn carrier<'d>(draft: &'d mut Draft, route: &Route) -> Option<&'d mut Link> {
    let gateway = route.via.as_ref().and_then(|via| via.parse::<IpAddr>().ok());
    let candidates: BTreeMap<String, bool> = draft
        .links()
        .filter(|(_, link)| link.is_addressed())
        .map(|(id, link)| {
            let near = gateway.is_some_and(|gateway| link.addresses.iter().any(|own| is_within(own, gateway)));
            (id.clone(), near)
        })
        .collect();
    let near = candidates.iter().find(|(_, near)| **near).map(|(id, _)| id);
    let id = near.or_else(|| candidates.keys().next().filter(|_| candidates.len() == 1))?;
    draft.link(id)
}

/// Name servers of no interface: every interface with addresses asks them, for networkd knows no others.
pub(super) fn share_dns(draft: &mut Draft, servers: &[String], search: &[String]) {
    for (id, link) in draft.links() {
        if link.is_addressed() && id != "lo" {
            link.add_dns(servers, search);
        }
    }
}
