//! `phone_home`: whom to tell that the machine is done.

use super::names;
use crate::document::{Fields, Node};
use crate::report::{Messages, Place};

/// What can be sent: form fields.
pub const FIELDS: [&str; 6] = ["pub_key_rsa", "pub_key_ecdsa", "pub_key_ed25519", "instance_id", "hostname", "fqdn"];
/// Attempts where none are given, as in cloud-init.
const TRIES: u32 = 10;
/// The last stage has to end some time.
const MAX_TRIES: u32 = 100;

/// A call.
#[derive(Clone, PartialEq, Eq)]
pub struct PhoneHome {
    /// Where the entry stands.
    pub place: Place,
    /// http or https; `$INSTANCE_ID` in it is filled in.
    pub url: String,
    /// Some of [`FIELDS`].
    pub fields: Vec<&'static str>,
    /// Attempts.
    pub tries: u32,
}

impl std::fmt::Debug for PhoneHome {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // The URL may hold a token.
        write!(formatter, "PhoneHome({:?}, {} tries)", self.fields, self.tries)
    }
}

/// Reads the mapping; nothing without a URL.
pub fn read(node: &Node, messages: &mut Messages) -> Option<PhoneHome> {
    let mut fields = Fields::new(node, "phone_home", messages)?;
    if node.get("url").is_none_or(Node::is_null) {
        messages.error(node.place, "phone_home", "expected the key url");
    }
    let is_url =
        |text: &str| names::is_line(text) && text.replace(['$', '{', '}'], "x").parse::<hull_http::Url>().is_ok();
    let url = fields.checked("url", is_url, "a URL, http or https", messages);
    let known = |text: &str| FIELDS.iter().copied().find(|field| *field == text);
    let expectation = "all, or some of pub_key_rsa, pub_key_ecdsa, pub_key_ed25519, instance_id, hostname, fqdn";
    let is_all = node.get("post").is_none_or(|node| node.is_null() || node.text() == Some("all"));
    let posted = if is_all {
        fields.take_raw("post");
        FIELDS.to_vec()
    } else {
        let list = fields.texts("post", false, |text| known(text).is_some(), expectation, messages);
        list.iter().flatten().filter_map(|text| known(text)).collect()
    };
    let tries = fields.number("tries", 1..=MAX_TRIES, messages).unwrap_or(TRIES);
    fields.ignore_rest(messages);
    Some(PhoneHome { place: node.place, url: url?, fields: posted, tries })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::document::yaml;

    #[test]
    fn calls() {
        for (text, expected, part) in [
            ("{url: 'http://a.example/$INSTANCE_ID/'}", Some((6, 10)), ""),
            ("{url: 'https://a.example:8443/x?t=${INSTANCE_ID}', post: all, tries: 3}", Some((6, 3)), ""),
            ("{url: 'http://a', post: [hostname, fqdn], tries: '5'}", Some((2, 5)), ""),
            (
                "{url: 'http://a', post: [hostname, shadow]}",
                Some((1, 10)),
                "phone_home.post[1]: expected all, or some of",
            ),
            ("{url: 'http://a', post: hostname}", Some((0, 10)), "phone_home.post: expected a list"),
            ("{url: 'http://a', tries: 0}", Some((6, 10)), "phone_home.tries: expected a whole number"),
            ("{url: 'ftp://secret-word'}", None, "phone_home.url: expected a URL"),
            ("{post: all}", None, "phone_home: expected the key url"),
            ("'http://secret-word'", None, "phone_home: expected a mapping"),
        ] {
            let mut messages = Messages::new("user-data");
            let found = read(&yaml::parse(text, &mut messages).unwrap(), &mut messages);
            assert_eq!(found.map(|call| (call.fields.len(), call.tries)), expected, "{text}");
            let said: String = messages.list().iter().map(|message| format!("{message}\n")).collect();
            assert!(said.contains(part) && said.is_empty() == part.is_empty(), "{text}: {said}");
            assert!(!said.contains("secret-word"), "{said}");
        }
    }
}
