//! `subnets` of version 1, and the routes in them.

use crate::document::{Fields, Node};
use crate::machine::network::address::{is_ip, with_length};
use crate::machine::network::version2::{MTU, is_domain};
use crate::machine::network::{DhcpOverrides, Link, Route, routes};
use crate::report::Messages;
use std::net::IpAddr;

const TYPES: &str =
    "dhcp, dhcp4, dhcp6, static, static6, manual, ipv6_slaac, ipv6_dhcpv6-stateful or ipv6_dhcpv6-stateless";
const ADDRESS: &str = "an address, and its netmask or prefix length";

/// Reads `subnets` into the interface.
pub(super) fn read(fields: &mut Fields<'_>, link: &mut Link, messages: &mut Messages) {
    let path = fields.path("subnets");
    let Some(node) = fields.take("subnets") else { return };
    let Some(items) = node.list() else {
        return messages.error(node.place, &path, format!("expected a list, found {}", node.describe()));
    };
    for (index, item) in items.iter().enumerate() {
        let path = format!("{path}[{index}]");
        let Some(mut fields) = Fields::new(item, &path, messages) else { continue };
        fields.drop_empty();
        let kind = fields.take("type").and_then(Node::text).unwrap_or_default();
        if let Err(text) = addressing(kind, &mut fields, link, messages) {
            messages.error(item.place, &path, text);
            continue;
        }
        let servers = words(&mut fields, "dns_nameservers", is_ip, "an IP address", messages).unwrap_or_default();
        let search = words(&mut fields, "dns_search", is_domain, "a domain", messages).unwrap_or_default();
        link.add_dns(&servers, &search);
        link.mtu = link.mtu.or(fields.number("mtu", MTU, messages));
        more_routes(&mut fields, link, messages);
        if let Some(node) = fields.take("control").filter(|node| node.text() == Some("manual")) {
            messages.warning(node.place, &fields.path("control"), "ignored: every interface is brought up");
        }
        // It follows from address and netmask.
        fields.take_raw("broadcast");
        fields.ignore_rest(messages);
    }
}

fn addressing(kind: &str, fields: &mut Fields<'_>, link: &mut Link, messages: &mut Messages) -> Result<(), String> {
    match kind {
        "dhcp" | "dhcp4" => {
            link.dhcp4 = Some(true);
            metric(fields, &mut link.dhcp4_overrides, messages);
        }
        "dhcp6" | "ipv6_dhcpv6-stateful" | "ipv6_dhcpv6-stateless" => {
            link.dhcp6 = Some(true);
            link.accept_ra = link.accept_ra.or((kind != "dhcp6").then_some(true));
            metric(fields, &mut link.dhcp6_overrides, messages);
        }
        "ipv6_slaac" => link.accept_ra = link.accept_ra.or(Some(true)),
        "static" | "static6" => {
            let metric = fields.number("metric", 0..=u32::MAX, messages);
            let own = address(fields, ["address", "netmask"], messages)
                .ok_or_else(|| format!("not used: expected {ADDRESS}"))?;
            link.addresses.push(own);
            if let Some(gateway) = gateway(fields, messages) {
                link.routes.push(Route { metric, ..default_route(gateway) });
            }
        }
        "manual" | "loopback" => {}
        _ => return Err(format!("not used: expected type: {TYPES}")),
    }
    Ok(())
}

fn metric(fields: &mut Fields<'_>, overrides: &mut Option<DhcpOverrides>, messages: &mut Messages) {
    if let Some(metric) = fields.number("metric", 0..=u32::MAX, messages) {
        overrides.get_or_insert_default().route_metric = Some(metric);
    }
}

fn default_route(gateway: String) -> Route {
    Route { to: "default".into(), via: Some(gateway), ..Route::default() }
}

/// A gateway; some write it with the length of its network.
fn gateway(fields: &mut Fields<'_>, messages: &mut Messages) -> Option<String> {
    let plain = |text: &str| text.split('/').next().unwrap_or(text).to_owned();
    fields.checked("gateway", |text| is_ip(&plain(text)), "an IP address", messages).map(|text| plain(&text))
}

/// An address and its mask under the two keys; without a mask the length that cloud-init takes.
pub(in crate::machine::network) fn address(
    fields: &mut Fields<'_>,
    [address, mask]: [&str; 2],
    messages: &mut Messages,
) -> Option<String> {
    let own = fields.take(address)?;
    let mask = fields.take(mask).or_else(|| fields.take("prefix"));
    let text = own.text()?;
    if let (None, Ok(plain)) = (mask, text.parse::<IpAddr>()) {
        let length = if plain.is_ipv4() { 24 } else { 64 };
        let text = format!("without a netmask its network is taken to be /{length}");
        messages.warning(own.place, &fields.path(address), text);
        return Some(format!("{plain}/{length}"));
    }
    with_length(text, mask.and_then(Node::text))
}

/// `gateway` and `routes` beside a static address.
pub(in crate::machine::network) fn static_routes(fields: &mut Fields<'_>, link: &mut Link, messages: &mut Messages) {
    if let Some(gateway) = gateway(fields, messages) {
        link.routes.push(default_route(gateway));
    }
    more_routes(fields, link, messages);
}

fn more_routes(fields: &mut Fields<'_>, link: &mut Link, messages: &mut Messages) {
    let path = fields.path("routes");
    let items = fields.take("routes").and_then(Node::list).unwrap_or_default();
    for (index, item) in items.iter().enumerate() {
        if let Some(mut fields) = Fields::new(item, &format!("{path}[{index}]"), messages) {
            fields.drop_empty();
            let route = route(&mut fields, messages);
            link.routes.extend(route.filter(|route| !link.routes.contains(route)));
            fields.ignore_rest(messages);
        }
    }
}

/// A route: `destination` or `network`, with or without `netmask`, then `gateway` and `metric`.
pub(in crate::machine::network) fn route(fields: &mut Fields<'_>, messages: &mut Messages) -> Option<Route> {
    let before = messages.errors();
    let target = fields.take("destination").or_else(|| fields.take("network"));
    let mask = fields.take("netmask").or_else(|| fields.take("prefix"));
    let to = target.and_then(Node::text).and_then(|text| routes::destination(text, mask));
    let route = Route {
        to: to.unwrap_or_default(),
        via: gateway(fields, messages),
        metric: fields.number("metric", 0..=u32::MAX, messages),
        mtu: fields.number("mtu", MTU, messages),
        ..Route::default()
    };
    let result = match routes::check(&route) {
        _ if messages.errors() > before => Err("not used because of its mistakes"),
        _ if route.to.is_empty() => {
            Err("not used: a route needs destination or network, and its netmask or prefix length")
        }
        other => other,
    };
    if let Err(text) = result {
        messages.error(fields.place(), &fields.path("gateway"), text);
    }
    result.is_ok().then_some(route)
}

/// A list of texts, or one text with spaces between them.
pub(in crate::machine::network) fn words(
    fields: &mut Fields<'_>,
    key: &str,
    check: impl Fn(&str) -> bool,
    expectation: &str,
    messages: &mut Messages,
) -> Option<Vec<String>> {
    let split =
        |text: &str| -> Vec<String> { text.split(' ').filter(|word| !word.is_empty()).map(str::to_owned).collect() };
    let all = |text: &str| split(text).iter().all(|word| check(word));
    let texts = fields.texts(key, true, all, expectation, messages)?;
    Some(texts.iter().flat_map(|text| split(text)).collect())
}
