//! `schema`: JSON Schema of a fragment or of user data, for editors.

use crate::machine::json_schema;
use serde_json::Value;

/// Of a fragment of the machine configuration.
pub fn machine_text() -> String {
    text(&json_schema::machine())
}

/// Of a cloud-config document.
pub fn user_data_text() -> String {
    text(&json_schema::user_data())
}

fn text(schema: &Value) -> String {
    // A value of JSON always has a text.
    serde_json::to_string_pretty(schema).unwrap_or_default() + "\n"
}
