//! `ssh_keys`: host keys given instead of made, so that clients know the machine before its first boot.

use super::names;
use super::users::is_public_key;
use crate::document::{Fields, Node};
use crate::report::Messages;
use std::fmt;

/// Types that sshd is set up for, or can be.
pub const TYPES: [&str; 3] = ["ed25519", "ecdsa", "rsa"];

/// One host key.
#[derive(Clone, PartialEq, Eq)]
pub struct HostKey {
    /// `ed25519`, `ecdsa` or `rsa`.
    pub kind: &'static str,
    /// The private key's file, with a line end.
    pub private: String,
}

impl fmt::Debug for HostKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "HostKey({})", self.kind)
    }
}

/// Reads `<type>_private`; the public half is made from it, so one that is given is only looked at.
pub fn read(node: &Node, messages: &mut Messages) -> Vec<HostKey> {
    let Some(mut fields) = Fields::new(node, "ssh_keys", messages) else { return Vec::new() };
    let mut keys = Vec::new();
    for kind in TYPES {
        let private = fields.checked(&format!("{kind}_private"), is_private_key, "a private key in PEM", messages);
        let public = format!("{kind}_public");
        fields.checked(&public, |text| is_public_key(text.trim()), "a public key such as ssh-ed25519 AAAA…", messages);
        keys.extend(private.map(|private| HostKey { kind, private: private.trim().to_owned() + "\n" }));
    }
    fields.ignore_rest(messages);
    keys
}

/// `ssh_genkeytypes`: types of keys to be made.
pub fn types(fields: &mut Fields<'_>, key: &str, messages: &mut Messages) -> Option<Vec<&'static str>> {
    let known = |text: &str| TYPES.iter().copied().find(|kind| *kind == text);
    let given = fields.texts(key, true, |text| known(text).is_some(), "ed25519, ecdsa or rsa", messages)?;
    Some(given.iter().filter_map(|text| known(text)).collect())
}

fn is_private_key(text: &str) -> bool {
    let lines: Vec<&str> = text.trim().lines().collect();
    let is_frame = |line: Option<&&str>, word: &str| {
        line.is_some_and(|line| line.starts_with(&format!("-----{word} ")) && line.ends_with("PRIVATE KEY-----"))
    };
    lines.len() > 2
        && is_frame(lines.first(), "BEGIN")
        && is_frame(lines.last(), "END")
        && lines.iter().all(|line| line.is_empty() || names::is_line(line))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::document::yaml;

    #[test]
    fn keys_are_told_from_what_is_none() {
        let key = "-----BEGIN OPENSSH PRIVATE KEY-----\n    secretword\n    -----END OPENSSH PRIVATE KEY-----";
        let text = format!(
            "ed25519_private: |\n    {key}\ned25519_public: ssh-ed25519 AAAAC3 root\nrsa_private: secretword\ndsa_private: x\n"
        );
        let mut messages = Messages::new("user-data");
        let keys = read(&yaml::parse(&text, &mut messages).unwrap(), &mut messages);
        assert_eq!(format!("{keys:?}"), "[HostKey(ed25519)]");
        assert!(keys[0].private.ends_with("PRIVATE KEY-----\n"));
        let said: String = messages.list().iter().map(|message| format!("{message}\n")).collect();
        assert!(said.contains("ssh_keys.rsa_private: expected a private key") && said.contains("dsa_private: ignored"));
        assert!(!said.contains("secretword"), "{said}");
    }
}
