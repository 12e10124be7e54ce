//! `trust`: authorities whose certificates console and engine believe.

use super::json_schema;
use crate::document::{Fields, Node};
use crate::report::Messages;
use base64::Engine;
use schemars::JsonSchema;
use serde::Serialize;

/// Certificates of authorities.
#[derive(Debug, Clone, Default, PartialEq, Serialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Trust {
    /// In PEM, one or several each, beside those of the OS.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(default, schema_with = "json_schema::texts")]
    pub certificates: Option<Vec<String>>,
    /// Whether those of the OS (Mozilla's list) count; default true.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub defaults: Option<bool>,
}

impl Trust {
    /// Lays another over this one, key by key.
    pub fn overlaid_with(self, upper: Self) -> Self {
        Self { certificates: upper.certificates.or(self.certificates), defaults: upper.defaults.or(self.defaults) }
    }
}

/// What a certificate is told to be.
pub const CERTIFICATE: &str = "certificates in PEM, -----BEGIN CERTIFICATE----- and so on";

/// Reads the mapping at `path`.
pub fn read(node: &Node, path: &str, messages: &mut Messages) -> Option<Trust> {
    let mut fields = Fields::new(node, path, messages)?;
    let trust = Trust {
        certificates: fields.texts("certificates", true, is_certificates, CERTIFICATE, messages),
        defaults: fields.boolean("defaults", messages),
    };
    fields.deny_rest(messages);
    Some(trust)
}

/// One or more certificates in PEM (RFC 7468): text between them is allowed, as many tools write it; whether a certificate
/// is sound is for whoever meets it.
pub fn is_certificates(text: &str) -> bool {
    let mut count = 0;
    let mut block: Option<String> = None;
    for line in text.lines().map(str::trim) {
        match (&mut block, line) {
            (None, "-----BEGIN CERTIFICATE-----") => block = Some(String::new()),
            (Some(content), "-----END CERTIFICATE-----") => {
                if !is_der(content) {
                    return false;
                }
                block = None;
                count += 1;
            }
            (Some(content), line) => content.push_str(line),
            (None, line) if line.contains("PRIVATE KEY") => return false,
            (None, _) => {}
        }
    }
    count > 0 && block.is_none()
}

/// Base64 of a DER sequence.
fn is_der(content: &str) -> bool {
    base64::engine::general_purpose::STANDARD.decode(content).is_ok_and(|bytes| bytes.first() == Some(&0x30))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::document::toml_tree;

    const ONE: &str = "-----BEGIN CERTIFICATE-----\nMIIB\n AAAA\n-----END CERTIFICATE-----\n";

    #[test]
    fn certificates_are_told_from_other_texts() {
        for (text, expected) in [
            (ONE.to_owned(), true),
            (format!("# one\r\n{ONE}subject=x\n{ONE}").replace('\n', "\r\n"), true),
            (String::new(), false),
            ("MIIB".into(), false),
            (ONE.replace("MIIB", "M%%B"), false),
            (ONE.replace("MIIB", "AAAA"), false),
            (ONE.replace("END", "BEGIN"), false),
            (format!("{ONE}-----BEGIN CERTIFICATE-----\nMIIB\n"), false),
            (format!("-----BEGIN PRIVATE KEY-----\nMIIB\n-----END PRIVATE KEY-----\n{ONE}"), false),
        ] {
            assert_eq!(is_certificates(&text), expected, "{text}");
        }
    }

    #[test]
    fn fragments_are_laid_over_each_other_and_mistakes_are_told() {
        let mut messages = Messages::new("t");
        let mut load = |text: &str| read(&toml_tree::parse(text).unwrap(), "trust", &mut messages).unwrap();
        let lower = load(&format!("certificates = ['''{ONE}''']\ndefaults = false\n"));
        let both = lower.clone().overlaid_with(load("defaults = true\n"));
        assert_eq!((both.certificates, both.defaults), (lower.certificates, Some(true)));
        load("certificates = ['secret']\nother = 1\n");
        let said: Vec<String> = messages.list().iter().map(ToString::to_string).collect();
        assert!(said[0].contains("trust.certificates[0]: expected certificates in PEM"), "{said:?}");
        assert!(said[1].contains("trust.other: unknown key") && !said.concat().contains("secret"), "{said:?}");
    }
}
