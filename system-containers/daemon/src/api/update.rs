//! `/hull/update`: updates of the OS.

use super::body::{self, Answer};
use super::error::ApiError;
use super::progress;
use crate::lifecycle::System;
use crate::update::{status, verbs};
use hull_update::record::Hold;
use hyper::StatusCode;
use serde::Deserialize;
use serde_json::json;
use std::rc::Rc;

/// What is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verb {
    /// Look.
    Check,
    /// Look and write.
    Fetch,
    /// Write and switch.
    Apply,
    /// Switch back.
    Rollback,
}

/// Body of `POST /hull/update/{check|fetch|apply|rollback}`.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct UpdateRequest {
    /// Past roll-out, age, and what was found bad.
    pub force: bool,
    /// Somebody else reboots.
    pub no_reboot: bool,
}

/// Body of `POST /hull/update/hold`.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct HoldRequest {
    /// Or go on.
    pub hold: bool,
    /// For whoever finds it.
    pub reason: String,
}

/// `POST /hull/update/…`.
pub fn act(system: &Rc<System>, verb: Verb, request: &UpdateRequest) -> Answer {
    let (system, force, no_reboot) = (Rc::clone(system), request.force, request.no_reboot);
    progress::answer(move |lines| async move {
        let tell = &mut |text: String| lines.status(text);
        let done = match verb {
            Verb::Check => verbs::check(&system, force, tell).await,
            Verb::Fetch => verbs::fetch(&system, force, tell).await,
            Verb::Apply => verbs::apply(&system, force, no_reboot, tell).await,
            Verb::Rollback => verbs::rollback(&system, no_reboot, tell).await,
        };
        done.map(|done| json!({ "outcome": verbs::say(&done) })).map_err(ApiError::conflict)
    })
}

/// `GET /hull/update`.
pub fn show(system: &System) -> Answer {
    body::json(StatusCode::OK, &status::gather(system))
}

/// `POST /hull/update/hold`.
pub async fn hold(system: &System, request: HoldRequest) -> Result<Answer, ApiError> {
    let hold = Hold { held: request.hold, reason: request.reason, ..Hold::default() };
    verbs::hold(system, hold).await.map_err(ApiError::internal)?;
    Ok(body::empty(StatusCode::NO_CONTENT))
}
