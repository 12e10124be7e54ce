//! Machine configuration: what the owner decides about the machine, from TOML fragments and from user data.
//!
//! | module | what |
//! |---|---|
//! | [`schema`] | the keys, the same in TOML and below `hull:` in user data |
//! | [`network`] | `network`: network configuration version 2 |
//! | [`update`] | `update`: updates of the OS |
//! | [`fragments`] | reads, checks and merges the fragments, keeps the last good copies |

pub mod fragments;
pub mod network;
pub mod schema;
pub mod update;

pub use network::Network;
pub use schema::MachineConfig;
