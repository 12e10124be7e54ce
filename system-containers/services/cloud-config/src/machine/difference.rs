//! What differs between two configurations, key by key. Pure.

use super::MachineConfig;
use std::collections::{BTreeMap, BTreeSet};
use toml::{Table, Value};

const NOT_SET: &str = "(not set)";
const SECRET: &str = "(secret)";
/// Words in the names of options that hold secrets.
const SECRET_WORDS: [&str; 5] = ["credential", "key", "password", "secret", "token"];

/// One line a key: `key: old → new`, without secrets. Empty: nothing differs.
///
/// # Errors
/// Those of [`table`].
pub fn lines(old: &MachineConfig, new: &MachineConfig) -> anyhow::Result<String> {
    Ok(between(&table(old)?, &table(new)?).iter().map(Difference::line).collect())
}

/// The keys alone.
///
/// # Errors
/// Those of [`table`].
pub fn keys(old: &MachineConfig, new: &MachineConfig) -> anyhow::Result<Vec<String>> {
    Ok(between(&table(old)?, &table(new)?).into_iter().map(|difference| difference.key).collect())
}

/// A configuration as the table that a fragment would be.
///
/// # Errors
/// When it is none that TOML can write.
pub fn table(config: &MachineConfig) -> anyhow::Result<Table> {
    let mut table = Table::try_from(config)?;
    // Groups without a setting are there in name only.
    table.retain(|_, value| value.as_table().is_none_or(|table| !table.is_empty()));
    Ok(table)
}

/// One key.
#[derive(Debug)]
struct Difference {
    key: String,
    old: Option<Value>,
    new: Option<Value>,
}

impl Difference {
    fn line(&self) -> String {
        let Self { key, old, new } = self;
        format!("{key}: {} → {}\n", shown(key, old.as_ref()), shown(key, new.as_ref()))
    }
}

fn between(old: &Table, new: &Table) -> Vec<Difference> {
    let (mut old, mut new) = (flat(old), flat(new));
    let keys: BTreeSet<String> = old.keys().chain(new.keys()).cloned().collect();
    let both = keys.into_iter().map(|key| Difference { old: old.remove(&key), new: new.remove(&key), key });
    both.filter(|difference| difference.old != difference.new).collect()
}

/// Dotted key to value; lists are values.
fn flat(table: &Table) -> BTreeMap<String, Value> {
    let mut map = BTreeMap::new();
    for (key, value) in table {
        let key = if is_bare(key) { key.clone() } else { format!("{key:?}") };
        match value {
            Value::Table(below) => {
                map.extend(flat(below).into_iter().map(|(rest, value)| (format!("{key}.{rest}"), value)));
            }
            other => drop(map.insert(key, other.clone())),
        }
    }
    map
}

fn is_bare(key: &str) -> bool {
    !key.is_empty() && key.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
}

fn shown(key: &str, value: Option<&Value>) -> String {
    let Some(value) = value else { return NOT_SET.into() };
    let is_secret = key.starts_with("engine.log-opts.") && SECRET_WORDS.iter().any(|word| key.contains(word));
    let text = value.to_string();
    // The name and password of a URL.
    let has_login = text.split("://").skip(1).any(|rest| rest.split(['/', '"']).next().unwrap_or("").contains('@'));
    if is_secret || has_login { SECRET.into() } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_name_key_old_and_new() {
        for (old, new, expected) in [
            ("", "", ""),
            ("hostname = 'a'", "hostname = 'b'", "hostname: \"a\" → \"b\"\n"),
            ("", "time.servers = ['a']", "time.servers: (not set) → [\"a\"]\n"),
            ("a.b = 1\na.c = 2", "a.c = 2", "a.b: 1 → (not set)\n"),
            ("a.\"x.y\" = 1", "a.\"x.y\" = 2", "a.\"x.y\": 1 → 2\n"),
            (
                "engine.log-opts.splunk-token = 'hidden'",
                "engine.log-opts.splunk-token = 'hid'",
                "engine.log-opts.splunk-token: (secret) → (secret)\n",
            ),
            ("", "update.url = 'https://me:hidden@x/y'", "update.url: (not set) → (secret)\n"),
            ("", "update.url = 'https://x/y@z'", "update.url: (not set) → \"https://x/y@z\"\n"),
        ] {
            let found = between(&toml::from_str(old).unwrap(), &toml::from_str(new).unwrap());
            assert_eq!(found.iter().map(Difference::line).collect::<String>(), expected);
        }
    }
}
