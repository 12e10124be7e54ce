//! Reads [`Network`] from a document.

use super::{DhcpOverrides, Link, Match, Nameservers, Network, Route, is_interface, is_mac, is_pattern, is_prefix};
use crate::document::{Fields, Node};
use crate::report::Messages;
use crate::userdata::names;
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

const ADDRESS: &str = "an address with prefix length, such as 192.0.2.5/24";

/// Reads the mapping at `path`, with or without a `network` key around it. `None`: nothing of it can be used.
pub fn read(node: &Node, path: &str, messages: &mut Messages) -> Option<Network> {
    let node = node.get("network").unwrap_or(node);
    let mut fields = Fields::new(node, path, messages)?;
    if let Some(config) = fields.take("config") {
        if config.text() == Some("disabled") {
            return Some(Network { version: 2, config: Some("disabled".into()), ..Network::default() });
        }
        messages.error(
            config.place,
            &fields.path("config"),
            "not used: only network configuration version 2 is supported",
        );
        return None;
    }
    let version = fields.take("version");
    if version.is_none_or(|version| version.integer() != Some(2)) {
        let place = version.map_or(fields.place(), |version| version.place);
        messages.error(place, &fields.path("version"), "not used: only network configuration version 2 is supported");
        return None;
    }
    fields.take_raw("renderer");
    let network = Network {
        version: 2,
        config: None,
        ethernets: links(&mut fields, "ethernets", messages),
        bonds: links(&mut fields, "bonds", messages),
        bridges: links(&mut fields, "bridges", messages),
        vlans: links(&mut fields, "vlans", messages),
    };
    fields.ignore_rest(messages);
    Some(network)
}

fn links(fields: &mut Fields<'_>, key: &str, messages: &mut Messages) -> BTreeMap<String, Link> {
    let mut result = BTreeMap::new();
    let path = fields.path(key);
    let Some(entries) = fields.take(key).and_then(|node| Fields::new(node, &path, messages)) else { return result };
    for entry in entries.rest() {
        let path = format!("{path}.{}", crate::report::quote(&entry.key));
        let is_file_name = entry.key.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte));
        let named = key == "ethernets" && entry.node.get("match").is_some();
        if entry.key.is_empty() || !is_file_name || (!named && !is_interface(&entry.key)) {
            messages.error(entry.place, &path, "expected an interface name of at most 15 letters, digits, . _ -");
            continue;
        }
        if let Some(link) = link(&entry.node, &path, key, messages) {
            result.insert(entry.key.clone(), link);
        }
    }
    result
}

fn link(node: &Node, path: &str, section: &str, messages: &mut Messages) -> Option<Link> {
    // `eth0:` with nothing below is an interface that is only brought up.
    if node.is_null() {
        return Some(Link::default());
    }
    let mut fields = Fields::new(node, path, messages)?;
    let ip4 = |text: &str| text.parse::<Ipv4Addr>().is_ok();
    let ip6 = |text: &str| text.parse::<Ipv6Addr>().is_ok();
    let mut link = Link {
        dhcp4: fields.boolean("dhcp4", messages),
        dhcp6: fields.boolean("dhcp6", messages),
        dhcp4_overrides: overrides(&mut fields, "dhcp4-overrides", messages),
        dhcp6_overrides: overrides(&mut fields, "dhcp6-overrides", messages),
        accept_ra: fields.boolean("accept-ra", messages),
        addresses: fields.texts("addresses", false, is_prefix, ADDRESS, messages).unwrap_or_default(),
        gateway4: fields.checked("gateway4", ip4, "an IPv4 address", messages),
        gateway6: fields.checked("gateway6", ip6, "an IPv6 address", messages),
        routes: routes(&mut fields, messages),
        nameservers: nameservers(&mut fields, messages),
        mtu: fields.number("mtu", 68..=65536, messages),
        macaddress: fields.checked("macaddress", is_mac, "a hardware address such as 52:54:00:12:34:56", messages),
        optional: fields.boolean("optional", messages),
        ..Link::default()
    };
    match section {
        "ethernets" => {
            link.matches = matches(&mut fields, messages);
            link.set_name = fields.checked("set-name", is_interface, "an interface name", messages);
            link.wakeonlan = fields.boolean("wakeonlan", messages);
        }
        "vlans" => {
            link.id = fields.number("id", 0..=4094, messages);
            link.link = fields.checked("link", is_interface, "the name of the interface below", messages);
            if link.id.is_none() || link.link.is_none() {
                messages.error(node.place, path, "not used: a VLAN needs id and link");
                return None;
            }
        }
        _ => {
            let members = fields.texts("interfaces", false, is_interface, "an interface name", messages);
            link.interfaces = members.unwrap_or_default();
            link.parameters = parameters(&mut fields, messages);
        }
    }
    fields.ignore_rest(messages);
    Some(link)
}

fn matches(fields: &mut Fields<'_>, messages: &mut Messages) -> Option<Match> {
    let path = fields.path("match");
    let mut inner = Fields::new(fields.take("match")?, &path, messages)?;
    let is_driver =
        |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-*?".contains(&b));
    let found = Match {
        name: inner.checked("name", is_pattern, "an interface name or pattern", messages),
        macaddress: inner.checked("macaddress", is_mac, "a hardware address such as 52:54:00:12:34:56", messages),
        driver: inner.checked("driver", is_driver, "the name of a driver", messages),
    };
    inner.ignore_rest(messages);
    Some(found)
}

fn overrides(fields: &mut Fields<'_>, key: &str, messages: &mut Messages) -> Option<DhcpOverrides> {
    let path = fields.path(key);
    let mut inner = Fields::new(fields.take(key)?, &path, messages)?;
    let found = DhcpOverrides {
        hostname: inner.checked("hostname", names::is_host, "a host name", messages),
        route_metric: inner.number("route-metric", 0..=u32::MAX, messages),
        send_hostname: inner.boolean("send-hostname", messages),
        use_dns: inner.boolean("use-dns", messages),
        use_domains: inner.boolean("use-domains", messages),
        use_mtu: inner.boolean("use-mtu", messages),
        use_ntp: inner.boolean("use-ntp", messages),
        use_routes: inner.boolean("use-routes", messages),
    };
    inner.ignore_rest(messages);
    Some(found)
}

fn nameservers(fields: &mut Fields<'_>, messages: &mut Messages) -> Option<Nameservers> {
    let path = fields.path("nameservers");
    let mut inner = Fields::new(fields.take("nameservers")?, &path, messages)?;
    let ip = |text: &str| text.parse::<IpAddr>().is_ok();
    let domain = |text: &str| text == "." || names::is_host(text.trim_start_matches('~'));
    let found = Nameservers {
        addresses: inner.texts("addresses", true, ip, "an IP address", messages).unwrap_or_default(),
        search: inner.texts("search", true, domain, "a domain", messages).unwrap_or_default(),
    };
    inner.ignore_rest(messages);
    Some(found)
}

fn routes(fields: &mut Fields<'_>, messages: &mut Messages) -> Vec<Route> {
    let path = fields.path("routes");
    let Some(node) = fields.take("routes") else { return Vec::new() };
    let Some(items) = node.list() else {
        messages.error(node.place, &path, format!("expected a list of routes, found {}", node.describe()));
        return Vec::new();
    };
    let mut found = Vec::new();
    for (index, item) in items.iter().enumerate() {
        let path = format!("{path}[{index}]");
        let Some(mut inner) = Fields::new(item, &path, messages) else { continue };
        let ip = |text: &str| text.parse::<IpAddr>().is_ok();
        let target = |text: &str| text == "default" || ip(text) || is_prefix(text);
        let is_kind = |text: &str| matches!(text, "unicast" | "blackhole" | "unreachable" | "prohibit" | "local");
        let to = inner.checked("to", target, "default, or a network such as 198.51.100.0/24", messages);
        let before = messages.errors();
        let route = Route {
            via: inner.checked("via", ip, "an IP address", messages),
            on_link: inner.boolean("on-link", messages),
            metric: inner.number("metric", 0..=u32::MAX, messages),
            table: inner.number("table", 1..=u32::MAX, messages),
            from: inner.checked("from", ip, "an IP address", messages),
            kind: inner.checked("type", is_kind, "unicast, blackhole, unreachable, prohibit or local", messages),
            to: to.clone().unwrap_or_default(),
        };
        inner.ignore_rest(messages);
        // A route that lost its gateway or table would lead elsewhere.
        if to.is_none() || messages.errors() > before || (route.to == "default" && route.via.is_none()) {
            messages.error(item.place, &path, "the route is not used: it needs to, and via for the default route");
        } else {
            found.push(route);
        }
    }
    found
}

/// Parameters by netplan's names; the renderer knows which of them mean something.
fn parameters(fields: &mut Fields<'_>, messages: &mut Messages) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    let path = fields.path("parameters");
    let Some(inner) = fields.take("parameters").and_then(|node| Fields::new(node, &path, messages)) else {
        return found;
    };
    for entry in inner.rest() {
        let path = format!("{path}.{}", crate::report::quote(&entry.key));
        if !crate::render::networkd::is_parameter(&entry.key) {
            messages.warning(entry.place, &path, "ignored: not supported");
            continue;
        }
        let text = match (entry.node.text(), entry.node.boolean()) {
            (Some(text), _) => Some(text.to_owned()),
            (None, Some(value)) => Some(value.to_string()),
            _ => None,
        };
        let is_word = |text: &String| {
            !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-+:".contains(&b))
        };
        match text.filter(is_word) {
            Some(text) => {
                found.insert(entry.key.clone(), text);
            }
            None => messages.error(entry.node.place, &path, "expected one word or number"),
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::document::yaml;

    fn load(text: &str) -> (Option<Network>, String) {
        let mut messages = Messages::new("network-config");
        let node = yaml::parse(text, &mut messages).unwrap();
        let network = read(&node, "", &mut messages);
        (network, messages.list().iter().map(|message| format!("{message}\n")).collect())
    }

    #[test]
    fn wrapper_key_is_optional_and_version_one_is_refused() {
        let (network, messages) =
            load("network:\n  version: 2\n  renderer: networkd\n  ethernets: {eth0: {dhcp4: yes}}\n");
        assert_eq!(messages, "");
        assert_eq!(network.unwrap().ethernets["eth0"].dhcp4, Some(true));
        assert_eq!(load("network: {config: disabled}").0.unwrap().config.as_deref(), Some("disabled"));
        for text in ["version: 1\nconfig: []\n", "ethernets: {}\n", "version: 3\n"] {
            let (network, messages) = load(text);
            assert!(network.is_none() && messages.contains("only network configuration version 2"), "{messages}");
        }
    }

    #[test]
    fn nothing_hostile_gets_through() {
        let (network, messages) = load(
            "version: 2\nethernets:\n  '../x': {}\n  \"a\\nb\": {}\n  eth0:\n    addresses: [10.0.0.1, '10.0.0.1/33', \"10.0.0.1/24\\n[Network]\"]\n    gateway4: '::1'\n    mtu: 12\n    macaddress: x\n    nameservers: {addresses: [a], search: [\"a\\nb\"]}\n    routes: [{to: default}, {to: x, via: y}, {via: 10.0.0.1}, 3]\n    match: {name: 'a b'}\n    nope: 1\nbonds: {bond0: {parameters: {mode: \"a\\nb\", nope: 1}}}\nvlans: {v: {id: 9999, link: eth0}}\nwifis: {}\n",
        );
        let network = network.unwrap();
        let eth0 = &network.ethernets["eth0"];
        assert_eq!(network.ethernets.len(), 1);
        assert!(eth0.addresses.is_empty() && eth0.routes.is_empty() && eth0.gateway4.is_none() && eth0.mtu.is_none());
        assert!(network.bonds["bond0"].parameters.is_empty() && network.vlans.is_empty());
        for expected in [
            "addresses[0]",
            "addresses[1]",
            "addresses[2]",
            "gateway4",
            "mtu",
            "macaddress",
            "nameservers.search[0]",
            "routes[0]",
            "routes[1].to",
            "routes[2]",
            "routes[3]",
            "match.name",
            "ethernets.eth0.nope: ignored",
            "parameters.mode",
            "parameters.nope: ignored",
            "vlans.v.id",
            "wifis: ignored",
        ] {
            assert!(messages.contains(expected), "{expected}\n{messages}");
        }
    }
}
