//! `set` and `unset`: one key in a fragment of this program's own. Nothing is written that the next boot would refuse.

use super::{complain, key};
use crate::machine::MachineConfig;
use crate::machine::difference::table;
use crate::machine::fragments::{self, Texts};
use crate::paths::Paths;
use crate::report::{Messages, quote};
use crate::store;
use anyhow::{Context, ensure};
use rustix::fs::FlockOperation;
use std::fs::File;
use toml::{Table, Value};

/// The fragment.
pub const FRAGMENT: &str = "90-set.toml";
const HEADER: &str = "# Written by hull config set; comments are lost when it is written again.\n";
/// Of these the upper fragment's holds as a whole.
const UNITS: [&[&str]; 3] = [&["network"], &["engine", "log-opts"], &["syslog", "remote"]];

/// Sets a key; what to tell.
pub fn set(paths: &Paths, key: &str, value: &str) -> anyhow::Result<String> {
    let parts = key::parse(key)?;
    let value = parse(key, value)?;
    change(paths, key, |own, merged| {
        // A part of a unit is a change of what is in force of it.
        let unit = UNITS.iter().find(|unit| parts.len() > unit.len() && unit.iter().eq(&parts[..unit.len()]));
        let unit: Option<Vec<String>> = unit.map(|unit| unit.iter().map(|&part| part.to_owned()).collect());
        if let Some(unit) = unit.filter(|unit| key::find(own, unit).is_none()) {
            if let Some(now) = key::find(merged, &unit) {
                key::insert(own, &unit, now.clone())?;
            }
        }
        key::insert(own, &parts, value)
    })?;
    Ok(format!("{} is set in {FRAGMENT}: in force after hull config apply, or at the next boot\n", quote(key)))
}

/// Takes a key out of the fragment again; what to tell.
pub fn unset(paths: &Paths, key: &str) -> anyhow::Result<String> {
    let parts = key::parse(key)?;
    change(paths, key, |own, _| {
        ensure!(key::remove(own, &parts), "{} was not set by hull config set; see {FRAGMENT}", quote(key));
        Ok(())
    })?;
    Ok(format!(
        "{} is no longer set in {FRAGMENT}: in force after hull config apply, or at the next boot\n",
        quote(key)
    ))
}

/// Changes the fragment's table, which is given together with the configuration of the next boot, and writes it if all
/// of the configuration is without errors then.
fn change(paths: &Paths, key: &str, act: impl FnOnce(&mut Table, &Table) -> anyhow::Result<()>) -> anyhow::Result<()> {
    let directory = &paths.state_config;
    std::fs::create_dir_all(directory).with_context(|| format!("create {}", directory.display()))?;
    let lock = File::open(directory).with_context(|| format!("open {}", directory.display()))?;
    // Until the end of this function: two at a time would lose one of the changes.
    rustix::fs::flock(&lock, FlockOperation::LockExclusive).context("lock")?;

    let mut messages = Messages::new("machine configuration");
    let texts = fragments::texts(directory, &mut messages);
    let merged = texts.and_then(|texts| Some((merge(paths, &texts, &mut messages)?, texts)));
    complain(&messages);
    let (old, mut texts) = merged.context("nothing is changed: correct the fragment first")?;
    let mut own: Table = toml::from_str(texts.get(FRAGMENT).map_or("", String::as_str)).context(FRAGMENT)?;
    act(&mut own, &table(&old)?)?;
    texts.insert(FRAGMENT.into(), format!("{HEADER}{}", toml::to_string(&own)?));

    let mut messages = Messages::new("machine configuration");
    let new = merge(paths, &texts, &mut messages);
    complain(&messages);
    let new = new.context("nothing is changed: the configuration would have errors")?;
    store::write(&directory.join(FRAGMENT), texts[FRAGMENT].as_bytes(), 0o600)?;
    warn_of_winners(&texts, &new, key)
}

fn merge(paths: &Paths, texts: &Texts, messages: &mut Messages) -> Option<MachineConfig> {
    fragments::merge(&Texts::new(), &paths.state_config, texts, messages)
}

/// A fragment with a later name may say something else.
fn warn_of_winners(texts: &Texts, merged: &MachineConfig, key: &str) -> anyhow::Result<()> {
    let parts = key::parse(key)?;
    let merged = table(merged)?;
    for (name, text) in texts.range(FRAGMENT.to_owned()..).skip(1) {
        let fragment: Table = toml::from_str(text).unwrap_or_default();
        if key::find(&fragment, &parts).is_some() && key::find(&merged, &parts).is_some() {
            eprintln!("hull: warning: {}: {name} sets it too, and wins", quote(key));
        }
    }
    Ok(())
}

/// TOML; a text that is none of TOML's values needs no quotes.
fn parse(key: &str, text: &str) -> anyhow::Result<Value> {
    let parsed: Result<Table, _> = toml::from_str(&format!("value = {text}"));
    let is_bare = !text.starts_with(['[', '{', '"', '\'']) && !text.chars().any(char::is_control);
    match parsed {
        Ok(mut table) if table.len() == 1 => table.remove("value").context("no value"),
        _ if is_bare => Ok(Value::String(text.to_owned())),
        _ => anyhow::bail!("{}: the value is not valid TOML; lists are written as '[\"a\", \"b\"]'", quote(key)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct World {
        _directory: tempfile::TempDir,
        paths: Paths,
    }

    impl World {
        fn new(fragments: &[(&str, &str)]) -> Self {
            let directory = tempfile::tempdir().unwrap();
            let paths = Paths::below(directory.path());
            for (name, text) in fragments {
                store::write(&paths.state_config.join(name), text.as_bytes(), 0o600).unwrap();
            }
            Self { _directory: directory, paths }
        }

        fn own(&self) -> String {
            let text = std::fs::read_to_string(self.paths.state_config.join(FRAGMENT)).unwrap_or_default();
            text.strip_prefix(HEADER).unwrap_or(&text).to_owned()
        }
    }

    #[test]
    fn values_are_those_of_toml_and_bare_texts() {
        for (key, value, expected) in [
            ("hostname", "web", "hostname = \"web\"\n"),
            ("hostname", "\"web\"", "hostname = \"web\"\n"),
            ("timezone", "Europe/Vienna", "timezone = \"Europe/Vienna\"\n"),
            ("engine.live-restore", "false", "[engine]\nlive-restore = false\n"),
            ("time.servers", "[\"a\", \"b\"]", "[time]\nservers = [\"a\", \"b\"]\n"),
            ("syslog.remote", "{ host = \"a\" }", "[syslog.remote]\nhost = \"a\"\n"),
            ("update.check", "0 3 * * *", "[update]\ncheck = \"0 3 * * *\"\n"),
        ] {
            let world = World::new(&[]);
            set(&world.paths, key, value).unwrap();
            assert_eq!(world.own(), expected, "{key}");
        }
    }

    #[test]
    fn what_the_next_boot_would_refuse_is_not_written() {
        for (key, value) in [
            ("hostnam", "web"),
            ("hostname", "a b"),
            ("hostname", "[web"),
            ("hostname", "web\ntimezone = \"UTC\""),
            ("hostname.x", "web"),
            ("engine.live-restore", "maybe"),
            ("syslog.remote.port", "514"),
            ("", "x"),
        ] {
            let world = World::new(&[(FRAGMENT, "hostname = \"old\"\n")]);
            assert!(set(&world.paths, key, value).is_err(), "{key}");
            assert_eq!(world.own(), "hostname = \"old\"\n", "{key}");
        }
        // Somebody else's mistake is not made worse, and not hidden by a copy.
        let world = World::new(&[("60-a.toml", "hostnam = 'x'\n")]);
        assert!(set(&world.paths, "hostname", "web").is_err());
        assert_eq!(world.own(), "");
    }

    #[test]
    fn a_part_of_a_unit_changes_what_is_in_force_of_it() {
        let network = "[network]\nversion = 2\nethernets.eth0 = { dhcp4 = true, mtu = 1400 }\n";
        let world = World::new(&[("60-a.toml", network)]);
        set(&world.paths, "network.ethernets.eth0.mtu", "1500").unwrap();
        let own = world.own();
        assert!(own.contains("dhcp4 = true") && own.contains("mtu = 1500") && own.contains("version = 2"), "{own}");
        // What was taken over once is the owner's own.
        set(&world.paths, "network.ethernets.eth0.dhcp4", "false").unwrap();
        assert!(world.own().contains("mtu = 1500"));
    }

    #[test]
    fn unset_takes_back_what_was_set() {
        let world = World::new(&[("60-a.toml", "hostname = 'a'\n")]);
        set(&world.paths, "engine.live-restore", "false").unwrap();
        set(&world.paths, "hostname", "b").unwrap();
        unset(&world.paths, "engine.live-restore").unwrap();
        assert_eq!(world.own(), "hostname = \"b\"\n");
        unset(&world.paths, "hostname").unwrap();
        assert_eq!(world.own(), "");
        assert!(unset(&world.paths, "hostname").is_err());
    }

    #[test]
    fn two_at_a_time_lose_nothing() {
        let world = World::new(&[]);
        std::thread::scope(|scope| {
            for (key, value) in [("hostname", "a"), ("timezone", "UTC"), ("fqdn", "a.b"), ("update.tries", "3")] {
                let paths = &world.paths;
                scope.spawn(move || set(paths, key, value).unwrap());
            }
        });
        assert_eq!(world.own().lines().filter(|line| line.contains('=')).count(), 4, "{}", world.own());
    }
}
