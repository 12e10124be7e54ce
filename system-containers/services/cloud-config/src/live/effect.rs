//! Changed files to what has to be done about them. Pure.
//!
//! | file | live |
//! |---|---|
//! | `hostname` | the system daemon names the machine and the containers, the console its `/etc` |
//! | `console/*` | the console's `/etc` |
//! | `network/*`, `resolved/*` | the network service starts again: addresses and leases stay meanwhile |
//! | `network/*.link`, a `.netdev` changed or taken away, an MTU taken away | at the next boot |
//! | `time/*`, `syslog/*` | the service starts again |
//! | authorities of `console` and `docker` | when these start again: their programs read them once |
//! | `docker/daemon.json` | dockerd reloads what it can; the rest waits for a restart, which ends applications |
//! | `update/*` | nothing to do: the system daemon reads it each time |

use crate::render::{Plan, authorities};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::collections::BTreeSet;

/// Something to do, in this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Step {
    /// The system daemon reads the host name again.
    HostName,
    /// The console's `/etc/hostname`, `hosts`, `localtime`.
    Identity,
    /// chrony starts again.
    Time,
    /// rsyslog starts again.
    Syslog,
    /// dockerd reads its file again.
    Engine,
    /// networkd and resolved start again. Last: it may cut off whoever waits for the rest.
    Network,
}

impl Step {
    /// For people.
    pub fn what(self) -> &'static str {
        match self {
            Self::HostName => "host name",
            Self::Identity => "name and time zone of the console",
            Self::Time => "time",
            Self::Syslog => "syslog",
            Self::Engine => "engine",
            Self::Network => "network",
        }
    }
}

/// What a change asks for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Effects {
    /// To be done now.
    pub steps: BTreeSet<Step>,
    /// What only a restart of something puts in force, for people.
    pub later: BTreeSet<String>,
}

/// Settings that dockerd takes over from its file while it runs; dockerd(8), SIGHUP.
const RELOADED: [&str; 9] = [
    "debug",
    "insecure-registries",
    "labels",
    "live-restore",
    "max-concurrent-downloads",
    "max-concurrent-uploads",
    "max-download-attempts",
    "registry-mirrors",
    "shutdown-timeout",
];

/// Files of `render::authorities`.
const AUTHORITIES: [&str; 2] = [authorities::BUNDLE, authorities::NO_DEFAULTS];
const TRUST: &str = "trust: when console and engine start again: hull restart console docker, which ends logins, and stops and starts your containers";

/// Compares the files in force with those to come.
pub fn effects(old: &Plan, new: &Plan) -> Effects {
    let mut effects = Effects::default();
    let names: BTreeSet<&String> = old.keys().chain(new.keys()).collect();
    for name in names.into_iter().filter(|name| old.get(*name) != new.get(*name)) {
        let is_new = !old.contains_key(name);
        let (folder, file) = name.split_once('/').unwrap_or(("", name));
        match folder {
            "" if file == "hostname" => effects.steps.extend([Step::HostName, Step::Identity]),
            "console" | "docker" if AUTHORITIES.contains(&file) => drop(effects.later.insert(TRUST.into())),
            "console" => effects.steps.extend([Step::Identity]),
            "time" => effects.steps.extend([Step::Time]),
            "syslog" => effects.steps.extend([Step::Syslog]),
            "resolved" => effects.steps.extend([Step::Network]),
            "network" => {
                network(file, is_new, &mut effects);
                if has_mtu(old.get(name)) && !has_mtu(new.get(name)) {
                    effects.later.insert("network: an MTU that is no longer given stays until the next boot".into());
                }
            }
            "docker" => engine(old.get(name), new.get(name), &mut effects),
            _ => {}
        }
    }
    effects
}

fn network(file: &str, is_new: bool, effects: &mut Effects) {
    if file.ends_with(".link") {
        let text = "network: names of cards and wake-on-LAN change at the next boot";
        effects.later.insert(text.into());
        return;
    }
    if let Some(stem) = file.strip_suffix(".netdev").filter(|_| !is_new) {
        let name = stem.split_once('-').map_or(stem, |(_, name)| name);
        effects.later.insert(format!("network: {name} is made anew, or goes, at the next boot"));
    }
    effects.steps.insert(Step::Network);
}

/// Of the interface, not of a route: networkd does not set it back.
fn has_mtu(file: Option<&String>) -> bool {
    let link = file.and_then(|text| text.split("[Network]").next());
    link.is_some_and(|text| text.lines().any(|line| line.starts_with("MTUBytes=")))
}

fn engine(old: Option<&String>, new: Option<&String>, effects: &mut Effects) {
    let map = |text: Option<&String>| -> Map<String, Value> {
        text.and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default()
    };
    let (old, new) = (map(old), map(new));
    let changed: BTreeSet<&String> =
        old.keys().chain(new.keys()).filter(|key| old.get(*key) != new.get(*key)).collect();
    // What is left out keeps its value over a reload.
    let reloads = |key: &&String| RELOADED.contains(&key.as_str()) && new.contains_key(*key);
    let (now, later): (Vec<_>, Vec<_>) = changed.into_iter().partition(reloads);
    if !now.is_empty() {
        effects.steps.insert(Step::Engine);
    }
    if !later.is_empty() {
        let keys = later.into_iter().map(|key| crate::report::quote(key)).collect::<Vec<_>>().join(", ");
        effects.later.insert(format!(
            "engine: {keys}: when the engine starts again: hull restart docker, which stops and starts your containers"
        ));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(files: &[(&str, &str)]) -> Plan {
        files.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect()
    }

    #[test]
    fn each_file_has_its_effect() {
        let json = r#"{"registry-mirrors": ["https://a"], "log-driver": "local"}"#;
        let old = plan(&[
            ("hostname", "a"),
            ("time/hull.sources", "a"),
            ("syslog/50-forward.conf", ""),
            ("update/update.json", "a"),
            ("network/10-eth0.network", "a"),
            ("network/10-eth0.link", "a"),
            ("network/11-mtu.network", "[Link]\nMTUBytes=1400\n[Network]\n"),
            ("network/10-bond0.netdev", "a"),
            ("docker/daemon.json", json),
        ]);
        for (name, text, steps, later) in [
            ("hostname", Some("b"), &[Step::HostName, Step::Identity][..], ""),
            ("console/timezone", Some("UTC"), &[Step::Identity], ""),
            ("time/hull.sources", Some("b"), &[Step::Time], ""),
            ("syslog/50-forward.conf", Some("b"), &[Step::Syslog], ""),
            ("update/update.json", Some("b"), &[], ""),
            ("resolved/50-hull.conf", Some("b"), &[Step::Network], ""),
            ("console/ca-certificates.crt", Some("b"), &[], "trust: when"),
            ("docker/no-default-authorities", Some(""), &[], "trust: when"),
            ("network/10-eth0.network", Some("b"), &[Step::Network], ""),
            ("network/10-eth0.network", None, &[Step::Network], ""),
            ("network/10-eth0.link", Some("b"), &[], "wake-on-LAN"),
            ("network/11-mtu.network", None, &[Step::Network], "MTU that is no longer given"),
            ("network/11-mtu.network", Some("[Network]\nMTUBytes=9"), &[Step::Network], "MTU that is no longer given"),
            ("network/11-mtu.network", Some("[Link]\nMTUBytes=9"), &[Step::Network], ""),
            ("network/10-bond0.netdev", None, &[Step::Network], "bond0 is made anew"),
            ("network/10-vlan5.netdev", Some("b"), &[Step::Network], ""),
            ("docker/daemon.json", Some(r#"{"registry-mirrors": [], "log-driver": "local"}"#), &[Step::Engine], ""),
            ("docker/daemon.json", Some(r#"{"registry-mirrors": ["https://a"]}"#), &[], "engine: log-driver: when"),
            ("docker/daemon.json", Some(r#"{"registry-mirrors": []}"#), &[Step::Engine], "engine: log-driver: when"),
            ("docker/daemon.json", Some("{}"), &[], "engine: log-driver, registry-mirrors: when"),
        ] {
            let mut new = old.clone();
            match text {
                Some(text) => drop(new.insert(name.into(), text.into())),
                None => drop(new.remove(name)),
            }
            let found = effects(&old, &new);
            assert_eq!(found.steps, steps.iter().copied().collect(), "{name}");
            let said = found.later.into_iter().collect::<String>();
            assert!(said.contains(later) && said.is_empty() == later.is_empty(), "{name}: {said}");
        }
        assert_eq!(effects(&old, &old), Effects::default());
    }
}
