//! Devices: which one a file is for, its name, and the virtual ones that networkd makes.

use super::line;
use crate::machine::network::Link;
use crate::machine::network::parameters::{BOND, BRIDGE, Kind, Parameter};

/// `[Match]`; `renamed` is the udev side, which sees a card before it is renamed.
pub(super) fn match_section(id: &str, link: &Link, renamed: bool) -> String {
    let mut text = "[Match]\n".to_owned();
    let key = if renamed { "OriginalName" } else { "Name" };
    let Some(matches) = &link.matches else {
        line(&mut text, key, link.set_name.as_deref().filter(|_| !renamed).or(Some(id)));
        return text;
    };
    line(&mut text, "PermanentMACAddress", matches.macaddress.as_ref());
    line(&mut text, "Driver", Some(matches.driver.join(" ")).filter(|drivers| !drivers.is_empty()));
    let name = match (&link.set_name, &matches.name) {
        // A matched name is the one before set-name.
        (Some(new), Some(_)) if !renamed => Some(new.as_str()),
        (_, name) => name.as_deref(),
    };
    line(&mut text, key, name);
    if text == "[Match]\n" {
        // Cards only: `Kind` is empty for them and names the type of every virtual interface.
        text += "Type=ether\nKind=!*\n";
    }
    text
}

/// For udev, if there is anything to do.
pub(super) fn link_file(id: &str, link: &Link) -> Option<String> {
    if link.set_name.is_none() && link.wakeonlan != Some(true) {
        return None;
    }
    let mut text = match_section(id, link, true) + "\n[Link]\n";
    line(&mut text, "Name", link.set_name.as_ref());
    line(&mut text, "WakeOnLan", link.wakeonlan.and_then(|on| on.then_some("magic")));
    Some(text)
}

/// A bond, bridge or VLAN.
pub(super) fn netdev_file(kind: &str, name: &str, link: &Link) -> String {
    let mut text = format!("[NetDev]\nName={name}\nKind={kind}\n");
    line(&mut text, "MACAddress", link.macaddress.as_ref());
    line(&mut text, "MTUBytes", link.mtu);
    if let (Some(id), "vlan") = (link.id, kind) {
        super::section(&mut text, "VLAN", &format!("Id={id}\n"));
    }
    let (name, table) = if kind == "bond" { ("Bond", &BOND[..]) } else { ("Bridge", &BRIDGE[..]) };
    let mut settings = String::new();
    for setting in table {
        let value = match (link.parameters.get(setting.name), &setting.kind) {
            (Some(Parameter::Word(span)), Kind::Span(unit)) if span.bytes().all(|byte| byte.is_ascii_digit()) => {
                Some(format!("{span}{unit}"))
            }
            (_, Kind::Member | Kind::Ports(_)) => None,
            (Some(Parameter::Word(word)), _) => Some(word.clone()),
            (Some(Parameter::List(list)), _) => Some(list.join(" ")),
            _ => None,
        };
        line(&mut settings, setting.key, value);
    }
    super::section(&mut text, name, &settings);
    text
}
