//! Settings of bonds and bridges: one table of netplan's names, the older ones of version 1, what values they take and
//! what networkd calls them. Values are stored as netplan would write them.
//!
//! Version 1 writes bond settings as `bond-mode`, `bond_mode` or `mode` and numbers for words, as the kernel's own
//! files take them; bridge settings as `bridge_fd`, from bridge-utils-interfaces(5).

use super::address::{is_id, is_ip4, is_mac};
use crate::document::{Fields, Node};
use crate::report::{Messages, quote};
use serde::Serialize;
use std::collections::BTreeMap;
use std::ops::RangeInclusive;

/// A checked value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum Parameter {
    /// A word or number.
    Word(String),
    /// Several addresses.
    List(Vec<String>),
    /// A number for each member.
    Ports(BTreeMap<String, u32>),
}

/// What a setting takes.
#[derive(Debug, Clone)]
pub enum Kind {
    /// One of these; the kernel numbers them in this order.
    Words(&'static [&'static str]),
    /// A whole number.
    Number(RangeInclusive<u32>),
    /// A span of time; a bare number is of this unit.
    Span(&'static str),
    /// True or false.
    Flag,
    /// IPv4 addresses.
    Addresses,
    /// A hardware address.
    Mac,
    /// The id of a member.
    Member,
    /// A number for each member.
    Ports(RangeInclusive<u32>),
}

/// One setting.
#[derive(Debug)]
pub struct Setting {
    /// By netplan.
    pub name: &'static str,
    /// In version 1 without `bond-` or `bridge_`, `-` for `_`.
    pub old: &'static [&'static str],
    /// Key of networkd: of the netdev's section, or of the member's for [`Kind::Member`] and [`Kind::Ports`].
    pub key: &'static str,
    /// Its values.
    pub kind: Kind,
}

const fn setting(name: &'static str, old: &'static [&'static str], key: &'static str, kind: Kind) -> Setting {
    Setting { name, old, key, kind }
}

/// Of bonds.
pub const BOND: [Setting; 23] = [
    setting(
        "mode",
        &["mode"],
        "Mode",
        Kind::Words(&[
            "balance-rr",
            "active-backup",
            "balance-xor",
            "broadcast",
            "802.3ad",
            "balance-tlb",
            "balance-alb",
        ]),
    ),
    setting("mii-monitor-interval", &["miimon"], "MIIMonitorSec", Kind::Span("ms")),
    setting("lacp-rate", &["lacp-rate"], "LACPTransmitRate", Kind::Words(&["slow", "fast"])),
    setting(
        "transmit-hash-policy",
        &["xmit-hash-policy"],
        "TransmitHashPolicy",
        Kind::Words(&["layer2", "layer3+4", "layer2+3", "encap2+3", "encap3+4", "vlan+srcmac"]),
    ),
    setting("ad-select", &["ad-select"], "AdSelect", Kind::Words(&["stable", "bandwidth", "count"])),
    setting("ad-actor-sys-prio", &["ad-actor-sys-prio"], "AdActorSystemPriority", Kind::Number(1..=65535)),
    setting("ad-user-port-key", &["ad-user-port-key"], "AdUserPortKey", Kind::Number(0..=1023)),
    setting("ad-actor-system", &["ad-actor-system"], "AdActorSystem", Kind::Mac),
    setting("min-links", &["min-links"], "MinLinks", Kind::Number(0..=u32::MAX)),
    setting("up-delay", &["updelay"], "UpDelaySec", Kind::Span("ms")),
    setting("down-delay", &["downdelay"], "DownDelaySec", Kind::Span("ms")),
    setting("arp-interval", &["arp-interval"], "ARPIntervalSec", Kind::Span("ms")),
    setting("arp-ip-targets", &["arp-ip-target"], "ARPIPTargets", Kind::Addresses),
    setting("arp-validate", &["arp-validate"], "ARPValidate", Kind::Words(&["none", "active", "backup", "all"])),
    setting("arp-all-targets", &["arp-all-targets"], "ARPAllTargets", Kind::Words(&["any", "all"])),
    setting(
        "fail-over-mac-policy",
        &["fail-over-mac"],
        "FailOverMACPolicy",
        Kind::Words(&["none", "active", "follow"]),
    ),
    setting(
        "gratuitous-arp",
        &["num-grat-arp", "num-unsol-na", "gratuitious-arp"],
        "GratuitousARP",
        Kind::Number(0..=255),
    ),
    setting("packets-per-slave", &["packets-per-slave"], "PacketsPerSlave", Kind::Number(0..=65535)),
    setting(
        "primary-reselect-policy",
        &["primary-reselect"],
        "PrimaryReselectPolicy",
        Kind::Words(&["always", "better", "failure"]),
    ),
    setting("resend-igmp", &["resend-igmp"], "ResendIGMP", Kind::Number(0..=255)),
    setting("learn-packet-interval", &["lp-interval"], "LearnPacketIntervalSec", Kind::Span("s")),
    setting("all-slaves-active", &["all-slaves-active"], "AllSlavesActive", Kind::Flag),
    setting(PRIMARY, &["primary"], "PrimarySlave", Kind::Member),
];

/// Of bridges.
pub const BRIDGE: [Setting; 8] = [
    setting("stp", &["stp"], "STP", Kind::Flag),
    setting("priority", &["bridgeprio"], "Priority", Kind::Number(0..=65535)),
    setting("ageing-time", &["ageing", "ageing-time"], "AgeingTimeSec", Kind::Span("s")),
    setting("forward-delay", &["fd"], "ForwardDelaySec", Kind::Span("s")),
    setting("hello-time", &["hello"], "HelloTimeSec", Kind::Span("s")),
    setting("max-age", &["maxage"], "MaxAgeSec", Kind::Span("s")),
    setting("path-cost", &["pathcost"], "Cost", Kind::Ports(1..=65535)),
    setting("port-priority", &["portprio"], "Priority", Kind::Ports(0..=63)),
];

/// The member that a bond prefers.
pub const PRIMARY: &str = "primary";

/// Reads `parameters` of version 2.
pub(super) fn read(fields: &mut Fields<'_>, table: &[Setting], messages: &mut Messages) -> BTreeMap<String, Parameter> {
    let path = fields.path("parameters");
    let inner = fields.take("parameters").and_then(|node| Fields::new(node, &path, messages));
    // netplan once misspelt gratuitous-arp, and took that spelling ever after.
    let find = |name: &str| {
        table.iter().find(|setting| setting.name == name || name == "gratuitious-arp" && setting.old.contains(&name))
    };
    collect(inner, find, messages)
}

/// Reads the settings of a bond that stand among the other keys of an OpenStack link.
pub(super) fn read_beside(fields: Fields<'_>, messages: &mut Messages) -> BTreeMap<String, Parameter> {
    collect(Some(fields.only(|key| key.starts_with("bond_"))), |name| find_old("bond", &BOND, name), messages)
}

/// Reads `params` of version 1; `prefix` is `bond` or `bridge`. Keys in `others` are somebody else's.
pub(super) fn read_old(
    node: Option<&Node>,
    path: &str,
    (prefix, table): (&str, &[Setting]),
    others: &[&str],
    messages: &mut Messages,
) -> BTreeMap<String, Parameter> {
    let mut inner = node.and_then(|node| Fields::new(node, path, messages));
    for key in others {
        inner.as_mut().map(|fields| fields.take_raw(key));
    }
    collect(inner, |name| find_old(prefix, table, name), messages)
}

fn find_old<'t>(prefix: &str, table: &'t [Setting], name: &str) -> Option<&'t Setting> {
    let name = name.replace('_', "-");
    let name = name.strip_prefix(prefix).and_then(|rest| rest.strip_prefix('-')).unwrap_or(&name);
    table.iter().find(|setting| setting.old.contains(&name) || setting.name == name)
}

fn collect<'t>(
    fields: Option<Fields<'_>>,
    find: impl Fn(&str) -> Option<&'t Setting>,
    messages: &mut Messages,
) -> BTreeMap<String, Parameter> {
    let mut found = BTreeMap::new();
    let Some(fields) = fields else { return found };
    let path = fields.path("");
    for entry in fields.rest().filter(|entry| !entry.node.is_null()) {
        let path = format!("{path}{}", quote(&entry.key));
        match find(&entry.key) {
            None => messages.warning(entry.place, &path, "ignored: not supported"),
            Some(setting) => match value(&entry.node, &setting.kind) {
                Some(value) => {
                    found.insert(setting.name.to_owned(), value);
                }
                None => messages.error(entry.node.place, &path, format!("expected {}", expectation(&setting.kind))),
            },
        }
    }
    found
}

fn value(node: &Node, kind: &Kind) -> Option<Parameter> {
    let text = node.text();
    let word = match kind {
        Kind::Words(words) => {
            let number = node.integer().and_then(|number| usize::try_from(number).ok());
            let by_name = words.iter().find(|word| text == Some(word));
            by_name.or_else(|| words.get(number?)).map(|word| (*word).to_owned())
        }
        Kind::Number(range) => number(node, range).map(|number| number.to_string()),
        Kind::Span(_) => text.filter(|text| is_span(text)).map(str::to_owned),
        // bridge_stp is "on", true or 1.
        Kind::Flag => {
            let number = node.integer().filter(|number| (0..=1).contains(number)).map(|number| number == 1);
            node.boolean().or(number).map(|flag| flag.to_string())
        }
        Kind::Mac => text.filter(|text| is_mac(text)).map(str::to_owned),
        Kind::Member => text.filter(|text| is_id(text)).map(str::to_owned),
        Kind::Addresses => return addresses(node).map(Parameter::List),
        Kind::Ports(range) => return ports(node, range).map(Parameter::Ports),
    };
    word.map(Parameter::Word)
}

fn number(node: &Node, range: &RangeInclusive<u32>) -> Option<u32> {
    node.integer().and_then(|number| u32::try_from(number).ok()).filter(|number| range.contains(number))
}

/// A number with or without a unit of systemd.time(7).
fn is_span(text: &str) -> bool {
    let unit = text.trim_start_matches(|character: char| character.is_ascii_digit());
    (1..=9).contains(&(text.len() - unit.len())) && matches!(unit, "" | "us" | "ms" | "s" | "min")
}

/// A list, or a text with commas.
fn addresses(node: &Node) -> Option<Vec<String>> {
    let items: Vec<&str> = match node.list() {
        Some(items) => items.iter().map(Node::text).collect::<Option<_>>()?,
        None => node.text()?.split([',', ' ']).filter(|item| !item.is_empty()).collect(),
    };
    items.iter().all(|item| is_ip4(item)).then(|| items.into_iter().map(str::to_owned).collect())
}

/// netplan's mapping of members to numbers, or version 1's list of texts such as `eth0 50`.
fn ports(node: &Node, range: &RangeInclusive<u32>) -> Option<BTreeMap<String, u32>> {
    if let Some(entries) = node.map() {
        let port = |entry: &crate::document::node::Entry| Some((entry.key.clone(), number(&entry.node, range)?));
        return entries
            .iter()
            .map(port)
            .collect::<Option<BTreeMap<_, _>>>()
            .filter(|ports| ports.keys().all(|id| is_id(id)));
    }
    let texts: Vec<&str> = match node.list() {
        Some(items) => items.iter().map(Node::text).collect::<Option<_>>()?,
        None => vec![node.text()?],
    };
    let port = |text: &&str| {
        let (id, number) = text.split_once(' ')?;
        let number = number.trim().parse().ok().filter(|number| range.contains(number))?;
        is_id(id).then(|| (id.to_owned(), number))
    };
    texts.iter().map(port).collect()
}

fn expectation(kind: &Kind) -> String {
    match kind {
        Kind::Words(words) => words.join(", "),
        Kind::Number(range) => format!("a whole number from {} to {}", range.start(), range.end()),
        Kind::Span(unit) => format!("a number ({unit}), or one with a unit (ms, s)"),
        Kind::Flag => "true or false".into(),
        Kind::Addresses => "IPv4 addresses".into(),
        Kind::Mac => "a hardware address such as 52:54:00:12:34:56".into(),
        Kind::Member => "the name of a member".into(),
        Kind::Ports(range) => format!("members, each with a number from {} to {}", range.start(), range.end()),
    }
}
