//! The cloud-config document: every supported key is read on its own, so that one mistake costs one key.

use super::commands::{self, Command};
use super::files::{self, WriteFile};
use super::mounts::{self, Mount};
use super::services::{self, AddedService};
use super::users::{self, User};
use super::{hints, names};
use crate::document::{Fields, yaml};
use crate::machine::{self, MachineConfig};
use crate::report::Messages;

/// What a document asks for; `None` means that the key is not there.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct CloudConfig {
    /// `preserve_hostname`: names in the document and of the datasource are not used.
    pub preserve_hostname: Option<bool>,
    /// `users`.
    pub users: Option<Vec<User>>,
    /// `ssh_authorized_keys`, for the default user.
    pub keys: Option<Vec<String>>,
    /// `write_files`.
    pub files: Option<Vec<WriteFile>>,
    /// `runcmd`.
    pub runcmd: Option<Vec<Command>>,
    /// `bootcmd`.
    pub bootcmd: Option<Vec<Command>>,
    /// `mounts`.
    pub mounts: Option<Vec<Mount>>,
    /// `hull: services`.
    pub services: Option<Vec<AddedService>>,
    /// `hull`, with `hostname`, `fqdn` and `timezone` of the document in it.
    pub machine: MachineConfig,
}

impl CloudConfig {
    /// Reads a document. `None`: it cannot be used at all, and a message says why.
    pub fn parse(text: &str, messages: &mut Messages) -> Option<Self> {
        let root = match yaml::parse(text, messages) {
            Ok(root) => root,
            Err(error) => {
                messages.error(error.place, "", format!("the document is not used: {}", error.text));
                return None;
            }
        };
        if root.is_null() {
            return Some(Self::default());
        }
        let mut fields = Fields::new(&root, "", messages)?;
        let mut config = Self::default();
        if let Some(node) = fields.take("hull") {
            config.machine = machine::schema::read_but(node, "hull", &["services"], messages).unwrap_or_default();
            config.services = node.get("services").map(|node| services::read(node, "hull.services", messages));
        }
        let host = "a host name: letters, digits, hyphens and dots";
        let hostname = fields.checked("hostname", names::is_host, host, messages);
        let fqdn = fields.checked("fqdn", names::is_host, host, messages);
        let zone = fields.checked("timezone", names::is_timezone, "a name such as Europe/Vienna", messages);
        config.machine.hostname = hostname.or(config.machine.hostname.take());
        config.machine.fqdn = fqdn.or(config.machine.fqdn.take());
        config.machine.timezone = zone.or(config.machine.timezone.take());
        config.preserve_hostname = fields.boolean("preserve_hostname", messages);
        config.users = fields.take("users").map(|node| users::read(node, messages));
        let keys = users::keys(&mut fields, "ssh_authorized_keys", messages);
        config.keys = (!keys.is_empty()).then_some(keys);
        config.files = fields.take("write_files").map(|node| files::read(node, messages));
        config.runcmd = fields.take("runcmd").map(|node| commands::read(node, "runcmd", messages));
        config.bootcmd = fields.take("bootcmd").map(|node| commands::read(node, "bootcmd", messages));
        config.mounts = fields.take("mounts").map(|node| mounts::read(node, messages));
        hints::report(fields.rest(), messages);
        Some(config)
    }

    /// Fills what is missing from a document of lower precedence; key by key, nothing is mixed within a key.
    pub fn or(self, lower: Self) -> Self {
        Self {
            preserve_hostname: self.preserve_hostname.or(lower.preserve_hostname),
            users: self.users.or(lower.users),
            keys: self.keys.or(lower.keys),
            files: self.files.or(lower.files),
            runcmd: self.runcmd.or(lower.runcmd),
            bootcmd: self.bootcmd.or(lower.bootcmd),
            mounts: self.mounts.or(lower.mounts),
            services: self.services.or(lower.services),
            machine: lower.machine.overlaid_with(self.machine),
        }
    }

    /// The users to have, with the default user where the document does not say otherwise, and the keys of document
    /// and datasource given to it.
    pub fn all_users(&self, datasource_keys: &[String]) -> Vec<User> {
        let mut users = self.users.clone().unwrap_or_else(|| vec![User::default_user()]);
        let keys: Vec<String> = self.keys.iter().flatten().chain(datasource_keys).cloned().collect();
        if keys.is_empty() {
            return users;
        }
        // Keys without a default user go to the first one with a login, else nobody could use them.
        let position = users.iter().position(|user| user.name == users::DEFAULT_USER);
        let position = position.or_else(|| users.iter().position(|user| !user.system));
        match position {
            Some(position) => users[position].keys.extend(keys),
            None => users.push(User { keys, ..User::default_user() }),
        }
        users
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn load(text: &str) -> (Option<CloudConfig>, Vec<String>) {
        let mut messages = Messages::new("user-data");
        let config = CloudConfig::parse(text, &mut messages);
        (config, messages.list().iter().map(ToString::to_string).collect())
    }

    #[test]
    fn the_example_is_free_of_messages() {
        let (config, messages) = load(include_str!("../../../../../examples/web.yaml"));
        let config = config.unwrap();
        assert_eq!(messages, [] as [&str; 0]);
        assert_eq!(config.machine.hostname.as_deref(), Some("web"));
        assert_eq!((config.files.unwrap().len(), config.runcmd.unwrap().len()), (2, 3));
    }

    #[test]
    fn one_mistake_costs_one_key() {
        let (config, messages) = load(
            "#cloud-config\nhostname: [a]\ntimezone: ../etc\nruncmd: [x]\nusers: {name: a}\npackages: [nginx]\nfoo: 1\n",
        );
        let config = config.unwrap();
        assert_eq!(config.machine.hostname, None);
        assert_eq!(config.runcmd.unwrap().len(), 1);
        assert_eq!(config.users.unwrap()[0].name, "a");
        assert_eq!(
            messages,
            [
                "user-data line 2 column 11 hostname: expected a host name: letters, digits, hyphens and dots, found a list",
                "user-data line 3 column 11 timezone: expected a name such as Europe/Vienna",
                "user-data line 6 column 1 packages: ignored: there is no package manager; run the program as a container (see runcmd)",
                "user-data line 7 column 1 foo: ignored: not supported",
            ]
        );
    }

    #[test]
    fn documents_that_are_no_mapping_are_refused_with_a_line() {
        for (text, expected) in
            [("#cloud-config\n- a\n", "line 2 column 1: expected a mapping"), ("#cloud-config\na: b: c\n", "line 2")]
        {
            let (config, messages) = load(text);
            assert!(config.is_none() && messages[0].contains(expected), "{messages:?}");
        }
        assert_eq!(load("#cloud-config\n").0, Some(CloudConfig::default()));
    }

    #[test]
    fn medium_wins_over_command_line_key_by_key() {
        let high = load("hostname: a\nruncmd: [x]\n").0.unwrap();
        let low = load("hostname: b\ntimezone: UTC\nruncmd: [y, z]\n").0.unwrap();
        let both = high.or(low);
        assert_eq!(both.machine.hostname.as_deref(), Some("a"));
        assert_eq!(both.machine.timezone.as_deref(), Some("UTC"));
        assert_eq!(both.runcmd.unwrap().len(), 1);
    }

    #[test]
    fn keys_find_a_user() {
        let key = vec!["ssh-ed25519 AAAAx".to_owned()];
        for (text, name) in [
            ("{}", "hull"),
            ("users: [default, {name: a}]", "hull"),
            ("users: [{name: a}]", "a"),
            ("users: []", "hull"),
        ] {
            let users = load(text).0.unwrap().all_users(&key);
            let owner: Vec<&str> =
                users.iter().filter(|user| user.keys == key).map(|user| user.name.as_str()).collect();
            assert_eq!(owner, [name], "{text}");
        }
        assert_eq!(load("users: []").0.unwrap().all_users(&[]).len(), 0);
        assert_eq!(load("{}").0.unwrap().all_users(&[]).len(), 1);
    }

    proptest! {
        #[test]
        fn any_values_under_known_keys_end(
            key in prop::sample::select(vec!["users", "write_files", "mounts", "runcmd", "hull", "hostname", "ssh_authorized_keys"]),
            value in "[\\[\\]{},:'a-z0-9 \n-]{0,80}"
        ) {
            load(&format!("{key}: {value}\n"));
            load(&format!("{key}:\n  - {value}\n"));
        }
    }
}
