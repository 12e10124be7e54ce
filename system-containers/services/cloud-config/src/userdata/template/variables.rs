//! Variables of templates, named as in cloud-init's instance data.
//!
//! ```text
//! v1.instance_id  v1.local_hostname  v1.cloud_name  v1.platform  v1.subplatform  v1.region  v1.availability_zone
//! v1.distro  v1.variant  v1.machine  v1.public_ssh_keys        all of v1 without `v1.`, too
//! ds.meta_data.<key>     meta-data as it was given, with the instance-id and local-hostname that count
//! ```
//! Keys with `-`, `.` and the like also go by a name with `_` in their place.

use crate::document::{Kind, Node, Value as Tag};
use crate::seed::medium::Form;
use crate::seed::platform::Origin;
use minijinja::Value;
use minijinja::value::{Enumerator, Object, ObjectRepr};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

/// What jinja takes for operators.
const OPERATORS: &str = "+-/*%~[](){}=!<>.:|,;";

/// What is known of the instance before its user data is read.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Facts {
    /// Identity of the instance.
    pub instance_id: String,
    /// Name given by the datasource.
    pub hostname: Option<String>,
    /// Kind of the medium.
    pub form: Form,
    /// Where it was fetched from.
    pub origin: Option<Origin>,
    /// Device of the medium, or URL of the server; empty without one.
    pub device: String,
    /// SSH keys given by the datasource.
    pub public_keys: Vec<String>,
    /// The mapping of `meta-data`.
    pub meta_data: Option<Node>,
}

/// Name of the variable that was asked for last and not there: the one about to be printed.
#[derive(Debug, Clone, Default)]
pub struct Missing(Arc<Mutex<String>>);

impl Missing {
    /// The name.
    pub fn last(&self) -> String {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn set(&self, name: &str) {
        name.clone_into(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

/// A mapping that remembers what it did not have.
#[derive(Debug)]
pub struct Tree {
    entries: BTreeMap<String, Value>,
    missing: Missing,
}

impl Object for Tree {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Map
    }

    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        let key = key.as_str()?;
        let value = self.entries.get(key);
        if value.is_none() {
            self.missing.set(key);
        }
        value.cloned()
    }

    fn enumerate(self: &Arc<Self>) -> Enumerator {
        let keys: Vec<Value> = self.entries.keys().map(|key| Value::from(key.as_str())).collect();
        Enumerator::Iter(Box::new(keys.into_iter()))
    }
}

impl Tree {
    /// All variables.
    pub fn new(facts: &Facts, missing: &Missing) -> Self {
        let v1 = standard(facts);
        let mut entries = v1.clone();
        let ds = BTreeMap::from([("meta_data".to_owned(), Self::object(meta_data(facts, missing), missing))]);
        entries.insert("ds".into(), Self::object(ds, missing));
        entries.insert("v1".into(), Self::object(v1, missing));
        Self { entries, missing: missing.clone() }
    }

    fn object(mut entries: BTreeMap<String, Value>, missing: &Missing) -> Value {
        let aliases: Vec<(String, Value)> =
            entries.iter().map(|(key, value)| (key.replace(|c| OPERATORS.contains(c), "_"), value.clone())).collect();
        for (alias, value) in aliases {
            entries.entry(alias).or_insert(value);
        }
        Value::from_object(Self { entries, missing: missing.clone() })
    }
}

fn standard(facts: &Facts) -> BTreeMap<String, Value> {
    let given = |keys: [&str; 2]| {
        let entries = facts.meta_data.as_ref().and_then(Node::map).unwrap_or_default();
        let text = keys.iter().find_map(|key| entries.iter().find(|entry| entry.key == *key)?.node.text());
        text.map_or_else(|| Value::from(()), Value::from)
    };
    let keys: Vec<Value> = facts.public_keys.iter().map(|key| Value::from(key.as_str())).collect();
    let subplatform = match (facts.device.as_str(), &facts.origin) {
        ("", _) => "kernel command line".to_owned(),
        (url, Some(Origin::NoCloud(_))) => format!("seed-url ({url})"),
        (url, Some(_)) => format!("metadata ({url})"),
        (device, None) => format!("config-disk ({device})"),
    };
    let (cloud, platform) = match &facts.origin {
        Some(origin) => (origin.cloud(), origin.name()),
        None => (facts.form.name(), facts.form.name()),
    };
    let short = facts.hostname.as_deref().and_then(|name| name.split('.').next());
    let values = [
        ("cloud_name", Value::from(cloud)),
        ("cloud_id", Value::from(cloud)),
        ("platform", Value::from(platform)),
        ("subplatform", Value::from(subplatform)),
        ("region", given(["region", "region-id"])),
        ("availability_zone", given(["availability-zone", "availability_zone"])),
        ("distro", Value::from("hull")),
        ("variant", Value::from("hull")),
        ("machine", Value::from(std::env::consts::ARCH)),
        ("instance_id", Value::from(facts.instance_id.as_str())),
        ("public_ssh_keys", Value::from(keys)),
    ];
    let values = values.into_iter().chain(short.map(|name| ("local_hostname", Value::from(name))));
    let both = |(key, value): (&str, Value)| [(key.replace('_', "-"), value.clone()), (key.to_owned(), value)];
    values.flat_map(both).collect()
}

fn meta_data(facts: &Facts, missing: &Missing) -> BTreeMap<String, Value> {
    let given = facts.meta_data.as_ref().and_then(Node::map).unwrap_or_default();
    let given = given.iter().map(|entry| (entry.key.clone(), value(&entry.node, missing)));
    let hostname = facts.hostname.as_deref().map(|name| ("local-hostname".to_owned(), Value::from(name)));
    given.chain([("instance-id".to_owned(), Value::from(facts.instance_id.as_str()))]).chain(hostname).collect()
}

fn value(node: &Node, missing: &Missing) -> Value {
    match &node.value {
        Tag::Map(entries) => {
            let entries = entries.iter().map(|entry| (entry.key.clone(), value(&entry.node, missing)));
            Tree::object(entries.collect(), missing)
        }
        Tag::List(items) => Value::from(items.iter().map(|item| value(item, missing)).collect::<Vec<_>>()),
        Tag::Scalar(scalar) => match &scalar.kind {
            Kind::Null => Value::from(()),
            Kind::Bool(truth) => Value::from(*truth),
            Kind::Int(number) => Value::from(*number),
            Kind::Float => scalar.text.parse::<f64>().map_or_else(|_| Value::from(scalar.text.as_str()), Value::from),
            Kind::Text => Value::from(scalar.text.as_str()),
            Kind::Bytes(bytes) => Value::from(String::from_utf8_lossy(bytes).into_owned()),
        },
    }
}
