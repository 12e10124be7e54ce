//! The schema against the readers and against the examples of the documentation. The checker knows the keywords that the
//! schema uses, and fails on others.

use super::*;
use crate::document::node::{Kind, Node, Scalar, Value as Tree};
use crate::document::{toml_tree, yaml};
use crate::machine::schema::read;
use crate::report::Messages;

/// Says nothing about a document.
const REMARKS: [&str; 6] = ["$schema", "$defs", "title", "description", "default", "format"];

/// Why a document does not fit; empty: it does.
fn faults(root: &Value, schema: &Value, value: &Value, path: &str) -> Vec<String> {
    let mut found = Vec::new();
    for (keyword, wanted) in schema.as_object().unwrap() {
        match keyword.as_str() {
            "$ref" => {
                let name = wanted.as_str().unwrap().strip_prefix("#/$defs/").unwrap();
                found.extend(faults(root, &root["$defs"][name], value, path));
            }
            "anyOf" => {
                let forms = wanted.as_array().unwrap();
                if !forms.iter().any(|form| faults(root, form, value, path).is_empty()) {
                    found.push(format!("{path}: none of the forms"));
                }
            }
            "type" => {
                let types: Vec<&str> = match wanted {
                    Value::Array(types) => types.iter().map(|kind| kind.as_str().unwrap()).collect(),
                    one => vec![one.as_str().unwrap()],
                };
                if !types.iter().any(|kind| is_of(value, kind)) {
                    found.push(format!("{path}: not {types:?}"));
                }
            }
            "enum" if !wanted.as_array().unwrap().contains(value) => found.push(format!("{path}: not one of")),
            "const" if wanted != value => found.push(format!("{path}: not that value")),
            "minimum" if value.as_i64() < wanted.as_i64() => found.push(format!("{path}: too small")),
            "maximum" if value.as_i64() > wanted.as_i64() => found.push(format!("{path}: too large")),
            "required" => {
                let missing =
                    wanted.as_array().unwrap().iter().filter(|key| value.get(key.as_str().unwrap()).is_none());
                found.extend(missing.map(|key| format!("{path}: without {key}")));
            }
            "items" => {
                for (index, item) in value.as_array().into_iter().flatten().enumerate() {
                    found.extend(faults(root, wanted, item, &format!("{path}[{index}]")));
                }
            }
            "properties" | "additionalProperties" => {}
            "enum" | "const" | "minimum" | "maximum" => {}
            other => assert!(REMARKS.contains(&other), "the checker does not know {other}"),
        }
    }
    for (key, below) in value.as_object().into_iter().flatten() {
        let path = format!("{path}.{key}");
        match (schema["properties"].get(key), schema.get("additionalProperties")) {
            (Some(schema), _) => found.extend(faults(root, schema, below, &path)),
            (None, Some(Value::Bool(false))) => found.push(format!("{path}: unknown key")),
            (None, Some(schema @ Value::Object(_))) => found.extend(faults(root, schema, below, &path)),
            _ => {}
        }
    }
    found
}

fn is_of(value: &Value, kind: &str) -> bool {
    match kind {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "integer" => value.is_i64(),
        "number" => value.is_number(),
        "boolean" => value.is_boolean(),
        other => panic!("the checker does not know the type {other}"),
    }
}

fn json(node: &Node) -> Value {
    match &node.value {
        Tree::Map(entries) => entries.iter().map(|entry| (entry.key.clone(), json(&entry.node))).collect(),
        Tree::List(items) => items.iter().map(json).collect(),
        Tree::Scalar(Scalar { kind: Kind::Bool(truth), .. }) => (*truth).into(),
        Tree::Scalar(Scalar { kind: Kind::Int(number), .. }) => (*number).into(),
        Tree::Scalar(Scalar { text, .. }) => text.as_str().into(),
    }
}

fn of_toml(text: &str) -> Vec<String> {
    let root = machine();
    faults(&root, &root, &json(&toml_tree::parse(text).unwrap()), "")
}

fn of_yaml(text: &str) -> Vec<String> {
    let root = user_data();
    faults(&root, &root, &json(&yaml::parse(text, &mut Messages::new("t")).unwrap()), "")
}

/// Indented or fenced, the documentation's only block of that language.
fn example(language: &str) -> &'static str {
    let text = include_str!("../../../../../../docs/configuration.md");
    let (_, from) = text.split_once(&format!("```{language}\n")).unwrap();
    from.split_once("```").unwrap().0
}

#[test]
fn examples_fit() {
    assert_eq!(of_toml(example("toml")), Vec::<String>::new());
    assert_eq!(of_yaml(example("yaml")), Vec::<String>::new());
    assert_eq!(of_yaml(include_str!("../../../../../../examples/web.yaml")), Vec::<String>::new());
    assert_eq!(of_toml(include_str!("../../../rootfs/usr/share/hull/config.d/00-hull.toml")), Vec::<String>::new());
    let mut network = 0;
    for entry in std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/testdata/network")).unwrap().flatten() {
        // Those with mistakes are for the readers.
        if entry.file_name().to_string_lossy().contains("mistakes") {
            continue;
        }
        let Some(text) = ["yaml", "json"].iter().find_map(|kind| {
            let path = entry.path();
            (path.extension()? == *kind).then(|| std::fs::read_to_string(path).unwrap())
        }) else {
            continue;
        };
        network += 1;
        let text: String = text.lines().map(|line| format!("    {line}\n")).collect();
        assert_eq!(of_yaml(&format!("hull:\n  network:\n{text}")), Vec::<String>::new(), "{:?}", entry.path());
    }
    assert!(network > 5, "{network} network configurations");
}

#[test]
fn mistakes_do_not_fit() {
    for (text, expected) in [
        ("hostnam = 'a'", ".hostnam: unknown key"),
        ("hostname = 3", ".hostname: not"),
        ("engine.live_restore = true", ".engine.live_restore: unknown key"),
        ("engine.default-address-pools = [{ base = '10.0.0.0/8' }]", "[0]: without \"size\""),
        ("syslog.remote = {}", ".syslog.remote: without \"host\""),
        ("syslog.remote = { host = 'a', port = 0 }", ".syslog.remote.port: too small"),
        ("syslog.remote = { host = 'a', protocol = 'tls' }", ".syslog.remote.protocol: not one of"),
        ("update.tries = 10", ".update.tries: too large"),
        ("update.policy = 'all'", ".update.policy: not one of"),
        ("network = 3", ".network: none of the forms"),
        ("network = { version = 3 }", ".network: none of the forms"),
        ("network = { version = 2, ethernets.eth0.mtu = 'x' }", ".network: none of the forms"),
    ] {
        let found = of_toml(text);
        assert!(found.iter().any(|fault| fault.contains(expected)), "{text}: {found:?}");
    }
    assert_eq!(of_yaml("hull: {services: {a: {definition: x}}}\nruncmd: [a]\n"), Vec::<String>::new());
    assert_eq!(of_yaml("hull: {services: {a: {}}}\n"), [".hull.services.a: without \"definition\""]);
    assert!(of_toml("services = {}").len() == 1);
}

/// All keys of the schema with a document that has nothing but that key.
fn keys(root: &Value, schema: &Value, path: &[String], found: &mut Vec<Vec<String>>) {
    if let Some(name) = schema["$ref"].as_str() {
        keys(root, &root["$defs"][name.strip_prefix("#/$defs/").unwrap()], path, found);
    }
    // Of several forms the first is the one of the types.
    if let Some(first) = schema["anyOf"].get(0) {
        keys(root, first, path, found);
    }
    let any = schema.get("additionalProperties").filter(|below| below.is_object()).map(|below| ("x", below));
    let named = schema["properties"].as_object().into_iter().flatten().map(|(key, below)| (key.as_str(), below));
    for (key, below) in named.chain(any) {
        let path: Vec<String> = path.iter().cloned().chain([key.to_owned()]).collect();
        keys(root, below, &path, found);
        found.push(path);
    }
}

#[test]
fn the_readers_know_every_key() {
    let root = machine();
    let mut found = Vec::new();
    keys(&root, &root, &[], &mut found);
    assert!(found.len() > 70, "{} keys", found.len());
    let mut ignored = Vec::new();
    let mut taken = Vec::new();
    for path in found {
        // Nowhere a number with a fraction: each reader that knows the key complains of it, or takes it as text.
        let value = path.iter().rev().fold("0.5".to_owned(), |value, key| format!("{{ {key} = {value} }}"));
        let version = if path.ends_with(&["version".to_owned()]) { "network = {" } else { "network = { version = 2," };
        let text = format!("root = {value}").replace("network = {", version);
        let tree = toml_tree::parse(&text).unwrap();
        let mut messages = Messages::new("t");
        read(tree.get("root").unwrap(), "", &mut messages);
        let says = |text: &str| messages.list().iter().any(|message| message.text.starts_with(text));
        assert!(!says("unknown key"), "{path:?}: {messages:?}");
        assert!(knows(&path), "{path:?}");
        let key = path.last().unwrap().clone();
        if says("ignored") { &mut ignored } else { &mut taken }.push(key);
    }
    // The types are the same for all kinds of interfaces, of which each takes its own keys.
    ignored.retain(|key| !taken.contains(key));
    assert_eq!(ignored, Vec::<String>::new());
}
