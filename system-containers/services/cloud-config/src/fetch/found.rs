//! What a cloud has for a machine, brought into the form of a NoCloud medium, the one form that the cache and the later
//! stages know.

use crate::document::json::for_yaml;
use crate::document::yaml;
use crate::report::Messages;
use crate::seed::medium::Medium;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Map, Value, json};

/// What every cloud has in some form.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Found {
    /// Identity of the instance.
    pub instance_id: Option<String>,
    /// Host name.
    pub hostname: Option<String>,
    /// SSH keys for the default user.
    pub public_keys: Vec<String>,
    /// `v1.region` of templates.
    pub region: Option<String>,
    /// `v1.availability_zone` of templates.
    pub zone: Option<String>,
    /// The cloud's own document, for `ds.meta_data` of templates.
    pub document: Value,
    /// User data.
    pub user_data: Option<Vec<u8>>,
    /// Vendor data.
    pub vendor_data: Option<Vec<u8>>,
    /// Network configuration, in one of the forms that are read.
    pub network_config: Option<Vec<u8>>,
}

/// Keys of clouds' documents that hold user data or secrets: they have no place in `ds.meta_data`.
const LEFT_OUT: [&str; 13] = [
    "user_data",
    "user-data",
    "userData",
    "userdata",
    "vendor_data",
    "vendor-data",
    "vendordata",
    "customData",
    "attributes",
    "metadata",
    "serviceAccounts",
    "auth_key",
    "random_seed",
];

impl Found {
    /// The medium; `base` is the URL of the service.
    pub fn into_medium(mut self, base: &str) -> Medium {
        let document = std::mem::take(&mut self.document);
        let text = for_yaml(&Value::Object(self.meta_data(document)));
        // A document can be deeper or larger than YAML's reader allows: it must not cost the rest.
        let is_read = yaml::parse(&text, &mut Messages::default()).is_ok();
        let meta_data = if is_read { text } else { for_yaml(&Value::Object(self.meta_data(Value::Null))) };
        Medium {
            device: base.to_owned(),
            meta_data: Some(meta_data.into_bytes()),
            user_data: self.user_data,
            vendor_data: self.vendor_data,
            network_config: self.network_config,
            ..Medium::default()
        }
    }

    /// The cloud's document with the keys of NoCloud's.
    fn meta_data(&self, document: Value) -> Map<String, Value> {
        let mut meta = match document {
            Value::Object(document) => {
                document.into_iter().filter(|(key, _)| !LEFT_OUT.contains(&key.as_str())).collect()
            }
            _ => Map::new(),
        };
        for (key, value) in [
            ("instance-id", &self.instance_id),
            ("local-hostname", &self.hostname),
            ("region", &self.region),
            ("availability-zone", &self.zone),
        ] {
            meta.extend(value.as_deref().map(|value| (key.to_owned(), Value::from(value))));
        }
        if !self.public_keys.is_empty() {
            meta.insert("public-keys".into(), json!(self.public_keys));
        }
        meta
    }
}

/// The text at a key, trimmed; a number is text too, as of ids, and what is empty is nothing.
pub fn text(document: &Value, key: &str) -> Option<String> {
    let text = match document.get(key)? {
        Value::String(text) => text.trim().to_owned(),
        Value::Number(number) => number.to_string(),
        _ => return None,
    };
    Some(text).filter(|text| !text.is_empty())
}

/// The bytes of the text at a key; nothing is trimmed.
pub fn blob(document: &Value, key: &str) -> Option<Vec<u8>> {
    document.get(key)?.as_str().filter(|text| !text.is_empty()).map(|text| text.as_bytes().to_vec())
}

/// The same for base64.
///
/// # Errors
/// When it is none.
pub fn base64(document: &Value, key: &str) -> anyhow::Result<Option<Vec<u8>>> {
    let Some(text) = document.get(key).and_then(Value::as_str) else { return Ok(None) };
    let text: String = text.split_ascii_whitespace().collect();
    let decoded = BASE64_STANDARD.decode(text).map_err(|_| anyhow::anyhow!("{key}: not base64"))?;
    Ok(Some(decoded).filter(|bytes| !bytes.is_empty()))
}

/// Keys in a list of texts, or one a line in a text.
pub fn keys(value: Option<&Value>) -> Vec<String> {
    let lines = |text: &str| -> Vec<String> {
        text.lines().map(str::trim).filter(|line| !line.is_empty()).map(str::to_owned).collect()
    };
    match value {
        Some(Value::String(text)) => lines(text),
        Some(Value::Array(items)) => items.iter().filter_map(Value::as_str).flat_map(lines).collect(),
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seed::meta;

    #[test]
    fn hostile_text_does_not_cost_the_identity() {
        let document =
            json!({"a": "\u{7f}\u{fffe}\u{85}\u{1F600}\n", "user_data": "secret", "nested": {"k": [1, null]}});
        let found = Found {
            instance_id: Some("i-\"1".into()),
            hostname: Some("web".into()),
            public_keys: vec!["ssh-ed25519 A ü".into()],
            document,
            ..Found::default()
        };
        let content = found.into_medium("http://x").meta_data.unwrap();
        let mut messages = Messages::new("meta-data");
        let meta = meta::parse(&content, &mut messages);
        assert_eq!(messages.list(), []);
        assert_eq!((meta.instance_id.as_deref(), meta.hostname.as_deref()), (Some("i-\"1"), Some("web")));
        assert_eq!(meta.public_keys, ["ssh-ed25519 A ü"]);
        assert!(!String::from_utf8(content).unwrap().contains("secret"));
    }

    #[test]
    fn a_document_too_deep_for_the_reader_is_left_out() {
        let deep = format!("{}1{}", "[".repeat(120), "]".repeat(120));
        let document = json!({ "deep": serde_json::from_str::<Value>(&deep).unwrap() });
        let found = Found { instance_id: Some("i-1".into()), document, ..Found::default() };
        let content = found.into_medium("http://x").meta_data.unwrap();
        assert_eq!(meta::parse(&content, &mut Messages::new("meta-data")).instance_id.as_deref(), Some("i-1"));
        assert_eq!(content, b"{\"instance-id\":\"i-1\"}");
    }

    #[test]
    fn values_of_documents() {
        let document = json!({"id": 42, "name": " a ", "empty": "", "b": "aGk=\n", "bad": "%", "keys": ["a\nb", 1]});
        assert_eq!(text(&document, "id").as_deref(), Some("42"));
        assert_eq!(text(&document, "name").as_deref(), Some("a"));
        assert_eq!((text(&document, "empty"), blob(&document, "empty")), (None, None));
        assert_eq!(base64(&document, "b").unwrap().as_deref(), Some(&b"hi"[..]));
        assert!(base64(&document, "bad").is_err());
        assert_eq!(keys(document.get("keys")), ["a", "b"]);
    }
}
