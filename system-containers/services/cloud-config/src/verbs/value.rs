//! `show` and `get`: the machine configuration of the next boot, all of it or one key.

use super::{complain, key};
use crate::live::InForce;
use crate::machine::difference::table;
use crate::machine::{MachineConfig, fragments, json_schema};
use crate::paths::Paths;
use crate::report::{Messages, quote};
use anyhow::{Context, ensure};
use toml::Value;

/// All of it, as a fragment would write it.
pub fn show(paths: &Paths) -> anyhow::Result<String> {
    Ok(toml::to_string(&next(paths))?)
}

/// One key: a text as it is, anything else as TOML.
pub fn get(paths: &Paths, key: &str) -> anyhow::Result<String> {
    let parts = key::parse(key)?;
    ensure!(json_schema::knows(&parts), "{}: unknown key; hull config schema lists them", quote(key));
    let table = table(&next(paths))?;
    let value = key::find(&table, &parts).with_context(|| format!("{} is not set", quote(key)))?;
    Ok(match value {
        Value::String(text) => format!("{text}\n"),
        Value::Table(table) => toml::to_string(table)?,
        other => format!("{other}\n"),
    })
}

/// What the next boot would use, last good copies included.
fn next(paths: &Paths) -> MachineConfig {
    let mut messages = Messages::new("machine configuration");
    let last_good = paths.cloud_state.join("last-good");
    // In the console the defaults are known from this boot alone.
    let mut loaded = fragments::peek(&paths.default_config, &paths.state_config, &last_good, &mut messages);
    complain(&messages);
    if loaded.defaults.is_empty() {
        let defaults = InForce::load(&paths.report).map(|in_force| in_force.defaults).unwrap_or_default();
        let lowest = InForce { defaults, ..InForce::default() }.config(paths);
        loaded.config = lowest.overlaid_with(loaded.config);
    }
    loaded.config
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::document::toml_tree;
    use crate::machine::schema::read;
    use crate::store;

    fn machine(directory: &std::path::Path) -> Paths {
        let paths = Paths::below(directory);
        let text =
            "hostname = 'b'\n[engine]\nlive-restore = false\nlog-opts = { max-size = '5m' }\n[time]\nservers = ['a']\n";
        for (name, text) in [("50-user-data.toml", "hostname = 'web'\ntimezone = 'UTC'\n"), ("60-b.toml", text)] {
            store::write(&paths.state_config.join(name), text.as_bytes(), 0o600).unwrap();
        }
        let defaults = [("00-hull.toml".to_owned(), "hostname = 'hull'\nfqdn = 'x.example'\n".to_owned())].into();
        InForce { defaults, ..InForce::default() }.save(&paths.report).unwrap();
        paths
    }

    #[test]
    fn what_is_shown_is_a_fragment() {
        let directory = tempfile::tempdir().unwrap();
        let text = show(&machine(directory.path())).unwrap();
        let again = read(&toml_tree::parse(&text).unwrap(), "", &mut Messages::new("again")).unwrap();
        assert_eq!((again.hostname.as_deref(), again.timezone.as_deref()), (Some("b"), Some("UTC")));
        assert_eq!(again.fqdn.as_deref(), Some("x.example"));
    }

    #[test]
    fn one_key() {
        let directory = tempfile::tempdir().unwrap();
        let paths = machine(directory.path());
        for (key, expected) in [
            ("hostname", Ok("b\n")),
            ("engine.live-restore", Ok("false\n")),
            ("time.servers", Ok("[\"a\"]\n")),
            ("engine.log-opts", Ok("max-size = \"5m\"\n")),
            ("engine.log-opts.max-size", Ok("5m\n")),
            ("syslog", Err("syslog is not set")),
            ("syslog.remote.host", Err("is not set")),
            ("network.ethernets.eth0.mtu", Err("is not set")),
            ("hostnam", Err("unknown key")),
            ("engine.live_restore", Err("unknown key")),
            ("a b", Err("not a key")),
        ] {
            match (get(&paths, key), expected) {
                (Ok(text), Ok(expected)) => assert_eq!(text, expected, "{key}"),
                (Err(error), Err(expected)) => assert!(error.to_string().contains(expected), "{key}: {error:#}"),
                (found, _) => panic!("{key}: {found:?}"),
            }
        }
    }
}
