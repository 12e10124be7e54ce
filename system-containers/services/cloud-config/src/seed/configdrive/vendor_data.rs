//! `vendor_data.json` and `vendor_data2.json`: JSON made by the cloud for whatever runs on its machines. A text is vendor
//! data, and so is the text at the key `cloud-init` of a mapping; other keys are for other programs.

use super::{describe, json};
use crate::report::{Messages, Place};
use serde_json::Value;

const KEY: &str = "cloud-init";

/// The vendor data in a file; an empty file has none.
pub(super) fn read(content: &[u8], messages: &mut Messages) -> Option<Vec<u8>> {
    if content.trim_ascii().is_empty() {
        return None;
    }
    let (key, value) = match json(content, messages)? {
        Value::Object(mut root) => (KEY, root.remove(KEY)?),
        other => ("", other),
    };
    match value {
        Value::Null => None,
        Value::String(text) => Some(text.into_bytes()),
        other => {
            messages.error(Place::default(), key, format!("not used: expected text, found {}", describe(&other)));
            None
        }
    }
}
