//! JSON that a YAML reader takes too.

use serde_json::Value;

/// The text of a value: what is not printable ASCII is in texts only, and becomes YAML's escape.
pub fn for_yaml(value: &Value) -> String {
    let mut text = String::new();
    for character in value.to_string().chars() {
        match character {
            ' '..='~' => text.push(character),
            _ => text.push_str(&format!("\\U{:08X}", u32::from(character))),
        }
    }
    text
}
