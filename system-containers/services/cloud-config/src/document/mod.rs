//! Documents: one tree type for YAML and TOML, with line and column at every value.
//!
//! | module | what |
//! |---|---|
//! | [`node`] | the tree |
//! | [`yaml`] | YAML text to tree, with budgets |
//! | [`scalar`] | YAML 1.1 rules for plain scalars |
//! | `tags` | what the YAML scanner must not meet |
//! | [`toml_tree`] | TOML text to tree |
//! | [`json`] | JSON that YAML readers take |
//! | [`xml`] | single elements of XML |
//! | [`fields`] | typed access to a table, with errors that name line and key |

pub mod fields;
pub mod json;
pub mod node;
pub mod scalar;
mod tags;
pub mod toml_tree;
pub mod xml;
pub mod yaml;

pub use fields::Fields;
pub use node::{Kind, Node, Scalar, Value};
