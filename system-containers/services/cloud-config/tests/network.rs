//! Network configuration from its documents to networkd's files: golden files, and properties over any input.
//!
//! `testdata/network/<case>.yaml`, `.json` or `.cmdline` gives `<case>.expected`: the messages, then all files one after
//! the other.

use hull_cloud_config::document::{toml_tree, yaml};
use hull_cloud_config::machine::{MachineConfig, Network, network, schema};
use hull_cloud_config::render::networkd;
use hull_cloud_config::report::Messages;
use hull_cloud_config::seed::command_line;
use proptest::prelude::*;
use std::path::Path;

fn read(name: &str, text: &str) -> (Option<Network>, Messages) {
    let mut messages = Messages::new("network-config");
    let network = if name.ends_with(".cmdline") {
        let words = command_line::parse(text, &mut messages);
        network::kernel::read(&words.network, &mut messages)
    } else {
        yaml::parse(text, &mut messages).ok().and_then(|node| network::read(&node, "", &mut messages))
    };
    (network, messages)
}

/// Without the file for the engine, which is always the same.
fn render(network: &Network) -> String {
    let files = networkd::files(Some(network))
        .into_iter()
        .filter(|(name, _)| !name.contains("engine") && !name.starts_with("80-"));
    files.map(|(name, content)| format!("# {name}\n{content}\n")).collect()
}

/// What is kept in `/state/config` and read again at every boot.
fn again(network: &Network) -> (Option<Network>, Messages) {
    let config = MachineConfig { network: Some(network.clone()), ..MachineConfig::default() };
    let text = toml::to_string(&config).expect("every configuration has a text");
    let mut messages = Messages::new("again");
    let tree = toml_tree::parse(&text).expect("written by ourselves");
    let config = schema::read(&tree, "", &mut messages);
    (config.and_then(|config| config.network), messages)
}

#[test]
fn golden() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/network");
    let mut cases = 0;
    for entry in std::fs::read_dir(&directory).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if name.ends_with(".expected") {
            continue;
        }
        let expected = std::fs::read_to_string(path.with_extension("expected")).unwrap_or_default();
        let (network, messages) = read(&name, &std::fs::read_to_string(&path).unwrap());
        let network = network.unwrap_or_else(|| panic!("{name}: {:?}", messages.list()));
        let said: String = messages.list().iter().map(|message| format!("{message}\n")).collect();
        let found = said + &render(&network);
        assert_eq!(found, expected, "{name}");
        let (kept, messages) = again(&network);
        assert_eq!((kept.as_ref(), messages.errors()), (Some(&network), 0), "{name}: {:?}", messages.list());
        cases += 1;
    }
    assert!(cases >= 35, "{cases} cases");
}

/// Every line is a section, a known shape of key and value, or empty: nothing of the source is a line of its own.
fn check_lines(network: &Network) {
    for (name, content) in networkd::files(Some(network)) {
        assert!(!name.contains(['/', '\n']) && name.len() < 100, "{name:?}");
        for line in content.lines() {
            let good = match line.split_once('=') {
                Some((key, value)) => {
                    !key.is_empty()
                        && key.bytes().all(|byte| byte.is_ascii_alphanumeric())
                        && value.bytes().all(|byte| byte.is_ascii_graphic() || byte == b' ')
                }
                None => line.is_empty() || line.starts_with('[') && line.ends_with(']'),
            };
            assert!(good && !line.contains("evil"), "{name}: {line:?}");
        }
    }
}

/// A value that a careless reader would copy.
fn value() -> impl Strategy<Value = String> {
    prop::sample::select(vec![
        "eth0",
        "\"x\\n[evil]\\nevil=1\"",
        "[eth0, eth1]",
        "[\"192.0.2.5/24\\nevil=1\"]",
        "192.0.2.5",
        "192.0.2.5/24",
        "\"192.0.2.5/24\\revil\"",
        "[192.0.2.1, '2001:db8::1']",
        "255.255.255.0",
        "52:54:00:12:34:56",
        "true",
        "1",
        "100",
        "802.3ad",
        "dhcp",
        "static",
        "{bond-mode: 1, bond_miimon: '100\\nevil', evil: 1}",
        "{name: 'e*', driver: [e1000], macaddress: '52:54:00:12:34:56'}",
        "[{to: default, via: 192.0.2.1}, {to: 10.0.0.0/8, via: \"192.0.2.1\\nevil=1\"}]",
        "[{type: static, address: 192.0.2.5/24, gateway: 192.0.2.1, dns_search: [\"a\\nevil\"]}, {type: ipv6_slaac}]",
        "[{type: dns, address: 192.0.2.53}]",
        "{search: ['~.', \"a\\nevil\"], addresses: ['::1']}",
        "~",
        "''",
        "bond",
    ])
    .prop_map(str::to_owned)
}

fn keys(names: &[&'static str]) -> impl Strategy<Value = String> {
    let key = prop::sample::select(names.to_vec());
    prop::collection::vec((key, value()), 0..8).prop_map(|pairs| {
        let pairs: Vec<String> = pairs.into_iter().map(|(key, value)| format!("{key}: {value}")).collect();
        format!("{{{}}}", pairs.join(", "))
    })
}

const V2: [&str; 24] = [
    "match",
    "set-name",
    "wakeonlan",
    "dhcp4",
    "dhcp6",
    "dhcp4-overrides",
    "dhcp-identifier",
    "link-local",
    "accept-ra",
    "addresses",
    "gateway4",
    "gateway6",
    "routes",
    "routing-policy",
    "nameservers",
    "mtu",
    "macaddress",
    "optional",
    "interfaces",
    "parameters",
    "id",
    "link",
    "evil",
    "renderer",
];
const V1: [&str; 19] = [
    "type",
    "name",
    "mac_address",
    "mtu",
    "accept-ra",
    "subnets",
    "bond_interfaces",
    "bridge_interfaces",
    "params",
    "vlan_id",
    "vlan_link",
    "address",
    "search",
    "interface",
    "destination",
    "netmask",
    "gateway",
    "metric",
    "evil",
];
const OPENSTACK: [&str; 17] = [
    "id",
    "type",
    "ethernet_mac_address",
    "mtu",
    "bond_links",
    "bond_mode",
    "bond_miimon",
    "vlan_link",
    "vlan_id",
    "vlan_mac_address",
    "link",
    "ip_address",
    "netmask",
    "gateway",
    "routes",
    "services",
    "evil",
];

/// Ends, gives fit files, and what is kept is the same when read again.
fn check(name: &str, text: &str) {
    let (network, _) = read(name, text);
    let Some(network) = network else { return };
    check_lines(&network);
    let (kept, messages) = again(&network);
    assert_eq!((kept.as_ref(), messages.errors()), (Some(&network), 0), "{text}: {:?}", messages.list());
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn version_2_is_fit_for_files(
        links in prop::collection::vec((prop::sample::select(vec!["ethernets", "bonds", "bridges", "vlans"]), "[a-c]|\"a\\\\nevil\"", keys(&V2)), 1..6)
    ) {
        let mut text = "version: 2\n".to_owned();
        for section in ["ethernets", "bonds", "bridges", "vlans"] {
            text += &format!("{section}:\n");
            for (_, id, link) in links.iter().filter(|(of, ..)| *of == section) {
                text += &format!("  {id}: {link}\n");
            }
        }
        check("a.yaml", &text);
    }

    #[test]
    fn version_1_is_fit_for_files(
        entries in prop::collection::vec((prop::sample::select(vec!["physical", "bond", "bridge", "vlan", "loopback", "nameserver", "route"]), "[a-c]", keys(&V1)), 0..6)
    ) {
        let items: Vec<String> =
            entries.iter().map(|(kind, name, keys)| format!("  - {{type: {kind}, name: {name}, {}\n", &keys[1..])).collect();
        check("a.yaml", &format!("version: 1\nconfig:\n{}", items.concat()));
    }

    #[test]
    fn openstack_is_fit_for_files(
        links in prop::collection::vec(("[a-c]", prop::sample::select(vec!["phy", "bond", "vlan"]), keys(&OPENSTACK)), 0..5),
        networks in prop::collection::vec(("[a-c]", prop::sample::select(vec!["ipv4", "ipv6", "ipv4_dhcp", "ipv6_slaac"]), keys(&OPENSTACK)), 0..5),
    ) {
        let mut text = "links:\n  - {}\n".to_owned();
        for (id, kind, keys) in links {
            text += &format!("  - {{ethernet_mac_address: '52:54:00:00:00:01', id: {id}, type: {kind}, {}\n", &keys[1..]);
        }
        text += "networks:\n  - {}\n";
        for (link, kind, keys) in networks {
            text += &format!("  - {{link: {link}, type: {kind}, {}\n", &keys[1..]);
        }
        check("a.yaml", &text);
    }

    #[test]
    fn kernel_words_are_fit_for_files(text in "(ip=|nameserver=|dhcp6?|eth0|auto6|:|:|:|[.]|\\[|\\]|192.0.2.1|2001:db8::1|/24|1500|evil| |52:54:00:12:34:56)*") {
        check("a.cmdline", &text);
    }

    #[test]
    fn any_text_ends(text in "\\PC*") {
        check("a.yaml", &text);
        check("a.cmdline", &text);
    }
}
