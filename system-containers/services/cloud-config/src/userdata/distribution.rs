//! `ntp`, `rsyslog`, `ca_certs`, `resolv_conf`: what other distributions configure file by file is machine configuration here.

use crate::document::{Fields, Node, Value};
use crate::machine::dns::{self, Dns};
use crate::machine::schema::{Remote, SYSLOG_PORT, Syslog, Time, is_server};
use crate::machine::trust::{self, Trust};
use crate::report::Messages;
use crate::userdata::names;

/// `ntp`: servers and pools are one list; `enabled: false` is no server at all.
pub fn ntp(node: &Node, messages: &mut Messages) -> Option<Time> {
    let mut fields = Fields::new(node, "ntp", messages)?;
    let enabled = fields.boolean("enabled", messages).unwrap_or(true);
    let mut list = |key| fields.texts(key, true, is_server, "a host name or address", messages);
    let (servers, pools) = (list("servers"), list("pools"));
    fields.ignore_rest(messages);
    if !enabled {
        return Some(Time { servers: Some(Vec::new()) });
    }
    let all: Vec<String> = [servers, pools].into_iter().flatten().flatten().collect();
    // Without a name of its own the distribution's pool is meant.
    (!all.is_empty()).then_some(Time { servers: Some(all) })
}

/// `rsyslog`: the first of `remotes`. `selector @host:port` is UDP, `@@` TCP.
pub fn rsyslog(node: &Node, messages: &mut Messages) -> Option<Syslog> {
    let mut fields = Fields::new(node, "rsyslog", messages)?;
    let remotes = fields.take("remotes");
    let path = fields.path("remotes");
    fields.ignore_rest(messages);
    let Value::Map(entries) = &remotes?.value else {
        messages.error(remotes?.place, &path, "expected names with values such as \"*.* @@log.example:514\"");
        return None;
    };
    let mut found = None;
    for entry in entries.iter().filter(|entry| !entry.node.is_null()) {
        let remote = entry.node.text().and_then(remote);
        match (&found, remote) {
            (_, None) => messages.error(entry.place, &path, "expected [selector] @host[:port], or @@ for TCP"),
            (None, remote) => found = remote,
            (Some(_), Some(_)) => messages.warning(entry.place, &path, "ignored: logs are sent to one server"),
        }
    }
    found.map(|remote| Syslog { remote: Some(remote) })
}

/// `ca_certs`, in both spellings of its keys.
pub fn ca_certs(node: &Node, key: &str, messages: &mut Messages) -> Option<Trust> {
    let mut fields = Fields::new(node, key, messages)?;
    let old = fields.boolean("remove-defaults", messages);
    let remove = fields.boolean("remove_defaults", messages).or(old);
    let certificates = fields.texts("trusted", true, trust::is_certificates, trust::CERTIFICATE, messages);
    fields.ignore_rest(messages);
    Some(Trust { certificates, defaults: remove.map(|remove| !remove) })
}

/// `resolv_conf`: servers and domains; nothing, as in cloud-init, unless `managed` by `manage_resolv_conf`.
pub fn resolv_conf(node: &Node, managed: bool, messages: &mut Messages) -> Option<Dns> {
    let mut fields = Fields::new(node, "resolv_conf", messages)?;
    let servers = dns::servers(&mut fields, "nameservers", messages);
    let domain = fields.checked("domain", names::is_host, "a domain", messages);
    let search = dns::search(&mut fields, "searchdomains", messages);
    for key in ["options", "sortlist"] {
        if let Some(node) = fields.take(key) {
            messages.warning(node.place, &fields.path(key), "ignored: the resolver of the machine has no such setting");
        }
    }
    fields.ignore_rest(messages);
    if !managed {
        let text = "ignored: it needs manage_resolv_conf: true beside it";
        messages.warning(node.place, "resolv_conf", text);
        return None;
    }
    let search = match domain {
        Some(domain) => {
            let further = search.into_iter().flatten().filter(|other| *other != domain);
            Some(std::iter::once(domain.clone()).chain(further).collect())
        }
        None => search,
    };
    Some(Dns { servers, search })
}

fn remote(text: &str) -> Option<Remote> {
    // The selector is left out: all messages are sent.
    let target = text.split('#').next()?.split_whitespace().last()?;
    let (protocol, target) = match target.strip_prefix("@@") {
        Some(target) => ("tcp", target),
        None => ("udp", target.strip_prefix('@')?),
    };
    let bare = target.strip_prefix('[').and_then(|rest| rest.split_once(']'));
    let (host, port) = match bare {
        Some((host, rest)) => (host, rest.strip_prefix(':')),
        None => target.rsplit_once(':').map_or((target, None), |(host, port)| (host, Some(port))),
    };
    let port = port.map_or(Some(SYSLOG_PORT), |port| port.parse().ok().filter(|port| (1..=65535).contains(port)))?;
    is_server(host).then(|| Remote { host: host.into(), port, protocol: protocol.into() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::document::yaml;

    fn parsed<T>(text: &str, read: impl Fn(&Node, &mut Messages) -> Option<T>) -> (Option<T>, usize) {
        let mut messages = Messages::new("user-data");
        let node = yaml::parse(text, &mut messages).unwrap();
        (read(&node, &mut messages), messages.list().len())
    }

    #[test]
    fn time_servers() {
        let servers = |names: &[&str]| Some(Time { servers: Some(names.iter().map(|name| (*name).into()).collect()) });
        for (text, expected, messages) in [
            (
                "{servers: [a.example], pools: [0.pool.example, 192.0.2.1]}",
                servers(&["a.example", "0.pool.example", "192.0.2.1"]),
                0,
            ),
            ("{enabled: false, servers: [a]}", servers(&[]), 0),
            ("{enabled: true}", None, 0),
            ("{servers: a, ntp_client: chrony}", servers(&["a"]), 1),
            ("[a]", None, 1),
        ] {
            assert_eq!(parsed(text, ntp), (expected, messages), "{text}");
        }
    }

    #[test]
    fn authorities() {
        let one = "-----BEGIN CERTIFICATE-----\\nMIIB\\n-----END CERTIFICATE-----";
        for (text, count, defaults, messages) in [
            (format!("{{trusted: [\"{one}\"], remove_defaults: true}}"), Some(1), Some(false), 0),
            (format!("{{trusted: \"{one}\", remove-defaults: false}}"), Some(1), Some(true), 0),
            ("{trusted: [MIIB]}".into(), Some(0), None, 1),
            ("{remove_defaults: maybe, other: 1}".into(), None, None, 2),
        ] {
            let (found, said) = parsed(&text, |node, messages| ca_certs(node, "ca_certs", messages));
            let found = found.unwrap();
            let number = found.certificates.map(|list| list.len());
            assert_eq!((number, found.defaults, said), (count, defaults, messages), "{text}");
        }
    }

    #[test]
    fn name_servers() {
        let list = |items: &[&str]| Some(items.iter().map(|item| (*item).to_owned()).collect::<Vec<_>>());
        for (text, servers, search, messages) in [
            (
                "{nameservers: [192.0.2.1], searchdomains: [a, b], domain: b}",
                list(&["192.0.2.1"]),
                list(&["b", "a"]),
                0,
            ),
            ("{searchdomains: [a]}", None, list(&["a"]), 0),
            ("{nameservers: [x y], options: {rotate: true}, sortlist: [10.0.0.1/8], z: 1}", list(&[]), None, 4),
        ] {
            let expected = (Some(Dns { servers, search }), messages);
            assert_eq!(parsed(text, |node, messages| resolv_conf(node, true, messages)), expected, "{text}");
        }
        assert_eq!(parsed("{nameservers: [192.0.2.1]}", |node, said| resolv_conf(node, false, said)), (None, 1));
    }

    #[test]
    fn log_servers() {
        let server = |host: &str, port, protocol: &str| {
            Some(Syslog { remote: Some(Remote { host: host.into(), port, protocol: protocol.into() }) })
        };
        for (text, expected, messages) in [
            ("remotes: {a: '*.* @@log.example:1514'}", server("log.example", 1514, "tcp"), 0),
            ("remotes: {a: '@192.0.2.1', b: '@x', c: }", server("192.0.2.1", 514, "udp"), 1),
            ("remotes: {a: '@[2001:db8::1]:10514'}", server("2001:db8::1", 10514, "udp"), 0),
            ("remotes: {a: 'log.example', b: '@x:0', c: '@a b:1'}", None, 3),
            ("{configs: [x], remotes: {a: '@x'}}", server("x", 514, "udp"), 1),
            ("remotes: [x]", None, 1),
        ] {
            assert_eq!(parsed(text, rsyslog), (expected, messages), "{text}");
        }
    }
}
