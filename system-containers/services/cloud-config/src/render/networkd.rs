//! Network configuration to files of systemd-networkd: systemd.network(5), systemd.netdev(5), systemd.link(5).
//!
//! ```text
//! 05-engine.network             interfaces of the user engine: not touched
//! 10-<id>.link                  set-name, wakeonlan: read by udev
//! 10-<name>.netdev              bond, bridge, VLAN
//! 10-<id>.network               one per interface
//! 20-<id>.link, .network        cards matched by a pattern or driver, after those that are meant by name or address:
//!                               the first file that matches is the one
//! 80-ethernet-dhcp.network      empty: switches the file of that name off with which the network service is built,
//!                               DHCP on every card; only with a configuration
//! ```

mod devices;
mod link;

use crate::machine::network::Network;
use std::collections::BTreeMap;
use std::fmt::Write;

/// dockerd makes `docker0`, `docker_gwbridge`, `br-` and 12 hex digits, and `veth` pairs.
const ENGINE: &str = "[Match]\nName=docker0 docker_gwbridge br-[0-9a-f][0-9a-f][0-9a-f][0-9a-f][0-9a-f][0-9a-f][0-9a-f][0-9a-f][0-9a-f][0-9a-f][0-9a-f][0-9a-f] veth*\n\n[Link]\nUnmanaged=yes\n";
/// The network service's own, in force without a configuration.
const DEFAULT: &str = "80-ethernet-dhcp.network";

/// All files by name.
pub fn files(network: Option<&Network>) -> BTreeMap<String, String> {
    let mut files = BTreeMap::from([("05-engine.network".to_owned(), ENGINE.to_owned())]);
    let Some(network) = network else { return files };
    files.insert(DEFAULT.into(), String::new());
    for (id, card) in &network.ethernets {
        let order = if card.is_wide() { 20 } else { 10 };
        if let Some(text) = devices::link_file(id, card) {
            files.insert(format!("{order}-{id}.link"), text);
        }
        files.insert(format!("{order}-{id}.network"), link::network_file(network, id, card, true));
    }
    for (kind, links) in [("bond", &network.bonds), ("bridge", &network.bridges), ("vlan", &network.vlans)] {
        for (id, link) in links {
            files.insert(format!("10-{id}.netdev"), devices::netdev_file(kind, id, link));
            files.insert(format!("10-{id}.network"), link::network_file(network, id, link, false));
        }
    }
    files
}

/// `Key=value` line, for anything that is there.
fn line<T: std::fmt::Display>(text: &mut String, key: &str, value: Option<T>) {
    if let Some(value) = value {
        // Writing to a string does not fail.
        writeln!(text, "{key}={value}").ok();
    }
}

/// A section, unless it is empty.
fn section(text: &mut String, name: &str, lines: &str) {
    if !lines.is_empty() {
        write!(text, "\n[{name}]\n{lines}").ok();
    }
}

fn yes(value: bool) -> &'static str {
    if value { "yes" } else { "no" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_configuration_the_service_has_its_own_and_the_engine_is_left_alone() {
        let files = files(None);
        assert_eq!(files.len(), 1);
        assert!(files["05-engine.network"].contains("Unmanaged=yes"));
        let own = concat!(env!("CARGO_MANIFEST_DIR"), "/../network/rootfs/usr/lib/systemd/network");
        assert!(std::path::Path::new(own).join(DEFAULT).exists(), "{DEFAULT}");
    }

    #[test]
    fn disabled_configures_nothing() {
        let network = Network { version: 2, config: Some("disabled".into()), ..Network::default() };
        let files = files(Some(&network));
        assert_eq!((files.len(), files[DEFAULT].as_str()), (2, ""));
    }
}
