//! The keys of the machine configuration. Unknown keys are errors: a misspelt setting must not be a silent default.

use super::dns::{self, Dns};
use super::json_schema;
use super::network::{self, Network};
use super::trust::{self, Trust};
use super::update::{self, Update};
use crate::document::{Fields, Node};
use crate::report::Messages;
use crate::userdata::names;
use schemars::JsonSchema;
use serde::Serialize;
use std::collections::BTreeMap;
use std::net::IpAddr;

/// Everything, each part optional so that fragments can be laid over each other.
#[derive(Debug, Clone, Default, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(deny_unknown_fields)]
pub struct MachineConfig {
    /// Name of the machine.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hostname: Option<String>,
    /// Full name, for `/etc/hosts`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fqdn: Option<String>,
    /// Time zone of the console.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timezone: Option<String>,
    /// The user engine.
    #[schemars(default)]
    pub engine: Engine,
    /// Time synchronisation.
    #[schemars(default)]
    pub time: Time,
    /// Log forwarding.
    #[schemars(default)]
    pub syslog: Syslog,
    /// Authorities that are believed.
    #[schemars(default)]
    pub trust: Trust,
    /// Name servers of the whole machine.
    #[schemars(default)]
    pub dns: Dns,
    /// Updates of the OS.
    #[schemars(default)]
    pub update: Update,
    /// Network, as one unit.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(default, schema_with = "json_schema::network")]
    pub network: Option<Network>,
}

/// Settings of dockerd; names as in its `daemon.json`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(deny_unknown_fields)]
pub struct Engine {
    /// Mirrors of the default registry, as URLs.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(default, schema_with = "json_schema::texts")]
    pub registry_mirrors: Option<Vec<String>>,
    /// Registries without TLS or with an unknown certificate: `host[:port]` or a network.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(default, schema_with = "json_schema::texts")]
    pub insecure_registries: Option<Vec<String>>,
    /// Log driver of containers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub log_driver: Option<String>,
    /// Its options.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(default, schema_with = "json_schema::options")]
    pub log_opts: Option<BTreeMap<String, String>>,
    /// Containers go on while the engine restarts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub live_restore: Option<bool>,
    /// Networks that bridges are cut from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub default_address_pools: Option<Vec<AddressPool>>,
}

/// One pool.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct AddressPool {
    /// Network, such as `10.200.0.0/16`.
    pub base: String,
    /// Prefix length of each bridge's network.
    #[schemars(range(min = 1, max = 128))]
    pub size: u32,
}

/// Settings of chrony.
#[derive(Debug, Clone, Default, PartialEq, Serialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Time {
    /// NTP servers instead of the default pool; an empty list is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(default, schema_with = "json_schema::texts")]
    pub servers: Option<Vec<String>>,
}

/// Settings of rsyslog.
#[derive(Debug, Clone, Default, PartialEq, Serialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Syslog {
    /// Where all messages are sent as well.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remote: Option<Remote>,
}

/// A remote syslog server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Remote {
    /// Name or address.
    pub host: String,
    /// Port, default 514.
    #[schemars(default = "syslog_port", range(min = 1, max = 65535))]
    pub port: u32,
    /// `udp` or `tcp`, default udp.
    #[schemars(default = "syslog_protocol", extend("enum" = ["udp", "tcp"]))]
    pub protocol: String,
}

/// The registered syslog port.
pub const SYSLOG_PORT: u32 = 514;

fn syslog_port() -> u32 {
    SYSLOG_PORT
}

fn syslog_protocol() -> String {
    "udp".into()
}

impl MachineConfig {
    /// Lays another configuration over this one: each key of `upper` that is there wins.
    pub fn overlaid_with(self, upper: Self) -> Self {
        let (lower, engine) = (self.engine, upper.engine);
        Self {
            hostname: upper.hostname.or(self.hostname),
            fqdn: upper.fqdn.or(self.fqdn),
            timezone: upper.timezone.or(self.timezone),
            engine: Engine {
                registry_mirrors: engine.registry_mirrors.or(lower.registry_mirrors),
                insecure_registries: engine.insecure_registries.or(lower.insecure_registries),
                log_driver: engine.log_driver.or(lower.log_driver),
                log_opts: engine.log_opts.or(lower.log_opts),
                live_restore: engine.live_restore.or(lower.live_restore),
                default_address_pools: engine.default_address_pools.or(lower.default_address_pools),
            },
            time: Time { servers: upper.time.servers.or(self.time.servers) },
            syslog: Syslog { remote: upper.syslog.remote.or(self.syslog.remote) },
            trust: self.trust.overlaid_with(upper.trust),
            dns: self.dns.overlaid_with(upper.dns),
            update: self.update.overlaid_with(upper.update),
            network: upper.network.or(self.network),
        }
    }
}

/// Reads the mapping at `path`; wrong parts are reported and left out.
pub fn read(node: &Node, path: &str, messages: &mut Messages) -> Option<MachineConfig> {
    read_but(node, path, &[], messages)
}

/// The same of a mapping that has further keys, which somebody else reads.
pub fn read_but(node: &Node, path: &str, others: &[&str], messages: &mut Messages) -> Option<MachineConfig> {
    let mut fields = Fields::new(node, path, messages)?;
    for key in others {
        fields.take_raw(key);
    }
    let host = "a host name: letters, digits, hyphens and dots";
    let mut config = MachineConfig {
        hostname: fields.checked("hostname", names::is_host, host, messages),
        fqdn: fields.checked("fqdn", names::is_host, host, messages),
        timezone: fields.checked("timezone", names::is_timezone, "a name such as Europe/Vienna", messages),
        ..MachineConfig::default()
    };
    if let Some(node) = fields.take("engine") {
        config.engine = read_engine(node, &fields.path("engine"), messages).unwrap_or_default();
    }
    if let Some(node) = fields.take("time") {
        if let Some(mut time) = Fields::new(node, &fields.path("time"), messages) {
            config.time.servers = time.texts("servers", true, is_server, "a host name or address", messages);
            time.deny_rest(messages);
        }
    }
    if let Some(node) = fields.take("syslog") {
        if let Some(mut syslog) = Fields::new(node, &fields.path("syslog"), messages) {
            let remote = syslog.take("remote");
            config.syslog.remote = remote.and_then(|node| read_remote(node, &syslog.path("remote"), messages));
            syslog.deny_rest(messages);
        }
    }
    if let Some(node) = fields.take("trust") {
        config.trust = trust::read(node, &fields.path("trust"), messages).unwrap_or_default();
    }
    if let Some(node) = fields.take("dns") {
        config.dns = dns::read(node, &fields.path("dns"), messages).unwrap_or_default();
    }
    if let Some(node) = fields.take("update") {
        config.update = update::read(node, &fields.path("update"), messages).unwrap_or_default();
    }
    if let Some(node) = fields.take("network") {
        config.network = network::read(node, &fields.path("network"), messages);
    }
    fields.deny_rest(messages);
    Some(config)
}

fn read_engine(node: &Node, path: &str, messages: &mut Messages) -> Option<Engine> {
    let mut fields = Fields::new(node, path, messages)?;
    let mut engine = Engine {
        registry_mirrors: fields.texts(
            "registry-mirrors",
            true,
            names::is_web_url,
            "a URL such as https://mirror.example",
            messages,
        ),
        insecure_registries: fields.texts(
            "insecure-registries",
            true,
            is_registry,
            "host[:port] or a network",
            messages,
        ),
        log_driver: fields.checked("log-driver", is_word, "the name of a log driver, such as local", messages),
        live_restore: fields.boolean("live-restore", messages),
        ..Engine::default()
    };
    if let Some(node) = fields.take("log-opts") {
        let path = fields.path("log-opts");
        if let Some(options) = Fields::new(node, &path, messages) {
            let mut map = BTreeMap::new();
            for entry in options.rest() {
                match entry.node.text() {
                    Some(text) => {
                        map.insert(entry.key.clone(), text.to_owned());
                    }
                    None => {
                        let text = format!("expected text, found {}", entry.node.describe());
                        messages.error(entry.node.place, &path, text);
                    }
                }
            }
            engine.log_opts = Some(map);
        }
    }
    if let Some(node) = fields.take("default-address-pools") {
        engine.default_address_pools = read_pools(node, &fields.path("default-address-pools"), messages);
    }
    fields.deny_rest(messages);
    Some(engine)
}

fn read_pools(node: &Node, path: &str, messages: &mut Messages) -> Option<Vec<AddressPool>> {
    let Some(items) = node.list() else {
        messages.error(node.place, path, format!("expected a list of base and size, found {}", node.describe()));
        return None;
    };
    let mut pools = Vec::new();
    for (index, item) in items.iter().enumerate() {
        let path = format!("{path}[{index}]");
        let Some(mut fields) = Fields::new(item, &path, messages) else { continue };
        let base = fields.checked("base", network::is_prefix, "a network such as 10.200.0.0/16", messages);
        let size = fields.number("size", 1..=128, messages);
        fields.deny_rest(messages);
        match (base, size) {
            (Some(base), Some(size)) => pools.push(AddressPool { base, size }),
            _ => messages.error(item.place, &path, "a pool needs base and size"),
        }
    }
    Some(pools)
}

fn read_remote(node: &Node, path: &str, messages: &mut Messages) -> Option<Remote> {
    let mut fields = Fields::new(node, path, messages)?;
    let host = fields.checked("host", is_server, "a host name or address", messages);
    let port = fields.number("port", 1..=65535, messages).unwrap_or(SYSLOG_PORT);
    let is_protocol = |text: &str| matches!(text, "udp" | "tcp");
    let protocol = fields.checked("protocol", is_protocol, "udp or tcp", messages).unwrap_or_else(syslog_protocol);
    fields.deny_rest(messages);
    if host.is_none() && node.get("host").is_none() {
        messages.error(node.place, path, "a remote server needs a host");
    }
    Some(Remote { host: host?, port, protocol })
}

/// A host name or an address.
pub fn is_server(text: &str) -> bool {
    names::is_host(text) || text.parse::<IpAddr>().is_ok()
}

fn is_registry(text: &str) -> bool {
    let (host, port) = text.rsplit_once(':').unwrap_or((text, "1"));
    network::is_prefix(text) || text.parse::<IpAddr>().is_ok() || (names::is_host(host) && port.parse::<u16>().is_ok())
}

fn is_word(text: &str) -> bool {
    !text.is_empty()
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'/' | b':'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::document::{toml_tree, yaml};

    const YAML: &str = "hostname: web\ntimezone: UTC\nengine:\n  registry-mirrors: [https://m.example]\n  insecure-registries: [10.0.2.100:5000]\n  log-driver: json-file\n  log-opts: {max-size: 5m, max-file: 2}\n  live-restore: false\n  default-address-pools: [{base: 10.200.0.0/16, size: 24}]\ntime: {servers: [ntp.example, 192.0.2.1]}\nsyslog: {remote: {host: log.example, port: 1514, protocol: tcp}}\ndns: {servers: [192.0.2.53], search: [a.example]}\ntrust: {certificates: [\"-----BEGIN CERTIFICATE-----\\nMIIB\\n-----END CERTIFICATE-----\"], defaults: false}\nnetwork:\n  version: 2\n  ethernets:\n    eth0: {addresses: [192.0.2.5/24], routes: [{to: default, via: 192.0.2.1}]}\n";

    #[test]
    fn user_data_and_toml_are_the_same_schema() {
        let mut messages = Messages::new("t");
        let node = yaml::parse(YAML, &mut messages).unwrap();
        let config = read(&node, "", &mut messages).unwrap();
        let text = toml::to_string(&config).unwrap();
        let again = read(&toml_tree::parse(&text).unwrap(), "", &mut messages).unwrap();
        assert_eq!(messages.list(), [], "{text}");
        assert_eq!(config, again, "{text}");
        assert!(config.network.is_some() && config.dns.servers.is_some() && config.trust.certificates.is_some());
    }

    #[test]
    fn upper_keys_win_one_by_one() {
        let load = |text: &str| read(&toml_tree::parse(text).unwrap(), "", &mut Messages::new("t")).unwrap();
        let lower = load("hostname = 'a'\n[engine]\nlive-restore = true\nlog-driver = 'local'\n");
        let both = lower.overlaid_with(load("timezone = 'UTC'\n[engine]\nlive-restore = false\n"));
        assert_eq!(both.hostname.as_deref(), Some("a"));
        assert_eq!(both.timezone.as_deref(), Some("UTC"));
        assert_eq!((both.engine.live_restore, both.engine.log_driver.as_deref()), (Some(false), Some("local")));
    }

    #[test]
    fn mistakes_have_line_and_key() {
        for (text, expected) in [
            ("hostnam = 'a'", "line 1 column 1 hostnam: unknown key"),
            ("[engine]\nlive_restore = true", "line 2 column 1 engine.live_restore: unknown key"),
            ("[engine]\nregistry-mirrors = ['m.example']", "engine.registry-mirrors[0]: expected a URL"),
            ("[engine]\nlog-opts = { a = [1] }", "engine.log-opts: expected text"),
            ("[engine]\ndefault-address-pools = [{ base = 'x', size = 24 }]", "pools[0].base: expected a network"),
            ("[time]\nservers = ['a b']", "time.servers[0]: expected a host name"),
            ("[syslog.remote]\nport = 0", "syslog.remote.port: expected a whole number"),
            ("[syslog.remote]\nhost = \"a\\n*.* /x\"", "syslog.remote.host: expected a host name"),
            ("[syslog.remote]\nhost = 'a'\nprotocol = 'tls'", "syslog.remote.protocol: expected udp or tcp"),
            ("network = 3", "network: expected a mapping"),
        ] {
            let mut messages = Messages::new("t");
            read(&toml_tree::parse(text).unwrap(), "", &mut messages);
            let found: String = messages.list().iter().map(|message| format!("{message}\n")).collect();
            assert!(found.contains(expected), "{text}: {found}");
        }
    }
}
