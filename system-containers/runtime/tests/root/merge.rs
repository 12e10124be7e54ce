//! Configurations as changes of a usual one. The tests of the command line use this file as well.

use serde_json::Value;

/// Puts `changes` over `base`: objects key by key, everything else as a whole.
pub(crate) fn merge(base: &mut Value, changes: Value) {
    match (base, changes) {
        (Value::Object(base), Value::Object(changes)) => {
            for (key, value) in changes {
                merge(base.entry(key).or_insert(Value::Null), value);
            }
        }
        (base, changes) => *base = changes,
    }
}
