//! Machine configuration: what the owner decides about the machine, from TOML fragments and from user data.
//!
//! | module | what |
//! |---|---|
//! | [`schema`] | the keys, the same in TOML and below `hull:` in user data |
//! | [`json_schema`] | the keys as JSON Schema, out of the types themselves |
//! | [`network`] | `network`: network configuration version 2 |
//! | [`trust`] | `trust`: certificates of authorities |
//! | [`dns`] | `dns`: name servers of the machine |
//! | [`update`] | `update`: updates of the OS |
//! | [`difference`] | what differs between two of them |
//! | [`fragments`] | reads, checks and merges the fragments, keeps the last good copies |

pub mod difference;
pub mod dns;
pub mod fragments;
pub mod json_schema;
pub mod network;
pub mod schema;
pub mod trust;
pub mod update;

pub use network::Network;
pub use schema::MachineConfig;
