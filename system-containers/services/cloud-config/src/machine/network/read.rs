//! Which form a document has.

use super::{Network, openstack, version1, version2};
use crate::document::{Fields, Node};
use crate::report::Messages;

const FORMS: &str = "not used: expected version 1 or version 2, or OpenStack's links and networks";

/// Reads the mapping at `path`, with or without a `network` key around it. `None`: nothing of it can be used.
pub fn read(node: &Node, path: &str, messages: &mut Messages) -> Option<Network> {
    let node = node.get("network").unwrap_or(node);
    let mut fields = Fields::new(node, path, messages)?;
    if node.get("config").and_then(Node::text) == Some("disabled") {
        return Some(Network { version: 2, config: Some("disabled".into()), ..Network::default() });
    }
    if openstack::is_data(node) {
        return Some(openstack::read(fields, messages));
    }
    let version = fields.take("version");
    match version.and_then(Node::integer) {
        Some(1) => version1::read(fields, messages),
        Some(2) => Some(version2::read(fields, messages)),
        _ => {
            let place = version.map_or(fields.place(), |version| version.place);
            messages.error(place, &fields.path("version"), FORMS);
            None
        }
    }
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
    fn forms_are_told_apart() {
        let (network, messages) =
            load("network:\n  version: 2\n  renderer: networkd\n  ethernets: {eth0: {dhcp4: yes}}\n");
        assert_eq!(messages, "");
        assert_eq!(network.unwrap().ethernets["eth0"].dhcp4, Some(true));
        for text in ["network: {config: disabled}", "config: disabled", "version: 1\nconfig: disabled"] {
            assert_eq!(load(text).0.unwrap().config.as_deref(), Some("disabled"), "{text}");
        }
        for (text, place) in [
            ("ethernets: {}\n", "line 1 column 1 version"),
            ("a: 1\nversion: 3\n", "line 2 column 10 version"),
            ("version: 1\nethernets: {}\n", "line 1 column 1 config: not used: version 1 needs"),
            ("version: 1\nconfig: {}\n", "line 2 column 9 config: not used: version 1 needs"),
        ] {
            let (network, messages) = load(text);
            assert!(network.is_none() && messages.contains(place), "{messages}");
        }
    }

    /// Every mistake is named, costs what it stands in, and nothing of it reaches a file.
    #[test]
    fn nothing_hostile_gets_through() {
        let (network, messages) = load(
            "version: 2\nethernets:\n  '../x': {}\n  \"a\\nb\": {}\n  eth0:\n    addresses: [10.0.0.1, '10.0.0.1/33', \"10.0.0.1/24\\n[Network]\"]\n    gateway4: '::1'\n    mtu: 12\n    macaddress: x\n    nameservers: {addresses: [a], search: [\"a\\nb\"]}\n    routes: [{to: default}, {to: x, via: y}, {via: 10.0.0.1}, 3, {to: 10.0.0.0/8, via: '::1'}]\n    routing-policy: [{table: 7}]\n    link-local: [x]\n    nope: 1\n  far: {match: {name: 'a b'}, dhcp4: true}\nbonds: {bond0: {parameters: {mode: \"a\\nb\", nope: 1}}}\nvlans: {v: {id: 9999, link: eth0}}\nwifis: {}\n",
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
            "routes[4].to: to, via and from must be of one family",
            "routing-policy[0].from: a rule needs",
            "link-local[0]",
            "match.name",
            "ethernets.far.match: not used",
            "ethernets.eth0.nope: ignored",
            "parameters.mode",
            "parameters.nope: ignored",
            "vlans.v.id",
            "wifis: ignored",
        ] {
            assert!(messages.contains(expected), "{expected}\n{messages}");
        }
    }

    #[test]
    fn what_only_shows_together_is_said() {
        for (text, expected) in [
            ("vlans: {x: {id: 1, link: a}, y: {id: 1, link: a}, z: {id: 1, link: b}}", "vlans.y.id: not used"),
            ("vlans: {x: {id: 1, link: x}}", "vlans.x.id: not used"),
            ("bridges: {br-0123456789ab: {}}", "bridges.br-0123456789ab: not used: the name is one of the container"),
            ("ethernets: {veth7: {}}", "ethernets.veth7: not used: the name is one of the container"),
            (
                "ethernets: {a: {addresses: [10.0.0.1/24]}, b: {addresses: [10.0.0.1/16]}}",
                "ethernets.b.addresses: an address is given twice",
            ),
            (
                "ethernets: {a: {match: {name: 'e*'}, addresses: [10.0.0.1/24]}}",
                "ethernets.a.match: may hold for several",
            ),
            ("ethernets: {a: {match: {driver: e1000}, set-name: x}}", "ethernets.a.match: may hold for several"),
            (
                "ethernets: {a: {match: {macaddress: '52:54:00:12:34:aa'}}, b: {match: {macaddress: '52:54:00:12:34:AA'}}}",
                "b.match: another interface matches",
            ),
            ("ethernets: {a: {match: {name: x}, set-name: b}, b: {}}", "b.set-name: the name is that of another"),
            ("ethernets: {a: {}}\nbridges: {a: {}}", "line 3 column 11 bridges.a: not used: the name is taken"),
            (
                "ethernets: {a: {}}\nbonds: {x: {interfaces: [a]}}\nbridges: {y: {interfaces: [a, y]}}",
                "bridges.y.interfaces: a member was left out",
            ),
            (
                "bonds: {x: {interfaces: [a], parameters: {mode: 1, primary: b}}, y: {interfaces: [c], parameters: {mode: 1, primary: c}}}",
                "bonds.x.primary: not used: it must be a member",
            ),
            (
                "vlans: {x: {id: 1, link: far-too-long-for-a-name}}",
                "vlans.x.link: names an interface that is not defined",
            ),
        ] {
            let (_, messages) = load(&format!("version: 2\n{text}\n"));
            assert!(messages.contains(expected) && messages.lines().count() == 1, "{text}: {messages}");
        }
        let (network, messages) =
            load("version: 2\nbonds: {x: {interfaces: [a], parameters: {mode: 802.3ad, primary: a}}}\n");
        assert!(
            network.unwrap().bonds["x"].parameters.len() == 1 && messages.contains("bonds.x.primary"),
            "{messages}"
        );
        let (network, messages) = load("version: 2\nbonds: {x: {interfaces: [a, b]}}\n");
        assert_eq!((network.unwrap().ethernets.len(), messages.as_str()), (2, ""));
    }
}
