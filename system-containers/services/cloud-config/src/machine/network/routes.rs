//! Routes and routing policy of version 2.

use super::address::{is_ip, is_prefix};
use super::{Route, Rule};
use crate::document::{Fields, Node};
use crate::report::Messages;

/// What networkd knows of ip-route(8).
const TYPES: [&str; 9] =
    ["unicast", "local", "broadcast", "anycast", "multicast", "blackhole", "unreachable", "prohibit", "throw"];
const NETWORK: &str = "a network such as 198.51.100.0/24";

/// A list below `key`, every item read by `item`; an item with an error is left out, since half of it would lead
/// elsewhere.
fn list<T>(
    fields: &mut Fields<'_>,
    key: &str,
    messages: &mut Messages,
    mut item: impl FnMut(&mut Fields<'_>, &mut Messages) -> Option<T>,
) -> Vec<T> {
    let path = fields.path(key);
    let Some(node) = fields.take(key) else { return Vec::new() };
    let Some(items) = node.list() else {
        messages.error(node.place, &path, format!("expected a list, found {}", node.describe()));
        return Vec::new();
    };
    let mut found = Vec::new();
    for (index, node) in items.iter().enumerate() {
        let path = format!("{path}[{index}]");
        let Some(mut inner) = Fields::new(node, &path, messages) else { continue };
        let before = messages.errors();
        let value = item(&mut inner, messages);
        inner.ignore_rest(messages);
        match value.filter(|_| messages.errors() == before) {
            Some(value) => found.push(value),
            None => messages.error(node.place, &path, "not used because of its mistakes"),
        }
    }
    found
}

/// `routes`.
pub(super) fn routes(fields: &mut Fields<'_>, messages: &mut Messages) -> Vec<Route> {
    list(fields, "routes", messages, route)
}

fn route(inner: &mut Fields<'_>, messages: &mut Messages) -> Option<Route> {
    let target = |text: &str| text == "default" || is_ip(text) || is_prefix(text);
    let one_of = |words: &'static [&'static str]| move |text: &str| words.contains(&text);
    let to = inner.checked("to", target, "default, or a network such as 198.51.100.0/24", messages);
    let route = Route {
        via: inner.checked("via", is_ip, "an IP address", messages),
        on_link: inner.boolean("on-link", messages),
        metric: inner.number("metric", 0..=u32::MAX, messages),
        table: inner.number("table", 1..=u32::MAX, messages),
        from: inner.checked("from", is_ip, "an IP address", messages),
        scope: inner.checked("scope", one_of(&["global", "link", "host"]), "global, link or host", messages),
        mtu: inner.number("mtu", 68..=65536, messages),
        kind: inner.checked("type", one_of(&TYPES), &TYPES.join(", "), messages),
        to: to.unwrap_or_default(),
    };
    if let Err(text) = check(&route) {
        messages.error(inner.place(), &inner.path("to"), text);
    }
    Some(route)
}

/// What networkd would refuse, and drop without anybody seeing it.
pub(super) fn check(route: &Route) -> Result<(), &'static str> {
    if route.to.is_empty() {
        return Err("a route needs to, its destination");
    }
    if route.to == "default" && route.via.is_none() {
        return Err("the default route needs via; without a gateway write 0.0.0.0/0 or ::/0");
    }
    let is_ipv6 = |text: &String| text.contains(':');
    let families = [Some(&route.to).filter(|to| *to != "default"), route.via.as_ref(), route.from.as_ref()];
    let mut families = families.into_iter().flatten().map(is_ipv6);
    let first = families.next();
    if families.any(|family| Some(family) != first) {
        return Err("to, via and from must be of one family, IPv4 or IPv6");
    }
    Ok(())
}

/// `routing-policy`.
pub(super) fn rules(fields: &mut Fields<'_>, messages: &mut Messages) -> Vec<Rule> {
    list(fields, "routing-policy", messages, |inner, messages| {
        let target = |text: &str| is_ip(text) || is_prefix(text);
        let rule = Rule {
            from: inner.checked("from", target, NETWORK, messages),
            to: inner.checked("to", target, NETWORK, messages),
            table: inner.number("table", 1..=u32::MAX, messages),
            priority: inner.number("priority", 0..=u32::MAX, messages),
            mark: inner.number("mark", 1..=u32::MAX, messages),
            type_of_service: inner.number("type-of-service", 0..=255, messages),
        };
        if rule.from.is_none() && rule.to.is_none() {
            messages.error(inner.place(), &inner.path("from"), "a rule needs from or to");
        }
        Some(rule)
    })
}

/// The network that a node names, with the mask beside it: version 1 and OpenStack.
pub(super) fn destination(address: &str, mask: Option<&Node>) -> Option<String> {
    if matches!(address, "default" | "0.0.0.0/0" | "::/0") {
        return Some("default".into());
    }
    let network = super::address::with_length(address, mask.and_then(Node::text))
        .or_else(|| is_ip(address).then(|| address.to_owned()).filter(|_| mask.is_none()))?;
    Some(if matches!(network.as_str(), "0.0.0.0/0" | "::/0") { "default".into() } else { network })
}
