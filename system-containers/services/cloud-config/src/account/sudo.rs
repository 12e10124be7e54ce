//! Rules for sudoers(5): checked by a grammar smaller than sudo's, because one line that sudo cannot read turns sudo
//! off for everybody.
//!
//! ```text
//! rule     = hosts "=" ["(" users [":" groups] ")"] command *("," command)
//! command  = *(TAG ":") ["!"] ("ALL" | absolute path with arguments)
//! ```

/// Tags of sudoers(5) that take no value.
const TAGS: [&str; 12] = [
    "EXEC",
    "NOEXEC",
    "FOLLOW",
    "NOFOLLOW",
    "LOG_INPUT",
    "NOLOG_INPUT",
    "LOG_OUTPUT",
    "NOLOG_OUTPUT",
    "PASSWD",
    "NOPASSWD",
    "SETENV",
    "NOSETENV",
];

/// Whether a rule (without the user's name) is safe to write.
pub fn is_rule(rule: &str) -> bool {
    let plain = |text: &str| {
        !text.trim().is_empty()
            && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b" ,._-%#!+".contains(&byte))
            && !text.contains('#')
    };
    let Some((hosts, rest)) = rule.split_once('=') else { return false };
    let rest = rest.trim();
    let commands = match rest.strip_prefix('(') {
        Some(inside) => {
            let Some((runas, commands)) = inside.split_once(')') else { return false };
            if !runas.split(':').all(plain) || runas.matches(':').count() > 1 {
                return false;
            }
            commands
        }
        None => rest,
    };
    plain(hosts) && commands.split(',').all(is_command)
}

fn is_command(text: &str) -> bool {
    let mut text = text.trim();
    while let Some((tag, rest)) = text.split_once(':') {
        if !TAGS.contains(&tag.trim()) {
            return false;
        }
        text = rest.trim();
    }
    let text = text.strip_prefix('!').unwrap_or(text).trim();
    text == "ALL"
        || (text.starts_with('/')
            && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b" /._-+@*?".contains(&byte)))
}

/// The file for `/etc/sudoers.d`; `None` when nobody has a rule.
pub fn file<'u>(users: impl Iterator<Item = (&'u str, &'u [String])>) -> Option<String> {
    let lines: String =
        users.flat_map(|(name, rules)| rules.iter().map(move |rule| format!("{name} {rule}\n"))).collect();
    (!lines.is_empty()).then(|| format!("# From user data; changed at every boot.\n{lines}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules() {
        for good in [
            "ALL=(ALL) NOPASSWD:ALL",
            "ALL=(ALL:ALL) ALL",
            "ALL=(ALL) NOPASSWD: ALL",
            "ALL = (root) NOPASSWD: SETENV: /usr/bin/docker, /bin/ls -l, !/bin/sh",
            "ALL=/usr/bin/hull poweroff",
        ] {
            assert!(is_rule(good), "{good}");
        }
        for bad in [
            "",
            "ALL",
            "ALL=(ALL) NOPASSWD:",
            "ALL=(ALL NOPASSWD:ALL",
            "ALL=(ALL) docker",
            "ALL=(ALL) NOPASSWORD:ALL",
            "ALL=(ALL) ALL\nx ALL=ALL",
            "ALL=(ALL) ALL \\",
            "ALL=(ALL) /bin/a \"b",
            "ALL=(ALL) ALL # x",
            "@include /x",
        ] {
            assert!(!is_rule(bad), "{bad}");
        }
    }

    #[test]
    fn file_lists_users_with_rules_only() {
        let rules = ["ALL=(ALL) ALL".to_owned()];
        assert_eq!(file([("a", &rules[..]), ("b", &[])].into_iter()).unwrap().lines().count(), 2);
        assert_eq!(file([("b", &[] as &[String])].into_iter()), None);
    }
}
