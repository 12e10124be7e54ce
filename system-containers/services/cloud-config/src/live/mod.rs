//! `hull config apply|confirm|revert`: a changed machine configuration put in force while the machine runs, and taken
//! back when nobody confirms it. Decision: `docs/decisions/0009-live-configuration.md`.
//!
//! | module | what |
//! |---|---|
//! | [`in_force`] | the fragments that the running system was rendered from |
//! | [`record`] | the way back, on the state partition |
//! | [`boot`] | a boot takes back what was not confirmed |
//! | [`effect`] | changed files to what has to be done about them; pure |
//! | [`machine`] | does it, through the system daemon |
//! | [`job`] | apply, confirm, revert |
//! | [`server`] | the service `live-config`: one job after another, and the timer |
//! | [`client`] | what `hull config` in the console says to it |
//! | `durable` | writes that are on the disk when they return |

pub mod boot;
pub mod client;
mod durable;
pub mod effect;
pub mod in_force;
pub mod job;
pub mod machine;
pub mod record;
pub mod server;
#[cfg(test)]
mod tests;

pub use in_force::InForce;

use serde::{Deserialize, Serialize};

/// One request, a line of JSON on the socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "verb", rename_all = "kebab-case")]
pub enum Request {
    /// Puts the fragments on the disk in force.
    Apply {
        /// Seconds until it is taken back.
        confirm_within: Option<u32>,
    },
    /// Keeps what was applied.
    Confirm,
    /// Takes back what was applied last.
    Revert,
}

/// The answer, lines of JSON; the last one is [`Answer::End`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Answer {
    /// Something for the person who asked.
    Say(String),
    /// Exit status.
    End(u8),
}

/// Name of the socket in the report directory, which console and service both mount.
const SOCKET: &str = "live.sock";
