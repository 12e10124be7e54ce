//! `meta-data`: YAML (or JSON) with `instance-id`, `local-hostname` and `public-keys`.

use crate::document::{Node, Value, yaml};
use crate::report::{Messages, Place};

/// What is used of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Meta {
    /// `instance-id`.
    pub instance_id: Option<String>,
    /// `local-hostname`, else `hostname`.
    pub hostname: Option<String>,
    /// `public-keys` as a list, a mapping or one text: keys for the default user.
    pub public_keys: Vec<String>,
}

impl Meta {
    /// The file that [`parse`] reads this from. Whatever is not printable ASCII is escaped: YAML refuses or folds some of
    /// it.
    pub fn to_yaml(&self) -> String {
        let mut text = String::new();
        for (key, value) in [("instance-id", &self.instance_id), ("local-hostname", &self.hostname)] {
            text.extend(value.iter().map(|value| format!("{key}: {}\n", quoted(value))));
        }
        if !self.public_keys.is_empty() {
            text.push_str("public-keys:\n");
        }
        text.extend(self.public_keys.iter().map(|key| format!("- {}\n", quoted(key))));
        text
    }
}

fn quoted(text: &str) -> String {
    let mut quoted = String::from('"');
    for character in text.chars() {
        match character {
            '"' | '\\' => quoted.extend(['\\', character]),
            ' '..='~' => quoted.push(character),
            _ => quoted.push_str(&format!("\\U{:08X}", u32::from(character))),
        }
    }
    quoted.push('"');
    quoted
}

/// Reads the file's content.
pub fn parse(content: &[u8], messages: &mut Messages) -> Meta {
    let Ok(text) = std::str::from_utf8(content) else {
        messages.error(Place::default(), "", "not used: not UTF-8");
        return Meta::default();
    };
    let root = match yaml::parse(text, messages) {
        Ok(root) => root,
        Err(error) => {
            messages.error(error.place, "", format!("not used: {}", error.text));
            return Meta::default();
        }
    };
    if root.is_null() {
        return Meta::default();
    }
    if root.map().is_none() {
        messages.error(root.place, "", format!("not used: expected a mapping, found {}", root.describe()));
        return Meta::default();
    }
    let get = |key: &str| root.get(key).and_then(Node::text).map(str::trim).filter(|text| !text.is_empty());
    Meta {
        instance_id: get("instance-id").or_else(|| get("instance_id")).map(str::to_owned),
        hostname: get("local-hostname").or_else(|| get("hostname")).map(str::to_owned),
        public_keys: root.get("public-keys").map(keys).unwrap_or_default(),
    }
}

fn keys(node: &Node) -> Vec<String> {
    match &node.value {
        Value::List(items) => items.iter().flat_map(keys).collect(),
        Value::Map(entries) => entries.iter().flat_map(|entry| keys(&entry.node)).collect(),
        Value::Scalar(scalar) => {
            scalar.text.lines().map(str::trim).filter(|line| !line.is_empty()).map(str::to_owned).collect()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn yaml_and_json_in_the_forms_seen() {
        for text in [
            "instance-id: i-1\nlocal-hostname: web\npublic-keys: [k1, k2]\n",
            "{\"instance-id\": \"i-1\", \"hostname\": \"web\", \"public-keys\": {\"0\": \"k1\", \"1\": [\"k2\"]}}",
            "instance-id: i-1\nlocal-hostname: web\npublic-keys: |\n  k1\n  k2\n",
        ] {
            let meta = parse(text.as_bytes(), &mut Messages::new("meta-data"));
            assert_eq!(meta.instance_id.as_deref(), Some("i-1"), "{text}");
            assert_eq!(meta.hostname.as_deref(), Some("web"), "{text}");
            assert_eq!(meta.public_keys, ["k1", "k2"], "{text}");
        }
    }

    #[test]
    fn broken_meta_data_is_reported_and_not_used() {
        for content in [&b"- a\n"[..], b"a: b: c", b"\xff\xfe"] {
            let mut messages = Messages::new("meta-data");
            assert_eq!(parse(content, &mut messages), Meta::default());
            assert_eq!(messages.errors(), 1);
        }
        assert_eq!(parse(b"", &mut Messages::new("meta-data")), Meta::default());
    }

    proptest::proptest! {
        #[test]
        fn what_is_written_is_read_again(
            instance_id in proptest::option::of(r"[^\s][^\r\n]{0,30}"),
            public_keys in proptest::collection::vec(r"[^\s]\PC{0,30}", 0..3),
        ) {
            let trimmed = |text: String| text.trim().to_owned();
            let public_keys: Vec<String> = public_keys.into_iter().map(trimmed).collect();
            let meta = Meta { instance_id: instance_id.map(trimmed), hostname: Some("web".into()), public_keys };
            let mut messages = Messages::new("meta-data");
            let again = parse(meta.to_yaml().as_bytes(), &mut messages);
            proptest::prop_assert_eq!(again, meta);
            proptest::prop_assert_eq!(messages.list(), []);
        }
    }
}
