//! Events.

use serde::Serialize;
use std::collections::BTreeMap;

/// One line of `GET /events`.
#[derive(Debug, Serialize)]
pub struct Event {
    /// The action once more, as older clients read it.
    pub status: String,
    /// Container id, for older clients.
    pub id: String,
    /// Image, for older clients.
    pub from: String,
    /// `container`.
    #[serde(rename = "Type")]
    pub kind: &'static str,
    /// What happened.
    #[serde(rename = "Action")]
    pub action: String,
    /// To whom.
    #[serde(rename = "Actor")]
    pub actor: Actor,
    /// `local`.
    pub scope: &'static str,
    /// Seconds since 1970.
    pub time: i64,
    /// Nanoseconds since 1970.
    #[serde(rename = "timeNano")]
    pub time_nano: i64,
}

/// Whom it happened to.
#[derive(Debug, Serialize)]
pub struct Actor {
    /// Container id.
    #[serde(rename = "ID")]
    pub id: String,
    /// Name, image, exit code and the like.
    #[serde(rename = "Attributes")]
    pub attributes: BTreeMap<String, String>,
}
