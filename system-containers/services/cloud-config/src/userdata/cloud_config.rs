//! The cloud-config document: every supported key is read on its own, so that one mistake costs one key.

use super::commands::Command;
use super::containers::Project;
use super::disks::{Aliases, Disk, FileSystem};
use super::entropy::Seed;
use super::files::WriteFile;
use super::host_keys::HostKey;
use super::login::{Group, Password, Secret};
use super::mounts::Mount;
use super::output::Output;
use super::phone::PhoneHome;
use super::power::PowerState;
use super::services::AddedService;
use super::swap::Swap;
use super::users::User;
use super::{keys, merge};
use crate::document::{Fields, Node};
use crate::machine::MachineConfig;
use crate::report::Messages;

/// Who has keys only if somebody says so.
const ROOT: &str = "root";

/// What a document asks for; `None` means that the key is not there.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct CloudConfig {
    /// `preserve_hostname`: names in the document and of the datasource are not used.
    pub preserve_hostname: Option<bool>,
    /// `vendor_data: enabled`: false leaves vendor data out.
    pub vendor_data: Option<bool>,
    /// `vendor_data2: enabled`, the same for what a datasource has beside it.
    pub vendor_data2: Option<bool>,
    /// `users`.
    pub users: Option<Vec<User>>,
    /// `user`: what `default` in `users` stands for.
    pub default_user: Option<User>,
    /// `password`, of the default user.
    pub password: Option<Secret>,
    /// `chpasswd`.
    pub passwords: Option<Vec<Password>>,
    /// `ssh_pwauth`: whether SSH takes passwords.
    pub ssh_passwords: Option<bool>,
    /// `groups`.
    pub groups: Option<Vec<Group>>,
    /// `ssh_keys`.
    pub host_keys: Option<Vec<HostKey>>,
    /// `power_state`.
    pub power: Option<PowerState>,
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
    /// `hull: containers`.
    pub containers: Option<Vec<Project>>,
    /// `disable_root`: false gives root the keys of the default user.
    pub disable_root: Option<bool>,
    /// `allow_public_ssh_keys`: false leaves keys of the datasource out.
    pub datasource_keys: Option<bool>,
    /// `ssh_deletekeys`: host keys of an earlier instance are not kept.
    pub renew_host_keys: Option<bool>,
    /// `ssh_genkeytypes`.
    pub host_key_types: Option<Vec<&'static str>>,
    /// `random_seed`.
    pub seed: Option<Seed>,
    /// `device_aliases`.
    pub aliases: Option<Aliases>,
    /// `disk_setup`.
    pub disks: Option<Vec<Disk>>,
    /// `fs_setup`.
    pub file_systems: Option<Vec<FileSystem>>,
    /// `swap`.
    pub swap: Option<Swap>,
    /// `manual_cache_clean`: what is kept is this machine's, whatever is found later.
    pub trust_kept: Option<bool>,
    /// `disable_ec2_metadata`.
    pub disable_metadata: Option<bool>,
    /// `output`.
    pub output: Option<Output>,
    /// `phone_home`.
    pub phone: Option<PhoneHome>,
    /// `final_message`.
    pub final_message: Option<String>,
    /// `hull`, with `hostname`, `fqdn` and `timezone` of the document in it.
    pub machine: MachineConfig,
}

impl CloudConfig {
    /// Reads one document. `None`: it cannot be used at all, and a message says why.
    pub fn parse(text: &str, messages: &mut Messages) -> Option<Self> {
        let root = merge::parse(text, messages)?;
        Some(if root.is_null() { Self::default() } else { Self::read(&root, messages) })
    }

    /// Reads a tree, which may come from several documents.
    pub fn read(root: &Node, messages: &mut Messages) -> Self {
        let mut config = Self::default();
        if let Some(fields) = Fields::new(root, "", messages) {
            keys::read(fields, &mut config, messages);
        }
        config
    }

    /// Fills what is missing from a document of lower precedence; key by key, nothing is mixed within a key.
    pub fn or(self, lower: Self) -> Self {
        Self {
            preserve_hostname: self.preserve_hostname.or(lower.preserve_hostname),
            vendor_data: self.vendor_data.or(lower.vendor_data),
            vendor_data2: self.vendor_data2.or(lower.vendor_data2),
            users: self.users.or(lower.users),
            default_user: self.default_user.or(lower.default_user),
            password: self.password.or(lower.password),
            passwords: self.passwords.or(lower.passwords),
            ssh_passwords: self.ssh_passwords.or(lower.ssh_passwords),
            groups: self.groups.or(lower.groups),
            host_keys: self.host_keys.or(lower.host_keys),
            power: self.power.or(lower.power),
            keys: self.keys.or(lower.keys),
            files: self.files.or(lower.files),
            runcmd: self.runcmd.or(lower.runcmd),
            bootcmd: self.bootcmd.or(lower.bootcmd),
            mounts: self.mounts.or(lower.mounts),
            services: self.services.or(lower.services),
            containers: self.containers.or(lower.containers),
            disable_root: self.disable_root.or(lower.disable_root),
            datasource_keys: self.datasource_keys.or(lower.datasource_keys),
            renew_host_keys: self.renew_host_keys.or(lower.renew_host_keys),
            host_key_types: self.host_key_types.or(lower.host_key_types),
            seed: self.seed.or(lower.seed),
            aliases: self.aliases.or(lower.aliases),
            disks: self.disks.or(lower.disks),
            file_systems: self.file_systems.or(lower.file_systems),
            swap: self.swap.or(lower.swap),
            trust_kept: self.trust_kept.or(lower.trust_kept),
            disable_metadata: self.disable_metadata.or(lower.disable_metadata),
            output: self.output.or(lower.output),
            phone: self.phone.or(lower.phone),
            final_message: self.final_message.or(lower.final_message),
            machine: lower.machine.overlaid_with(self.machine),
        }
    }

    /// The users to have, with the default user where the document does not say otherwise, and the keys of document
    /// and datasource given to it.
    pub fn all_users(&self, datasource_keys: &[String]) -> Vec<User> {
        let default = || self.default_user.clone().unwrap_or_else(User::default_user);
        let mut users = self.users.clone().unwrap_or_else(|| vec![default()]);
        users.iter_mut().filter(|user| user.is_default).for_each(|user| *user = default());
        let datasource_keys = if self.datasource_keys == Some(false) { &[] } else { datasource_keys };
        let keys: Vec<String> = self.keys.iter().flatten().chain(datasource_keys).cloned().collect();
        if keys.is_empty() {
            return users;
        }
        if self.disable_root == Some(false) {
            match users.iter_mut().find(|user| user.name == ROOT) {
                Some(root) => root.keys.extend(keys.clone()),
                // The account is there and keeps what it has.
                None => users.push(User { name: ROOT.into(), keys: keys.clone(), system: true, ..User::default() }),
            }
        }
        // Keys without a default user go to the first one with a login, else nobody could use them.
        let position = users.iter().position(|user| user.is_default);
        let position = position.or_else(|| users.iter().position(|user| !user.system));
        match position {
            Some(position) => users[position].keys.extend(keys),
            None => users.push(User { keys, ..default() }),
        }
        users
    }

    /// The passwords to set once all of `users` exist: the default user's, then those given by name.
    pub fn all_passwords(&self, users: &[User]) -> Vec<Password> {
        let default = users.iter().find(|user| user.is_default);
        let own = default.zip(self.password.clone()).map(|(user, secret)| Password { user: user.name.clone(), secret });
        own.into_iter().chain(self.passwords.iter().flatten().cloned()).collect()
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

    #[test]
    fn root_gets_keys_when_it_is_said_and_the_datasource_can_be_left_out() {
        let own = "ssh_authorized_keys: [ssh-ed25519 AAAAown]\n";
        let datasource = vec!["ssh-ed25519 AAAAcloud".to_owned()];
        for (text, root, hull) in [
            ("disable_root: true\n", 0, 2),
            ("disable_root: false\n", 2, 2),
            ("disable_root: false\nusers: [default, {name: root}]\n", 2, 2),
            ("allow_public_ssh_keys: false\ndisable_root: false\n", 1, 1),
            ("allow_public_ssh_keys: true\n", 0, 2),
        ] {
            let users = load(&format!("{own}{text}")).0.unwrap().all_users(&datasource);
            let keys = |name: &str| users.iter().filter(|user| user.name == name).map(|user| user.keys.len()).sum();
            assert_eq!((keys("root"), keys("hull")), (root, hull), "{text}");
        }
    }

    #[test]
    fn the_default_user_is_renamed_and_gets_keys_and_password() {
        let (config, messages) = load(
            "user: ops\nusers: [default, {name: a}]\npassword: word\nchpasswd: {list: 'a:b', expire: false}\nssh_pwauth: true\nssh_authorized_keys: [ssh-ed25519 AAAAC3 me]\n",
        );
        let config = config.unwrap();
        assert_eq!(messages, [] as [&str; 0]);
        let users = config.all_users(&[]);
        assert_eq!((users[0].name.as_str(), users[0].keys.len(), users[1].keys.len()), ("ops", 1, 0));
        let passwords = config.all_passwords(&users);
        let names: Vec<&str> = passwords.iter().map(|password| password.user.as_str()).collect();
        assert_eq!((names, config.ssh_passwords), (vec!["ops", "a"], Some(true)));
    }

    #[test]
    fn settings_of_other_distributions_are_machine_configuration() {
        let text = "ntp: {servers: [a]}\nrsyslog: {remotes: {x: '@log'}}\n";
        let machine = load(text).0.unwrap().machine;
        assert_eq!(
            (machine.time.servers.unwrap(), machine.syslog.remote.unwrap().host),
            (vec!["a".to_owned()], "log".to_owned())
        );
        let machine = load(&format!("{text}hull: {{time: {{servers: [b]}}}}\n")).0.unwrap().machine;
        assert_eq!(machine.time.servers.unwrap(), ["b"]);
    }

    proptest! {
        #[test]
        fn any_values_under_known_keys_end(
            key in prop::sample::select(vec!["users", "write_files", "mounts", "runcmd", "hull", "hostname", "ssh_authorized_keys", "user", "password",
                "chpasswd", "groups", "ntp", "ssh_keys", "power_state", "rsyslog", "ssh_pwauth"]),
            value in "[\\[\\]{},:'a-z0-9 \n-]{0,80}"
        ) {
            load(&format!("{key}: {value}\n"));
            load(&format!("{key}:\n  - {value}\n"));
        }
    }
}
