//! JSON Schema (draft 2020-12) of the machine configuration, made from the types that the readers fill; what a type cannot
//! say stands here. It is for editors: the machine itself judges by the readers, which check more.

use super::MachineConfig;
use super::network::Network;
use schemars::{Schema, SchemaGenerator, json_schema};
use serde_json::{Map, Value, json};

const DIALECT: &str = "https://json-schema.org/draft/2020-12/schema";

/// Of a fragment.
pub fn machine() -> Value {
    let mut schema = Value::from(SchemaGenerator::default().into_root_schema_for::<MachineConfig>());
    tidy(&mut schema);
    schema["$schema"] = DIALECT.into();
    schema["title"] = "Hull machine configuration".into();
    schema["description"] = "A fragment: /state/config/*.toml".into();
    schema
}

/// Of a cloud-config document: what is below `hull`; other keys are not looked at.
pub fn user_data() -> Value {
    let mut hull = machine();
    let definitions = hull.as_object_mut().and_then(|map| map.remove("$defs")).unwrap_or_default();
    for key in ["$schema", "title", "description"] {
        hull.as_object_mut().map(|map| map.remove(key));
    }
    hull["properties"]["services"] = json!({
        "description": "Services of the owner's own, by name.",
        "type": "object",
        "additionalProperties": {
            "type": "object",
            "required": ["definition"],
            "additionalProperties": false,
            "properties": {
                "definition": { "description": "Text of the service.toml.", "type": "string" },
                "image": { "description": "Reference with its digest.", "type": "string" },
                "archive": { "description": "Absolute path of an archive instead.", "type": "string" },
                "mirrors": { "description": "URLs of servers asked before the registry.", "type": "array", "items": { "type": "string" } },
                "enabled": { "description": "It is started.", "type": "boolean", "default": true }
            }
        }
    });
    hull["properties"]["containers"] = json!({
        "description": "Containers and Compose projects for the engine, by name: a service of the Compose specification, or compose.",
        "type": "object",
        "additionalProperties": {
            "type": "object",
            "anyOf": [{ "required": ["image"] }, { "required": ["compose"] }],
            "properties": {
                "image": { "description": "Reference, with its digest.", "type": "string" },
                "compose": { "description": "A Compose file.", "type": ["object", "string"] },
                "archives": { "description": "Absolute paths of image archives to load first.", "type": "array", "items": { "type": "string" } }
            }
        }
    });
    json!({
        "$schema": DIALECT,
        "title": "Hull user data",
        "description": "A cloud-config document: the settings of Hull below the key hull.",
        "type": "object",
        "properties": { "hull": hull },
        "$defs": definitions
    })
}

/// Whether a key, in its parts, may be there: below maps any, in lists none.
pub fn knows(parts: &[String]) -> bool {
    let root = machine();
    knows_below(&root, &root, parts)
}

fn knows_below(root: &Value, schema: &Value, parts: &[String]) -> bool {
    let Some((first, rest)) = parts.split_first() else { return true };
    if let Some(name) = schema["$ref"].as_str().and_then(|name| name.strip_prefix("#/$defs/")) {
        return knows_below(root, &root["$defs"][name], parts);
    }
    if let Some(forms) = schema["anyOf"].as_array() {
        return forms.iter().any(|form| knows_below(root, form, parts));
    }
    match (schema["properties"].get(first), schema.get("additionalProperties")) {
        (Some(below), _) => knows_below(root, below, rest),
        (None, Some(Value::Bool(allowed))) => *allowed,
        (None, Some(below)) => knows_below(root, below, rest),
        (None, None) => false,
    }
}

/// A list of texts; one alone goes without the list.
pub(super) fn texts(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": ["array", "string"], "items": { "type": "string" } })
}

/// Options by name; numbers count as their text.
pub(super) fn options(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "object", "additionalProperties": { "type": ["string", "number", "boolean"] } })
}

/// `off` without quotes is false in YAML 1.1.
pub(super) fn policy(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "enum": ["off", "check", "fetch", "apply", false] })
}

/// Addresses with prefix length, in netplan also with options, which are ignored.
pub(super) fn addresses(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "array", "items": { "type": ["string", "object"] } })
}

/// Names and values are those of a table of their own.
pub(super) fn anything(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "object", "additionalProperties": true })
}

/// The forms that are told apart: `network::read`.
pub(super) fn network(generator: &mut SchemaGenerator) -> Schema {
    let version2 = generator.subschema_for::<Network>();
    json_schema!({
        "anyOf": [
            version2,
            { "type": "object", "required": ["version", "config"], "properties": { "version": { "const": 1 }, "config": { "type": "array" } } },
            { "type": "object", "required": ["config"], "properties": { "config": { "const": "disabled" } } },
            { "type": "object", "required": ["links", "networks"] },
            { "type": "object", "required": ["network"], "properties": { "network": { "type": "object" } } }
        ]
    })
}

/// What the types say of absence is of no use to an editor: neither TOML nor a reader of ours knows null.
fn tidy(schema: &mut Value) {
    match schema {
        Value::Object(map) => {
            tidy_keywords(map);
            map.values_mut().for_each(tidy);
        }
        Value::Array(items) => items.iter_mut().for_each(tidy),
        _ => {}
    }
}

fn tidy_keywords(map: &mut Map<String, Value>) {
    if let Some(Value::Array(types)) = map.get_mut("type") {
        types.retain(|kind| kind != "null");
        if let [only] = &types[..] {
            let only = only.clone();
            map.insert("type".into(), only);
        }
    }
    if let Some(Value::Array(forms)) = map.get_mut("anyOf") {
        forms.retain(|form| form["type"] != "null");
        if let [Value::Object(only)] = &forms[..] {
            let only = only.clone();
            map.remove("anyOf");
            map.extend(only);
        }
    }
    // Whole numbers of a width, and defaults that are empty.
    if map.get("format").is_some_and(|format| format == "uint32") {
        map.remove("format");
    }
    let is_empty = |value: &Value| match value {
        Value::Null => true,
        Value::Array(items) => items.is_empty(),
        Value::Object(_) => true,
        _ => false,
    };
    if map.get("default").is_some_and(is_empty) {
        map.remove("default");
    }
}

#[cfg(test)]
mod tests;
