//! `user`, `password`, `chpasswd`, `ssh_pwauth`, `groups`: how one gets in, beside `users`.

use super::names;
use super::users::{self, User};
use crate::document::{Fields, Node, Value};
use crate::report::Messages;
use std::fmt;

/// A password, as it was given. What is printed of it never tells.
#[derive(Clone, PartialEq, Eq)]
pub enum Secret {
    /// crypt(3) hash.
    Hash(String),
    /// The password itself.
    Plain(String),
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Hash(_) => "Hash(…)",
            Self::Plain(_) => "Plain(…)",
        })
    }
}

/// A user and the password it is to have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Password {
    /// Login name.
    pub user: String,
    /// Its password.
    pub secret: Secret,
}

/// A group that is to exist.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    /// Its name.
    pub name: String,
    /// Users in it; those that do not exist are left out.
    pub members: Vec<String>,
}

/// What a hash of crypt(3) looks like in shadow(5).
pub fn is_hash(text: &str) -> bool {
    names::is_line(text) && text.starts_with(['$', '*', '!']) && !text.contains([':', ' '])
}

/// A password that can be typed.
pub fn is_password(text: &str) -> bool {
    names::is_line(text)
}

/// `user`: another name for the default user, or a mapping with what is different about it.
pub fn default_user(node: &Node, messages: &mut Messages) -> Option<User> {
    let user = match node.text() {
        Some(name) if names::is_account(name) => User { name: name.into(), ..User::default_user() },
        Some(_) => {
            messages.error(node.place, "user", "expected a user name: letters, digits, . _ -, at most 32");
            return None;
        }
        None => users::read_over(node, "user", User::default_user(), messages)?,
    };
    Some(User { is_default: true, ..user })
}

/// `chpasswd`: `list` (text or list of `user:password`) and `users` (name, password, type).
pub fn chpasswd(node: &Node, messages: &mut Messages) -> Vec<Password> {
    let Some(mut fields) = Fields::new(node, "chpasswd", messages) else { return Vec::new() };
    let mut passwords = Vec::new();
    if let Some(list) = fields.take("list") {
        let lines: Vec<(&Node, &str)> = match &list.value {
            Value::List(items) => items.iter().filter_map(|item| Some((item, item.text()?))).collect(),
            _ => list.text().unwrap_or_default().lines().map(|line| (list, line)).collect(),
        };
        for (node, line) in lines.into_iter().filter(|(_, line)| !line.trim().is_empty()) {
            passwords.extend(of_line(node, line.trim(), messages));
        }
    }
    if let Some(node) = fields.take("users") {
        for (index, item) in node.list().unwrap_or(std::slice::from_ref(node)).iter().enumerate() {
            passwords.extend(of_entry(item, &format!("chpasswd.users[{index}]"), messages));
        }
    }
    if fields.boolean("expire", messages) == Some(true) {
        messages.warning(node.place, "chpasswd.expire", "ignored: passwords do not expire at the first login here");
    }
    fields.ignore_rest(messages);
    passwords
}

fn of_line(node: &Node, line: &str, messages: &mut Messages) -> Option<Password> {
    let Some((user, password)) = line.split_once(':').filter(|(user, _)| names::is_account(user)) else {
        messages.error(node.place, "chpasswd.list", "expected lines of user:password");
        return None;
    };
    if matches!(password, "R" | "RANDOM") {
        messages.error(node.place, "chpasswd.list", NO_RANDOM);
        return None;
    }
    // As cloud-init tells them apart.
    let is_hashed = password.starts_with('$') && password.matches('$').count() >= 3;
    if !(if is_hashed { is_hash(password) } else { is_password(password) }) {
        messages.error(node.place, "chpasswd.list", "expected a password or a hash of crypt(3)");
        return None;
    }
    let secret = if is_hashed { Secret::Hash(password.into()) } else { Secret::Plain(password.into()) };
    Some(Password { user: user.into(), secret })
}

const NO_RANDOM: &str = "random passwords are not made: nobody could be told of them safely; give a hash";

fn of_entry(node: &Node, path: &str, messages: &mut Messages) -> Option<Password> {
    let mut fields = Fields::new(node, path, messages)?;
    let user = fields.checked("name", names::is_account, "a user name", messages);
    let kind = fields.text("type", messages).unwrap_or_else(|| "hash".into());
    let secret = match kind.as_str() {
        "hash" => fields
            .checked("password", is_hash, "a hash of crypt(3); type: text is the password itself", messages)
            .map(Secret::Hash),
        "text" => fields.checked("password", is_password, "a password", messages).map(Secret::Plain),
        _ => {
            fields.take_raw("password");
            let text = if kind == "RANDOM" { NO_RANDOM } else { "expected type hash or text" };
            messages.error(node.place, &fields.path("type"), text);
            None
        }
    };
    fields.ignore_rest(messages);
    Some(Password { user: user?, secret: secret? })
}

/// `ssh_pwauth`: whether SSH takes passwords; `unchanged` is as good as not given.
pub fn ssh_passwords(node: &Node, messages: &mut Messages) -> Option<bool> {
    let value = node.boolean();
    if value.is_none() && node.text() != Some("unchanged") {
        messages.error(
            node.place,
            "ssh_pwauth",
            format!("expected true, false or unchanged, found {}", node.describe()),
        );
    }
    value
}

/// `groups`: a text with commas, a list of names, or names with their members.
pub fn groups(node: &Node, messages: &mut Messages) -> Vec<Group> {
    let mut found: Vec<(&Node, String, Vec<String>)> = Vec::new();
    let names = |text: &str| text.split(',').map(|name| name.trim().to_owned()).collect::<Vec<_>>();
    let members = |node: &Node| match &node.value {
        Value::List(items) => items.iter().filter_map(Node::text).map(str::to_owned).collect(),
        _ => node.text().map(names).unwrap_or_default(),
    };
    let items = if let Value::List(items) = &node.value { items.as_slice() } else { std::slice::from_ref(node) };
    for item in items {
        match &item.value {
            Value::Map(entries) => {
                found.extend(entries.iter().map(|entry| (item, entry.key.clone(), members(&entry.node))));
            }
            _ => found.extend(names(item.text().unwrap_or_default()).into_iter().map(|name| (item, name, Vec::new()))),
        }
    }
    let mut groups = Vec::new();
    for (node, name, members) in found {
        match std::iter::once(&name).chain(&members).find(|name| !names::is_account(name)) {
            None => groups.push(Group { name, members }),
            Some(_) => {
                let text = "expected names of groups and users: letters, digits, . _ -, at most 32";
                messages.error(node.place, "groups", text);
            }
        }
    }
    groups
}

/// `vendor_data`: whether it is used at all.
pub fn vendor_data(node: &Node, key: &str, messages: &mut Messages) -> Option<bool> {
    let mut fields = Fields::new(node, key, messages)?;
    let enabled = fields.boolean("enabled", messages);
    fields.ignore_rest(messages);
    enabled
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::userdata::testing::parsed;

    #[test]
    fn passwords_in_all_their_forms() {
        let plain = |user: &str| Password { user: user.into(), secret: Secret::Plain("x y:z".into()) };
        let hash = |user: &str| Password { user: user.into(), secret: Secret::Hash("$6$a$b".into()) };
        for (text, expected, message) in [
            ("list: |\n  a:x y:z\n\n  b:$6$a$b\n", vec![plain("a"), hash("b")], ""),
            ("list: ['a:x y:z', 'b:$6$a$b']\nexpire: false\n", vec![plain("a"), hash("b")], ""),
            (
                "users:\n- {name: a, password: 'x y:z', type: text}\n- {name: b, password: $6$a$b}\n",
                vec![plain("a"), hash("b")],
                "",
            ),
            ("list: |\n  a:RANDOM\nexpire: true\n", vec![], "random passwords are not made"),
            ("expire: true\n", vec![], "do not expire"),
            ("users: [{name: a, type: RANDOM}]", vec![], "random passwords are not made"),
            ("users: [{name: a, password: secret-word}]", vec![], "type: text is the password itself"),
            ("list: nothing", vec![], "lines of user:password"),
        ] {
            let (found, messages) = parsed(text, chpasswd);
            assert_eq!(found, expected, "{text}");
            assert!(messages.contains(message) && messages.is_empty() == message.is_empty(), "{text}: {messages}");
            assert!(!messages.contains("secret-word"), "{messages}");
        }
        assert_eq!(format!("{:?}", plain("a")), "Password { user: \"a\", secret: Plain(…) }");
    }

    #[test]
    fn the_default_user_has_another_name_or_more() {
        let (user, _) = parsed("ops", default_user);
        let user = user.unwrap();
        assert_eq!((user.name.as_str(), user.is_default, user.groups.len()), ("ops", true, 2));
        let (user, messages) = parsed("{name: ops, shell: /bin/sh, groups: [docker]}", default_user);
        let user = user.unwrap();
        assert_eq!((user.name.as_str(), user.shell.as_deref(), user.sudo.len()), ("ops", Some("/bin/sh"), 1));
        assert_eq!((user.groups.as_slice(), messages.as_str()), (&["docker".to_owned()][..], ""));
        assert_eq!(parsed("{shell: /bin/sh}", default_user).0.unwrap().name, users::DEFAULT_USER);
        assert!(parsed("-x", default_user).0.is_none());
    }

    #[test]
    fn groups_in_all_their_forms() {
        let group = |name: &str, members: &[&str]| Group {
            name: name.into(),
            members: members.iter().map(|m| (*m).into()).collect(),
        };
        for (text, expected) in [
            ("a, b", vec![group("a", &[]), group("b", &[])]),
            ("[a, {b: [x, y]}, {c: x}]", vec![group("a", &[]), group("b", &["x", "y"]), group("c", &["x"])]),
            ("{a: }", vec![group("a", &[])]),
            ("['-a', b]", vec![group("b", &[])]),
        ] {
            let (found, messages) = parsed(text, groups);
            assert_eq!(found, expected, "{text}");
            assert_eq!(messages.contains("expected names"), text.contains('-'), "{messages}");
        }
    }

    #[test]
    fn ssh_passwords_are_asked_for_in_words() {
        for (text, expected, errors) in [
            ("yes", Some(true), false),
            ("False", Some(false), false),
            ("unchanged", None, false),
            ("maybe", None, true),
        ] {
            let (found, messages) = parsed(text, ssh_passwords);
            assert_eq!((found, !messages.is_empty()), (expected, errors), "{text}");
        }
    }
}
