//! `daemon.json` of dockerd: our defaults, the machine configuration over them, the owner's own file over both.
//!
//! Defaults and why:
//!
//! | key | value | why |
//! |---|---|---|
//! | `log-driver` | `local`, 10 MB × 3 | Docker's own default keeps logs without bound and fills the disk |
//! | `live-restore` | true | containers go on while the engine restarts or is upgraded; Swarm needs false |
//! | `storage-driver` | overlay2 | the state partition is ext4; saves probing |
//! | `registry-mirrors`, `insecure-registries` | none | said, because a reload changes nothing that is left out |
//! | `userland-proxy` | true | over IPv6 a published port is reached by it alone: networks of containers have IPv4 only unless asked |
//! | `userland-proxy-path` | of the service | a reload of a file that has `userland-proxy` true without the path is refused |

use crate::machine::schema::Engine;
use crate::report::{Messages, Place, quote};
use serde_json::{Map, Value, json};

/// Keys that the engine's command line gives: dockerd refuses to start when a file has them as well.
const FIXED: [&str; 7] = ["hosts", "data-root", "exec-root", "pidfile", "containerd", "group", "default-runtime"];

/// The file's content. A broken file of the owner is reported and left out.
pub fn daemon_json(engine: &Engine, owner: Option<&str>, messages: &mut Messages) -> String {
    let mut settings = defaults();
    overlay(&mut settings, engine);
    if let Some(text) = owner.filter(|text| !text.trim().is_empty()) {
        match serde_json::from_str::<Map<String, Value>>(text) {
            Ok(map) => merge(&mut settings, map, messages),
            Err(error) => {
                let number = |value: usize| u32::try_from(value).unwrap_or(0);
                let place = Place::new(number(error.line()), number(error.column()));
                let kind = if error.is_data() { "expected a JSON object" } else { "broken JSON" };
                messages.error(place, "", format!("not used: {kind}"));
            }
        }
    }
    // A map of JSON values always has a text.
    serde_json::to_string_pretty(&settings).unwrap_or_default() + "\n"
}

fn defaults() -> Map<String, Value> {
    let mut map = Map::new();
    map.insert("storage-driver".into(), json!("overlay2"));
    map.insert("live-restore".into(), json!(true));
    map.insert("userland-proxy".into(), json!(true));
    map.insert("userland-proxy-path".into(), json!("/usr/sbin/docker-proxy"));
    map.insert("registry-mirrors".into(), json!([]));
    map.insert("insecure-registries".into(), json!([]));
    map
}

fn overlay(settings: &mut Map<String, Value>, engine: &Engine) {
    let driver = engine.log_driver.as_deref().unwrap_or("local");
    let mut options = Map::new();
    // Other drivers refuse options they do not know.
    if matches!(driver, "local" | "json-file") {
        options.insert("max-size".into(), json!("10m"));
        options.insert("max-file".into(), json!("3"));
    }
    for (key, value) in engine.log_opts.iter().flatten() {
        options.insert(key.clone(), json!(value));
    }
    settings.insert("log-driver".into(), json!(driver));
    settings.insert("log-opts".into(), Value::Object(options));
    let lists = [("registry-mirrors", &engine.registry_mirrors), ("insecure-registries", &engine.insecure_registries)];
    for (key, list) in lists {
        if let Some(list) = list {
            settings.insert(key.into(), json!(list));
        }
    }
    if let Some(live_restore) = engine.live_restore {
        settings.insert("live-restore".into(), json!(live_restore));
    }
    if let Some(pools) = &engine.default_address_pools {
        settings.insert("default-address-pools".into(), json!(pools));
    }
}

fn merge(settings: &mut Map<String, Value>, owner: Map<String, Value>, messages: &mut Messages) {
    let own_driver = owner.get("log-driver").is_some_and(|driver| settings.get("log-driver") != Some(driver));
    if own_driver {
        settings.remove("log-opts");
    }
    for (key, value) in owner {
        if FIXED.contains(&key.as_str()) {
            messages.warning(Place::default(), &quote(&key), "ignored: fixed by the system");
            continue;
        }
        match (settings.get_mut(&key), value) {
            (Some(Value::Object(ours)), Value::Object(theirs)) => ours.extend(theirs),
            (_, value) => {
                settings.insert(key, value);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn golden_defaults() {
        let text = daemon_json(&Engine::default(), None, &mut Messages::new("t"));
        assert_eq!(text, include_str!("../../testdata/daemon.json"));
    }

    #[test]
    fn configuration_then_the_owners_file() {
        let engine = Engine {
            registry_mirrors: Some(vec!["https://m.example".into()]),
            live_restore: Some(false),
            log_opts: Some([("max-size".to_owned(), "5m".to_owned())].into()),
            ..Engine::default()
        };
        let owner =
            r#"{"hosts": ["tcp://0.0.0.0"], "runtimes": {"x": {"path": "/x"}}, "live-restore": true, "debug": true}"#;
        let mut messages = Messages::new("daemon.json");
        let value: Value = serde_json::from_str(&daemon_json(&engine, Some(owner), &mut messages)).unwrap();
        assert_eq!(value["registry-mirrors"], json!(["https://m.example"]));
        assert_eq!(value["live-restore"], json!(true));
        assert_eq!(value["log-opts"], json!({"max-size": "5m", "max-file": "3"}));
        assert_eq!(value["runtimes"], json!({"x": {"path": "/x"}}));
        assert_eq!((&value["hosts"], &value["debug"]), (&Value::Null, &json!(true)));
        assert_eq!(messages.list()[0].to_string(), "daemon.json hosts: ignored: fixed by the system");
    }

    #[test]
    fn a_foreign_log_driver_gets_no_options_of_ours() {
        let engine = Engine { log_driver: Some("journald".into()), ..Engine::default() };
        let value: Value = serde_json::from_str(&daemon_json(&engine, None, &mut Messages::new("t"))).unwrap();
        assert_eq!(value["log-opts"], json!({}));
        let text = daemon_json(&Engine::default(), Some(r#"{"log-driver": "syslog"}"#), &mut Messages::new("t"));
        let value: Value = serde_json::from_str(&text).unwrap();
        assert_eq!((&value["log-driver"], &value["log-opts"]), (&json!("syslog"), &Value::Null));
    }

    #[test]
    fn a_broken_file_is_left_out() {
        for text in ["{\n\"debug\": true", "[1]"] {
            let mut messages = Messages::new("daemon.json");
            assert_eq!(
                daemon_json(&Engine::default(), Some(text), &mut messages),
                include_str!("../../testdata/daemon.json")
            );
            assert_eq!(messages.errors(), 1, "{messages:?}");
        }
    }
}
