//! `ip=` and `nameserver=` of the kernel command line, in the forms of the kernel (Documentation/admin-guide/nfs/
//! nfsroot.rst) and of dracut.cmdline(7):
//!
//! ```text
//! ip=dhcp                                       any card; also on, any, dhcp6, auto6, either6, link-local, off, none
//! ip=<card>:dhcp[:<mtu>[:<mac>]]                one card
//! ip=<address>:<server>:<gateway>:<mask>:<name>:<card>:<one of the above>[:<dns>[:<dns>[:<ntp>]] | :<mtu>[:<mac>]]
//! nameserver=<address>
//! ```
//! IPv6 addresses stand in brackets. The kernel itself is built without autoconfiguration: nothing waits at boot.

use super::address::{is_interface, is_ip, is_mac, with_length};
use super::draft::{Draft, Kind, Origin};
use super::version1::share_dns;
use super::{Link, Match, Network, Route};
use crate::report::{Messages, Place};
use std::collections::BTreeMap;

/// Id of the configuration for every card.
const ANY: &str = "any";
/// Fields of the long form before the name servers.
const LONG: usize = 7;

/// The words of the command line, without their keys.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Words {
    /// `ip=`.
    pub ip: Vec<String>,
    /// `nameserver=`.
    pub nameservers: Vec<String>,
}

/// Reads the words. `None`: there is no `ip=`, or none that asks for anything.
pub fn read(words: &Words, messages: &mut Messages) -> Option<Network> {
    let mut links: BTreeMap<String, Link> = BTreeMap::new();
    for word in &words.ip {
        let fields = split(word);
        if let Err(text) = option(&fields, &mut links, messages) {
            messages.error(Place::default(), "ip", format!("not used: {text}"));
        }
    }
    if links.is_empty() {
        if !words.nameservers.is_empty() {
            messages.info(Place::default(), "nameserver", "not used without ip=");
        }
        return None;
    }
    let mut servers = Vec::new();
    for word in &words.nameservers {
        match strip(word) {
            server if is_ip(server) => servers.push(server.to_owned()),
            _ => messages.error(Place::default(), "nameserver", "not used: expected an IP address"),
        }
    }
    let mut draft = Draft::default();
    for (id, link) in links {
        draft.add(Kind::Ethernet, &id, link, Origin { place: Place::default(), path: "ip".into() }, messages);
    }
    share_dns(&mut draft, &servers, &[]);
    Some(draft.finish(messages))
}

/// Fields between colons, except those in brackets.
fn split(word: &str) -> Vec<&str> {
    let mut depth = 0;
    let is_separator = |character: char| {
        match character {
            '[' => depth += 1,
            ']' => depth = 0,
            _ => {}
        }
        character == ':' && depth == 0
    };
    word.split(is_separator).collect()
}

/// An address without its brackets.
fn strip(text: &str) -> &str {
    text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(text)
}

fn option(fields: &[&str], links: &mut BTreeMap<String, Link>, messages: &mut Messages) -> Result<(), String> {
    let field = |index: usize| strip(fields.get(index).copied().unwrap_or_default());
    let is_long = field(0).is_empty() || is_address(field(0));
    let (card, method, rest) = match fields.len() {
        1 if !is_long => ("", field(0), 1),
        _ if is_long => (field(5), field(6), LONG),
        _ => (field(0), field(1), 2),
    };
    if fields.len() == 1 && field(0).is_empty() {
        return Err("expected dhcp, or addresses".into());
    }
    let mut link = method_of(method, is_long && !field(0).is_empty())?;
    if is_long {
        static_part(&mut link, [field(0), field(2), field(3)], messages)?;
        for (index, key) in [(1, "the server"), (4, "the host name")] {
            if !field(index).is_empty() {
                messages.info(Place::default(), "ip", format!("{key} is not used"));
            }
        }
    }
    extras(&mut link, fields.get(rest..).unwrap_or_default(), messages)?;
    if !link.is_addressed() && link.link_local.is_none() {
        return Ok(());
    }
    let id = if card.is_empty() { ANY } else { card };
    // One colon too few makes a card of the method.
    if !is_interface(id) || (is_long && method_of(card, true).is_ok() && !card.is_empty()) {
        return Err("expected the name of a card".into());
    }
    if card.is_empty() {
        link.matches = Some(Match::default());
    }
    match links.get_mut(id) {
        Some(known) => merge(known, link),
        None => drop(links.insert(id.to_owned(), link)),
    }
    Ok(())
}

fn is_address(text: &str) -> bool {
    is_ip(text.split('/').next().unwrap_or(text))
}

/// What the method asks for; an empty one is the kernel's: nothing beside an address, DHCP without.
fn method_of(method: &str, has_address: bool) -> Result<Link, String> {
    let mut link = Link::default();
    match method {
        "" if has_address => {}
        "off" | "none" | "static" => {}
        "" | "dhcp" | "dhcp4" | "on" | "any" | "both" | "bootp" | "single-dhcp" => link.dhcp4 = Some(true),
        "dhcp6" => link.dhcp6 = Some(true),
        "auto6" => link.accept_ra = Some(true),
        "either6" => (link.dhcp6, link.accept_ra) = (Some(true), Some(true)),
        "link6" | "link-local" => (link.link_local, link.accept_ra) = (Some(vec!["ipv6".into()]), Some(false)),
        _ => return Err("expected dhcp, dhcp6, auto6, either6, link-local, on, any, off or none".into()),
    }
    Ok(link)
}

fn static_part(link: &mut Link, [own, gateway, mask]: [&str; 3], messages: &mut Messages) -> Result<(), String> {
    if !own.is_empty() {
        let guessed = if own.contains(':') { "64" } else { "24" };
        if mask.is_empty() && !own.contains('/') {
            messages.warning(
                Place::default(),
                "ip",
                format!("without a netmask its network is taken to be /{guessed}"),
            );
        }
        let mask = if mask.is_empty() { guessed } else { mask };
        link.addresses.push(with_length(own, Some(mask)).ok_or("expected a netmask or prefix length")?);
    }
    if !gateway.is_empty() {
        if !is_ip(gateway) {
            return Err("expected the gateway's address".into());
        }
        link.routes.push(Route { to: "default".into(), via: Some(gateway.into()), ..Route::default() });
    }
    Ok(())
}

/// What follows the method: name servers and a time server in the kernel's form, MTU and hardware address in dracut's.
fn extras(link: &mut Link, fields: &[&str], messages: &mut Messages) -> Result<(), String> {
    let Some((first, rest)) = fields.split_first() else { return Ok(()) };
    // A hardware address has colons itself.
    let mac = rest.join(":");
    let is_mtu = first.bytes().all(|byte| byte.is_ascii_digit()) && !first.is_empty();
    if is_mtu {
        let mtu = first.parse().ok().filter(|mtu| super::version2::MTU.contains(mtu));
        link.mtu = Some(mtu.ok_or("expected an MTU from 68 to 65536")?);
    }
    if is_mac(&mac) {
        link.macaddress = Some(mac);
    } else if !is_mtu {
        let servers: Vec<String> =
            fields.iter().take(2).map(|field| strip(field).to_owned()).filter(|server| !server.is_empty()).collect();
        if !servers.iter().all(|server| is_ip(server)) {
            return Err("expected addresses of name servers, or MTU and hardware address, at its end".into());
        }
        link.add_dns(&servers, &[]);
        if fields.get(2).is_some_and(|time| !time.is_empty()) {
            messages.info(Place::default(), "ip", "the time server is not used; set hull: time: servers");
        }
    }
    Ok(())
}

/// A card with two words, such as one for each family.
fn merge(known: &mut Link, more: Link) {
    known.addresses.extend(more.addresses);
    known.routes.extend(more.routes);
    known.dhcp4 = known.dhcp4.or(more.dhcp4);
    known.dhcp6 = known.dhcp6.or(more.dhcp6);
    known.accept_ra = known.accept_ra.or(more.accept_ra);
    known.link_local = known.link_local.take().or(more.link_local);
    known.mtu = known.mtu.or(more.mtu);
    known.macaddress = known.macaddress.take().or(more.macaddress);
    let servers = more.nameservers.unwrap_or_default();
    known.add_dns(&servers.addresses, &servers.search);
}
