//! Dotted keys, as TOML writes them: `engine.live-restore`, `network.ethernets."eth0.5".mtu`.

use anyhow::{Context, ensure};
use toml::{Table, Value};

/// The parts of a key.
pub fn parse(key: &str) -> anyhow::Result<Vec<String>> {
    let wrong = || format!("{} is not a key; keys are dotted, such as engine.live-restore", crate::report::quote(key));
    ensure!(!key.contains(['=', '\n', '#', '[']), wrong());
    let mut table: Table = toml::from_str(&format!("{key} = true")).ok().with_context(wrong)?;
    let mut parts = Vec::new();
    loop {
        let (part, value) = table.into_iter().next().with_context(wrong)?;
        parts.push(part);
        match value {
            Value::Table(below) => table = below,
            _ => return Ok(parts),
        }
    }
}

/// What stands at a key.
pub fn find<'t>(table: &'t Table, parts: &[String]) -> Option<&'t Value> {
    let (first, rest) = parts.split_first()?;
    let value = table.get(first)?;
    if rest.is_empty() { Some(value) } else { find(value.as_table()?, rest) }
}

/// Puts a value at a key, making the tables above it. An error: something above it is no table.
pub fn insert(table: &mut Table, parts: &[String], value: Value) -> anyhow::Result<()> {
    let (first, rest) = parts.split_first().context("an empty key")?;
    if rest.is_empty() {
        table.insert(first.clone(), value);
        return Ok(());
    }
    let below = table.entry(first.clone()).or_insert_with(|| Value::Table(Table::new())).as_table_mut();
    insert(below.with_context(|| format!("{first} holds a value, not further keys"))?, rest, value)
}

/// Takes a key out, and the tables above it that are empty then. Whether it was there.
pub fn remove(table: &mut Table, parts: &[String]) -> bool {
    let Some((first, rest)) = parts.split_first() else { return false };
    if rest.is_empty() {
        return table.remove(first).is_some();
    }
    let Some(below) = table.get_mut(first).and_then(Value::as_table_mut) else { return false };
    let removed = remove(below, rest);
    if below.is_empty() {
        table.remove(first);
    }
    removed
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_those_of_toml() {
        for (key, parts) in [
            ("hostname", &["hostname"][..]),
            ("engine.live-restore", &["engine", "live-restore"]),
            ("network.ethernets.\"eth0.5\".mtu", &["network", "ethernets", "eth0.5", "mtu"]),
        ] {
            assert_eq!(parse(key).unwrap(), parts, "{key}");
        }
        for key in ["", ".", "a.", "a b", "a = 1\nb", "[a]", "a.\"b"] {
            assert!(parse(key).is_err(), "{key}");
        }
    }

    #[test]
    fn values_come_and_go() {
        let mut table = Table::new();
        let key = parse("a.b.c").unwrap();
        insert(&mut table, &key, Value::Boolean(true)).unwrap();
        assert_eq!(find(&table, &key), Some(&Value::Boolean(true)));
        assert!(insert(&mut table, &parse("a.b.c.d").unwrap(), Value::Boolean(true)).is_err());
        assert!(!remove(&mut table, &parse("a.x").unwrap()));
        assert!(remove(&mut table, &key) && table.is_empty());
    }
}
