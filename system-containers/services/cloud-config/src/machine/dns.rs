//! `dns`: name servers and domains of the whole machine, whatever its links say.

use super::json_schema;
use crate::document::{Fields, Node};
use crate::report::Messages;
use crate::userdata::names;
use schemars::JsonSchema;
use serde::Serialize;
use std::net::IpAddr;

/// Settings of resolved.
#[derive(Debug, Clone, Default, PartialEq, Serialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Dns {
    /// Addresses, asked instead of those of the links.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(default, schema_with = "json_schema::texts")]
    pub servers: Option<Vec<String>>,
    /// Domains tried behind a name without dots.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(default, schema_with = "json_schema::texts")]
    pub search: Option<Vec<String>>,
}

impl Dns {
    /// Lays another over this one, key by key.
    pub fn overlaid_with(self, upper: Self) -> Self {
        Self { servers: upper.servers.or(self.servers), search: upper.search.or(self.search) }
    }
}

/// Reads the mapping at `path`.
pub fn read(node: &Node, path: &str, messages: &mut Messages) -> Option<Dns> {
    let mut fields = Fields::new(node, path, messages)?;
    let servers = servers(&mut fields, "servers", messages);
    let search = search(&mut fields, "search", messages);
    fields.deny_rest(messages);
    Some(Dns { servers, search })
}

/// A list of addresses.
pub fn servers(fields: &mut Fields<'_>, key: &str, messages: &mut Messages) -> Option<Vec<String>> {
    fields.texts(key, true, |text| text.parse::<IpAddr>().is_ok(), "an address", messages)
}

/// A list of domains.
pub fn search(fields: &mut Fields<'_>, key: &str, messages: &mut Messages) -> Option<Vec<String>> {
    fields.texts(key, true, names::is_host, "a domain", messages)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::document::yaml;

    #[test]
    fn keys_and_mistakes() {
        let mut messages = Messages::new("t");
        let mut load = |text: &str| read(&yaml::parse(text, &mut messages).unwrap(), "dns", &mut messages).unwrap();
        let lower = load("{servers: [192.0.2.53, '2001:db8::53'], search: a.example}");
        assert_eq!(lower.servers.as_ref().map(Vec::len), Some(2));
        let both = lower.overlaid_with(load("search: []"));
        assert_eq!((both.servers.map(|servers| servers.len()), both.search), (Some(2), Some(Vec::new())));
        load("{servers: [ns.example], search: ['a b'], port: 53}");
        let said: String = messages.list().iter().map(|message| format!("{message}\n")).collect();
        for expected in ["dns.servers[0]: expected an address", "dns.search[0]: expected a domain", "dns.port: unknown"]
        {
            assert!(said.contains(expected), "{said}");
        }
    }
}
