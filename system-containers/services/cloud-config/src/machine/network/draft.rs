//! A configuration in the making: interfaces are added one by one with the place they came from, and what only shows
//! when all of them are known (undefined members, the same name or address twice) is reported at the end.

use super::address::{is_engines, is_id, is_interface};
use super::{Link, Network, Parameter, parameters};
use crate::report::{Messages, Place};
use std::collections::{BTreeMap, BTreeSet};

/// Modes of a bond in which one member is used before others.
const PRIMARY_MODES: [&str; 3] = ["active-backup", "balance-tlb", "balance-alb"];

/// What an interface is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// A network card.
    Ethernet,
    /// A bond.
    Bond,
    /// A bridge.
    Bridge,
    /// A VLAN.
    Vlan,
}

/// Where an interface is defined.
#[derive(Debug, Clone, Default)]
pub(super) struct Origin {
    pub(super) place: Place,
    pub(super) path: String,
}

/// The interfaces so far.
#[derive(Debug, Default)]
pub(super) struct Draft {
    network: Network,
    origins: BTreeMap<String, Origin>,
}

impl Draft {
    /// Adds an interface, unless its name is taken or none.
    pub(super) fn add(&mut self, kind: Kind, id: &str, link: Link, origin: Origin, messages: &mut Messages) {
        let is_matched = kind == Kind::Ethernet && link.matches.is_some();
        if !is_id(id) || (!is_matched && !is_interface(id)) {
            let text = "expected an interface name of at most 15 letters, digits, . _ -";
            messages.error(origin.place, &origin.path, text);
        } else if !is_matched && is_engines(id) {
            messages.error(
                origin.place,
                &origin.path,
                "not used: the name is one of the container engine's interfaces",
            );
        } else if self.origins.contains_key(id) {
            messages.error(origin.place, &origin.path, "not used: the name is taken by an interface before it");
        } else {
            self.origins.insert(id.to_owned(), origin);
            self.section(kind).insert(id.to_owned(), link);
        }
    }

    fn section(&mut self, kind: Kind) -> &mut BTreeMap<String, Link> {
        match kind {
            Kind::Ethernet => &mut self.network.ethernets,
            Kind::Bond => &mut self.network.bonds,
            Kind::Bridge => &mut self.network.bridges,
            Kind::Vlan => &mut self.network.vlans,
        }
    }

    fn sections(&self) -> impl Iterator<Item = (&String, &Link)> {
        let Network { ethernets, bonds, bridges, vlans, .. } = &self.network;
        ethernets.iter().chain(bonds).chain(bridges).chain(vlans)
    }

    /// All interfaces, to be completed.
    pub(super) fn links(&mut self) -> impl Iterator<Item = (&String, &mut Link)> {
        let Network { ethernets, bonds, bridges, vlans, .. } = &mut self.network;
        ethernets.iter_mut().chain(bonds).chain(bridges).chain(vlans)
    }

    /// The interface of that id or name.
    pub(super) fn link(&mut self, name: &str) -> Option<&mut Link> {
        self.links().find(|(id, link)| *id == name || link.set_name.as_deref() == Some(name)).map(|(_, link)| link)
    }

    /// Checks all together and gives the result.
    pub(super) fn finish(mut self, messages: &mut Messages) -> Network {
        self.network.version = 2;
        self.define_members(messages);
        self.leave_twofold_members(messages);
        self.leave_wrong_primaries(messages);
        self.leave_twofold_vlans(messages);
        self.report_shared_addresses(messages);
        self.report_shared_names(messages);
        self.report_wide_matches(messages);
        self.network
    }

    fn warn(&self, id: &str, key: &str, text: &str, messages: &mut Messages) {
        let origin = self.origins.get(id).cloned().unwrap_or_default();
        messages.warning(origin.place, &format!("{}.{key}", origin.path), text);
    }

    /// Members and lower interfaces that nobody defined are cards of that name, as in version 1 of cloud-init.
    fn define_members(&mut self, messages: &mut Messages) {
        let mut missing = Vec::new();
        for (id, link) in self.sections() {
            let of = if link.link.is_some() { "link" } else { "interfaces" };
            for member in link.interfaces.iter().chain(&link.link) {
                let known = |(id, link): (&String, &Link)| id == member || link.set_name.as_ref() == Some(member);
                if !self.sections().any(known) {
                    missing.push((id.clone(), of, member.clone()));
                }
            }
        }
        for (id, of, member) in missing {
            if is_interface(&member) {
                self.network.ethernets.entry(member).or_default();
            } else {
                self.warn(&id, of, "names an interface that is not defined", messages);
            }
        }
    }

    /// An interface has one master. The first keeps it; nothing is a member of itself.
    fn leave_twofold_members(&mut self, messages: &mut Messages) {
        let mut taken = BTreeSet::new();
        let mut said = Vec::new();
        let Network { bonds, bridges, .. } = &mut self.network;
        for (id, link) in bonds.iter_mut().chain(bridges) {
            let before = link.interfaces.len();
            link.interfaces.retain(|member| member != id && taken.insert(member.clone()));
            if link.interfaces.len() < before {
                said.push(id.clone());
            }
        }
        for id in said {
            let text = "a member was left out: it is a member of another one already, or is the interface itself";
            self.warn(&id, "interfaces", text, messages);
        }
    }

    /// The kernel refuses a primary that is no member, or in a mode without one; networkd would then give up the member.
    fn leave_wrong_primaries(&mut self, messages: &mut Messages) {
        let mut said = Vec::new();
        for (id, bond) in &mut self.network.bonds {
            let Some(Parameter::Word(primary)) = bond.parameters.get(parameters::PRIMARY) else { continue };
            let mode = bond.parameters.get("mode");
            let has_one = matches!(mode, Some(Parameter::Word(mode)) if PRIMARY_MODES.contains(&mode.as_str()));
            if !has_one || !bond.interfaces.contains(primary) {
                bond.parameters.remove(parameters::PRIMARY);
                said.push(id.clone());
            }
        }
        for id in said {
            let text = "not used: it must be a member, and the mode active-backup, balance-tlb or balance-alb";
            self.warn(&id, parameters::PRIMARY, text, messages);
        }
    }

    /// The kernel refuses a number twice on one interface; networkd would then give up that interface.
    fn leave_twofold_vlans(&mut self, messages: &mut Messages) {
        let mut taken = BTreeSet::new();
        let mut said = Vec::new();
        self.network.vlans.retain(|id, vlan| {
            let is_new = vlan.link.as_ref() != Some(id) && taken.insert((vlan.link.clone(), vlan.id));
            if !is_new {
                said.push(id.clone());
            }
            is_new
        });
        for id in said {
            let text = "not used: its number is taken on the interface below, or it stands on itself";
            self.warn(&id, "id", text, messages);
        }
    }

    fn report_shared_addresses(&self, messages: &mut Messages) {
        let mut seen = BTreeSet::new();
        for (id, link) in self.sections() {
            for address in &link.addresses {
                if !seen.insert(address.split('/').next()) {
                    self.warn(id, "addresses", "an address is given twice; it belongs to one interface", messages);
                }
            }
        }
    }

    fn report_shared_names(&self, messages: &mut Messages) {
        let mut names: BTreeSet<&str> = BTreeSet::new();
        let mut macs = BTreeSet::new();
        for (id, link) in self.sections() {
            let matched = link.matches.as_ref();
            let name = link.set_name.as_deref().or(matched.is_none().then_some(id.as_str()));
            if name.is_some_and(|name| !names.insert(name)) {
                self.warn(
                    id,
                    "set-name",
                    "the name is that of another interface as well; the card may not get it",
                    messages,
                );
            }
            let mac = matched.and_then(|matched| matched.macaddress.as_ref()).map(|mac| mac.to_ascii_lowercase());
            if mac.is_some_and(|mac| !macs.insert(mac)) {
                let text = "another interface matches the same hardware address; the first by name gets the card";
                self.warn(id, "match", text, messages);
            }
        }
    }

    /// What belongs to one card should not be given to every card that a pattern happens to hold for.
    fn report_wide_matches(&self, messages: &mut Messages) {
        for (id, link) in &self.network.ethernets {
            if link.is_wide() && (!link.addresses.is_empty() || link.set_name.is_some() || link.macaddress.is_some()) {
                let text = "may hold for several cards, which would all get the same address or name; match by macaddress or by one name";
                self.warn(id, "match", text, messages);
            }
        }
    }
}
