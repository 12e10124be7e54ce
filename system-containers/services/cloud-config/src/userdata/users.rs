//! `users` and `ssh_authorized_keys`.

use super::login::{Secret, is_hash, is_password};
use super::names;
use crate::document::{Fields, Kind, Node, Scalar, Value};
use crate::report::Messages;

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
    /// `passwd`, `hashed_passwd` or `plain_text_passwd`.
    pub password: Option<Secret>,
    /// Password login stays off even with a password.
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
    /// The one that gets the keys of document and datasource.
    pub is_default: bool,
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
            is_default: true,
            ..Self::default()
        }
    }
}

/// Keys that only make sense where users come from elsewhere.
const IGNORED: [(&str, &str); 2] =
    [("ssh_import_id", "nothing is fetched from the network; use ssh_authorized_keys"), ("doas", "use sudo")];

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
    if node.map().is_some() && node.get("name").is_none_or(Node::is_null) {
        messages.error(node.place, path, "a user needs a name");
        return None;
    }
    read_over(node, path, User { lock_password: true, ..User::default() }, messages)
}

/// Reads a user; what the mapping does not say is as in `lower`.
pub(super) fn read_over(node: &Node, path: &str, lower: User, messages: &mut Messages) -> Option<User> {
    let mut fields = Fields::new(node, path, messages)?;
    let expectation = "a user name: letters, digits, . _ -, at most 32";
    let is_named = node.get("name").is_some_and(|name| !name.is_null());
    let name = fields.checked("name", names::is_account, expectation, messages);
    if name.is_none() && is_named {
        return None;
    }
    let field_text = |text: &str| names::is_line(text) && !text.contains(':');
    let file = |text: &str| names::is_path(text) && field_text(text);
    let user = User {
        name: name.unwrap_or(lower.name),
        gecos: fields.checked("gecos", field_text, "one line without colons", messages).or(lower.gecos),
        groups: if fields.has("groups") { groups(&mut fields, messages) } else { lower.groups },
        primary_group: fields
            .checked("primary_group", names::is_account, "a group name", messages)
            .or(lower.primary_group),
        sudo: if fields.has("sudo") { sudo(&mut fields, messages) } else { lower.sudo },
        keys: keys(&mut fields, "ssh_authorized_keys", messages),
        password: password(&mut fields, messages),
        lock_password: fields.boolean("lock_passwd", messages).unwrap_or(lower.lock_password),
        shell: fields.checked("shell", file, "an absolute path", messages).or(lower.shell),
        uid: fields.number("uid", 0..=u32::MAX - 2, messages).or(lower.uid),
        home: fields.checked("homedir", file, "an absolute path", messages).or(lower.home),
        no_home: fields.boolean("no_create_home", messages).unwrap_or(lower.no_home),
        system: fields.boolean("system", messages).unwrap_or(lower.system),
        is_default: lower.is_default,
    };
    if user.password.is_some() && user.lock_password {
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

/// The first of the three that is there.
fn password(fields: &mut Fields<'_>, messages: &mut Messages) -> Option<Secret> {
    let hash = "a crypt(3) hash such as $6$…, not the password itself";
    let passwd = fields.checked("passwd", is_hash, hash, messages);
    let hashed = fields.checked("hashed_passwd", is_hash, hash, messages);
    let plain = fields.checked("plain_text_passwd", is_password, "a password", messages);
    passwd.or(hashed).map(Secret::Hash).or(plain.map(Secret::Plain))
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
    for _ in bad {
        messages.error(node.place, &path, "expected group names: letters, digits, . _ -, at most 32");
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
            "- {name: a, passwd: hunter2, shell: [x], nope: 1, plain_text_passwd: [hunter2]}\n- {gecos: x}\n- {name: 'b:c'}\n- {name: c, sudo: true, ssh_authorized_keys: ['hunter2'], groups: 'x y'}\n- 5\n- {name: a}\n",
        );
        assert_eq!(users.iter().map(|user| user.name.as_str()).collect::<Vec<_>>(), ["a", "c"]);
        assert!(!text.contains("hunter2"), "{text}");
        for expected in [
            "users[0].passwd: expected a crypt(3) hash",
            "users[0].shell: expected an absolute path, found a list",
            "users[0].nope: ignored",
            "users[0].plain_text_passwd: expected a password, found a list",
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
