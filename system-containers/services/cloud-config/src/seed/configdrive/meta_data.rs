//! `meta_data.json`: `uuid`, `hostname`, `name`, `public_keys` and `keys`. What else is in it, such as `random_seed` and the
//! `meta` of the project, is not used.

use super::{describe, json};
use crate::report::{Messages, Place, quote};
use crate::seed::meta::Meta;
use crate::userdata::names;
use serde_json::{Map, Value};
use std::collections::BTreeSet;

/// Reads the file's content; `alone` says that there is no network configuration beside it.
pub(super) fn read(content: &[u8], alone: bool, messages: &mut Messages) -> Meta {
    let Some(root) = mapping(content, messages) else { return Meta::default() };
    let mut public_keys = Vec::new();
    if let Some(value) = root.get("public_keys") {
        add_keys(value, "public_keys", &mut public_keys, messages);
    }
    add_typed_keys(root.get("keys"), &mut public_keys, messages);
    let mut seen = BTreeSet::new();
    public_keys.retain(|key| seen.insert(key.clone()));
    if root.get("files").and_then(Value::as_array).is_some_and(|files| !files.is_empty()) {
        let text = "ignored: injected files are not supported; put them into write_files of the user data";
        messages.warning(Place::default(), "files", text);
    }
    if alone && root.get("network_config").is_some_and(|value| !value.is_null()) {
        let text = "ignored: a file for Debian's ifupdown is not supported; the cloud has to give network_data.json, or on Proxmox the type nocloud";
        messages.warning(Place::default(), "network_config", text);
    }
    Meta { instance_id: text(&root, "uuid", messages), hostname: hostname(&root, messages), public_keys }
}

/// `instance-id` of EC2's form.
pub(super) fn ec2_instance_id(content: &[u8], messages: &mut Messages) -> Option<String> {
    text(&mapping(content, messages)?, "instance-id", messages)
}

fn mapping(content: &[u8], messages: &mut Messages) -> Option<Map<String, Value>> {
    match json(content, messages)? {
        Value::Object(root) => Some(root),
        other => {
            let text = format!("not used: expected a mapping, found {}", describe(&other));
            messages.error(Place::default(), "", text);
            None
        }
    }
}

fn text(root: &Map<String, Value>, key: &str, messages: &mut Messages) -> Option<String> {
    match root.get(key)? {
        Value::Null => None,
        Value::String(text) => Some(text.trim()).filter(|text| !text.is_empty()).map(str::to_owned),
        other => {
            messages.error(Place::default(), key, format!("not used: expected text, found {}", describe(other)));
            None
        }
    }
}

/// `hostname`, else `name` where that can be one: it is what a person called the machine.
fn hostname(root: &Map<String, Value>, messages: &mut Messages) -> Option<String> {
    match text(root, "hostname", messages) {
        Some(name) if names::is_host(&name) => return Some(name),
        Some(_) => messages.error(Place::default(), "hostname", "not used: not a host name"),
        None => {}
    }
    text(root, "name", messages).filter(|name| names::is_host(name))
}

/// Keys as a text with one a line, a list of such, or a mapping to such.
fn add_keys(value: &Value, path: &str, keys: &mut Vec<String>, messages: &mut Messages) {
    match value {
        Value::Null => {}
        Value::String(text) => {
            keys.extend(text.lines().map(str::trim).filter(|key| !key.is_empty()).map(str::to_owned));
        }
        Value::Array(items) => {
            items.iter().enumerate().for_each(|(n, item)| add_keys(item, &format!("{path}[{n}]"), keys, messages));
        }
        Value::Object(entries) => {
            entries.iter().for_each(|(name, item)| {
                add_keys(item, &format!("{path}.{}", quote(name)), keys, messages);
            });
        }
        other => {
            messages.error(Place::default(), path, format!("not used: expected a key, found {}", describe(other)));
        }
    }
}

/// `keys`: a list of `name`, `type` and `data`, where X.509 certificates stand beside SSH's keys.
fn add_typed_keys(value: Option<&Value>, keys: &mut Vec<String>, messages: &mut Messages) {
    let Some(value) = value.filter(|value| !value.is_null()) else { return };
    let Some(items) = value.as_array() else {
        messages.error(Place::default(), "keys", format!("not used: expected a list, found {}", describe(value)));
        return;
    };
    for (number, item) in items.iter().enumerate() {
        let is_ssh = item.get("type").is_none_or(|kind| kind == "ssh");
        match item.get("data") {
            Some(data) if is_ssh => add_keys(data, &format!("keys[{number}].data"), keys, messages),
            None => {
                messages.error(Place::default(), &format!("keys[{number}]"), "not used: expected name, type and data")
            }
            Some(_) => {}
        }
    }
}
