//! `users` and `ssh_authorized_keys`.

use super::names;
use crate::document::{Fields, Kind, Node, Scalar, Value};
use crate::report::{Messages, quote};

/// Name of the user that `default` in `users` stands for, and that gets `ssh_authorized_keys`.
pub const DEFAULT_USER: &str = "hull";

/// One user.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct User {
    /// Login name.
    pub name: String,
    /// Full name and so on.
    pub gecos: Option<String>,
    /// Supplementary groups; missing ones are made.
    pub groups: Vec<String>,
    /// Group of the user instead of one of its own.
    pub primary_group: Option<String>,
    /// sudoers rules without the user's name.
    pub sudo: Vec<String>,
    /// Lines for `~/.ssh/authorized_keys`.
    pub keys: Vec<String>,
    /// crypt(3) hash.
    pub password_hash: Option<String>,
    /// Password login stays off even with a hash.
    pub lock_password: bool,
    /// Login shell.
    pub shell: Option<String>,
    /// Fixed user id.
    pub uid: Option<u32>,
    /// Home directory instead of `/home/<name>`.
    pub home: Option<String>,
    /// No home directory is made.
    pub no_home: bool,
    /// A system user: id below 1000, no home directory.
    pub system: bool,
}

impl User {
    /// The default user: keys only, sudo without a password, may use the engine.
    pub fn default_user() -> Self {
        Self {
            name: DEFAULT_USER.into(),
            gecos: Some("Administrator".into()),
            groups: vec!["sudo".into(), "docker".into()],
            sudo: vec!["ALL=(ALL) NOPASSWD:ALL".into()],
            lock_password: true,
            ..Self::default()
        }
    }
}

/// Keys that only make sense where users come from elsewhere.
const IGNORED: [(&str, &str); 4] = [
    ("plain_text_passwd", "use passwd with a hash, or better ssh_authorized_keys"),
    ("hashed_passwd", "use passwd"),
    ("ssh_import_id", "nothing is fetched from the network; use ssh_authorized_keys"),
    ("doas", "use sudo"),
];

/// Reads the list, or the one text or mapping that cloud-init takes as well.
pub fn read(node: &Node, messages: &mut Messages) -> Vec<User> {
    let items: Vec<(String, &Node)> = match &node.value {
        Value::List(items) => items.iter().enumerate().map(|(i, item)| (format!("users[{i}]"), item)).collect(),
        _ => vec![("users".into(), node)],
    };
    let mut users: Vec<User> = Vec::new();
    for (path, item) in items {
        let user = match item.text() {
            Some("default") => Some(User::default_user()),
            Some(name) if names::is_account(name) => {
                Some(User { name: name.into(), lock_password: true, ..User::default() })
            }
            Some(_) => {
                messages.error(item.place, &path, "expected a user name: letters, digits, . _ -, at most 32");
                None
            }
            None => read_user(item, &path, messages),
        };
        let Some(user) = user else { continue };
        if users.iter().any(|other| other.name == user.name) {
            messages.warning(item.place, &path, "this user is already in the list; the first entry counts");
        } else {
            users.push(user);
        }
    }
    users
}

fn read_user(node: &Node, path: &str, messages: &mut Messages) -> Option<User> {
    let mut fields = Fields::new(node, path, messages)?;
    let expectation = "a user name: letters, digits, . _ -, at most 32";
    let missing = fields.place();
    let name = match fields.checked("name", names::is_account, expectation, messages) {
        Some(name) => name,
        None => {
            if node.get("name").is_none_or(Node::is_null) {
                messages.error(missing, path, "a user needs a name");
            }
            return None;
        }
    };
    let field_text = |text: &str| names::is_line(text) && !text.contains(':');
    let hash = |text: &str| field_text(text) && text.starts_with(['$', '*', '!']) && !text.contains(' ');
    let user = User {
        gecos: fields.checked("gecos", field_text, "one line without colons", messages),
        groups: groups(&mut fields, messages),
        primary_group: fields.checked("primary_group", names::is_account, "a group name", messages),
        sudo: sudo(&mut fields, messages),
        keys: keys(&mut fields, "ssh_authorized_keys", messages),
        password_hash: fields.checked(
            "passwd",
            hash,
            "a crypt(3) hash such as $6$…, not the password itself",
            messages,
        ),
        lock_password: fields.boolean("lock_passwd", messages).unwrap_or(true),
        shell: fields.checked("shell", |text| names::is_path(text) && field_text(text), "an absolute path", messages),
        uid: fields.number("uid", 0..=u32::MAX - 2, messages),
        home: fields.checked("homedir", |text| names::is_path(text) && field_text(text), "an absolute path", messages),
        no_home: fields.boolean("no_create_home", messages).unwrap_or(false),
        system: fields.boolean("system", messages).unwrap_or(false),
        name,
    };
    if user.password_hash.is_some() && user.lock_password {
        let text = "the password stays locked: lock_passwd is true unless set to false";
        messages.info(node.place, &fields.path("passwd"), text);
    }
    for (key, hint) in IGNORED {
        if let Some(node) = fields.take_raw(key) {
            messages.warning(node.place, &fields.path(key), format!("ignored: {hint}"));
        }
    }
    fields.ignore_rest(messages);
    Some(user)
}

/// `groups: a, b`, a list, or (as in old documents) a mapping whose keys are the names.
fn groups(fields: &mut Fields<'_>, messages: &mut Messages) -> Vec<String> {
    let Some(node) = fields.take("groups") else { return Vec::new() };
    let path = fields.path("groups");
    let names: Vec<String> = match &node.value {
        Value::List(items) => items.iter().map(|item| item.text().unwrap_or_default().to_owned()).collect(),
        Value::Map(entries) => entries.iter().map(|entry| entry.key.clone()).collect(),
        Value::Scalar(scalar) => scalar.text.split(',').map(|name| name.trim().to_owned()).collect(),
    };
    let (good, bad): (Vec<String>, Vec<String>) = names.into_iter().partition(|name| names::is_account(name));
    for name in bad {
        messages.error(node.place, &path, format!("expected group names, found \"{}\"", quote(&name)));
    }
    good
}

/// `sudo`: a rule, a list of rules, or false or null for none.
fn sudo(fields: &mut Fields<'_>, messages: &mut Messages) -> Vec<String> {
    if let Some(node) = fields.take("sudo") {
        if let Value::Scalar(Scalar { kind: Kind::Bool(value), .. }) = &node.value {
            if *value {
                messages.error(node.place, &fields.path("sudo"), "expected a rule such as ALL=(ALL) NOPASSWD:ALL");
            }
            return Vec::new();
        }
        let items = match &node.value {
            Value::List(items) => items.as_slice(),
            _ => std::slice::from_ref(node),
        };
        let mut rules = Vec::new();
        for item in items {
            match item.text().map(str::trim) {
                Some(rule) if crate::account::sudo::is_rule(rule) => rules.push(rule.to_owned()),
                _ => {
                    let text = "expected a rule such as ALL=(ALL) NOPASSWD:ALL; commands as absolute paths, no aliases";
                    messages.error(item.place, &fields.path("sudo"), text);
                }
            }
        }
        return rules;
    }
    Vec::new()
}

/// SSH public keys, one line each; a block text with several lines counts as several.
pub fn keys(fields: &mut Fields<'_>, key: &str, messages: &mut Messages) -> Vec<String> {
    let Some(node) = fields.take(key) else { return Vec::new() };
    let items = match &node.value {
        Value::List(items) => items.as_slice(),
        _ => std::slice::from_ref(node),
    };
    let mut result: Vec<String> = Vec::new();
    for item in items {
        let Some(text) = item.text() else {
            let text = format!("expected an SSH public key, found {}", item.describe());
            messages.error(item.place, &fields.path(key), text);
            continue;
        };
        for line in text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')) {
            if is_public_key(line) {
                result.push(line.to_owned());
            } else {
                let text = "expected an SSH public key such as ssh-ed25519 AAAA… (private keys do not belong here)";
                messages.error(item.place, &fields.path(key), text);
            }
        }
    }
    result
}

/// `[options] type base64 [comment]`, on one line.
pub fn is_public_key(line: &str) -> bool {
    let types = ["ssh-", "ecdsa-sha2-", "sk-ssh-", "sk-ecdsa-"];
    names::is_line(line)
        && line
            .split(' ')
            .collect::<Vec<_>>()
            .windows(2)
            .any(|pair| types.iter().any(|kind| pair[0].starts_with(kind)) && pair[1].starts_with("AAAA"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::document::yaml;

    fn load(text: &str) -> (Vec<User>, String) {
        let mut messages = Messages::new("user-data");
        let node = yaml::parse(text, &mut messages).unwrap();
        let users = read(&node, &mut messages);
        (users, messages.list().iter().map(|message| format!("{message}\n")).collect())
    }

    #[test]
    fn every_key_is_read() {
        let (users, text) = load(
            "- default\n- name: web\n  gecos: Web Master\n  groups: docker, adm\n  sudo: ['ALL=(ALL) ALL', 'ALL=(root) NOPASSWD: /usr/bin/docker']\n  ssh_authorized_keys: [ssh-ed25519 AAAAC3 me]\n  passwd: $6$salt$hash\n  lock_passwd: false\n  shell: /bin/sh\n  uid: '2000'\n  homedir: /srv/web\n  primary_group: web\n- name: d\n  system: yes\n  sudo: false\n  groups: [a, b]\n- name: e\n  sudo: ~\n",
        );
        assert_eq!(text, "");
        assert_eq!(users.len(), 4);
        assert_eq!(users[0], User::default_user());
        let web = &users[1];
        assert_eq!(web.groups, ["docker", "adm"]);
        assert_eq!(web.sudo.len(), 2);
        assert_eq!((web.uid, web.lock_password), (Some(2000), false));
        assert!(users[2].system && users[2].sudo.is_empty() && users[2].lock_password);
    }

    #[test]
    fn mistakes_name_the_key_and_never_the_value() {
        let (users, text) = load(
            "- {name: a, passwd: hunter2, shell: [x], nope: 1, plain_text_passwd: hunter2}\n- {gecos: x}\n- {name: 'b:c'}\n- {name: c, sudo: true, ssh_authorized_keys: ['hunter2'], groups: 'x y'}\n- 5\n- {name: a}\n",
        );
        assert_eq!(users.iter().map(|user| user.name.as_str()).collect::<Vec<_>>(), ["a", "c"]);
        assert!(!text.contains("hunter2"), "{text}");
        for expected in [
            "users[0].passwd: expected a crypt(3) hash",
            "users[0].shell: expected an absolute path, found a list",
            "users[0].nope: ignored",
            "users[0].plain_text_passwd: ignored: use passwd",
            "users[1]: a user needs a name",
            "users[2].name: expected a user name",
            "users[3].sudo: expected a rule",
            "users[3].ssh_authorized_keys: expected an SSH public key",
            "users[3].groups: expected group names",
            "line 5 column 3 users[4]: expected a user name",
            "users[5]: this user is already in the list",
        ] {
            assert!(text.contains(expected), "{expected}\n{text}");
        }
    }

    #[test]
    fn public_keys() {
        assert!(is_public_key("ssh-ed25519 AAAAC3NzaC1 me@host"));
        assert!(is_public_key("restrict,command=\"x\" ecdsa-sha2-nistp256 AAAAE2 x"));
        assert!(!is_public_key("ssh-ed25519"));
        assert!(!is_public_key("-----BEGIN OPENSSH PRIVATE KEY-----"));
        assert!(!is_public_key("ssh-rsa AAAA\nssh-rsa AAAA"));
    }
}
