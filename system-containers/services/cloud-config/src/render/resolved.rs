//! Name servers of the machine: a fragment for resolved.conf(5).

use crate::machine::dns::Dns;
use std::fmt::Write;

/// The file's content; empty without settings. `~.` makes these servers answer for all names that no link claims.
pub fn fragment(dns: &Dns) -> String {
    let mut text = String::new();
    let (servers, search) = (dns.servers.as_deref().unwrap_or_default(), dns.search.as_deref().unwrap_or_default());
    let mut domains: Vec<&str> = search.iter().map(String::as_str).collect();
    // Writing to a string does not fail.
    if !servers.is_empty() {
        writeln!(text, "DNS={}", servers.join(" ")).ok();
        domains.push("~.");
    }
    if !domains.is_empty() {
        writeln!(text, "Domains={}", domains.join(" ")).ok();
    }
    if text.is_empty() { text } else { format!("[Resolve]\n{text}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_are_for_all_names() {
        let list = |items: &[&str]| Some(items.iter().map(|item| (*item).to_owned()).collect::<Vec<_>>());
        for (servers, search, expected) in [
            (None, None, ""),
            (list(&[]), list(&[]), ""),
            (list(&["192.0.2.1", "::1"]), list(&["a.example"]), "[Resolve]\nDNS=192.0.2.1 ::1\nDomains=a.example ~.\n"),
            (None, list(&["a", "b"]), "[Resolve]\nDomains=a b\n"),
        ] {
            assert_eq!(fragment(&Dns { servers, search }), expected);
        }
    }
}
