//! `/hull/*`: what Docker's API has no words for.

use super::body::{self, Answer};
use super::error::ApiError;
use crate::control::{Power, ToInit};
use crate::lifecycle::{System, supervise};
use hyper::StatusCode;
use serde::Deserialize;

/// Body of `POST /hull/power`.
#[derive(Debug, Default, Deserialize)]
pub struct PowerRequest {
    /// How the machine is to end.
    pub action: Option<Power>,
}

/// Asks PID 1 to end the machine, which then asks the daemon to stop all services: one way for signals and API.
pub fn power(system: &System, request: PowerRequest) -> Result<Answer, ApiError> {
    let action = request.action.ok_or_else(|| ApiError::bad("action: poweroff, reboot or halt is needed"))?;
    system
        .control
        .send(&ToInit::Shutdown(action), None)
        .map_err(|error| ApiError::internal(format!("PID 1 does not answer: {error}")))?;
    Ok(body::empty(StatusCode::NO_CONTENT))
}

/// Reads again what cloud-config rendered for the daemon itself: the host name. Settings of updates are read at each use.
pub async fn reload(system: &System) -> Answer {
    if let Some(renaming) = supervise::follow_hostname(system) {
        renaming.await;
    }
    body::empty(StatusCode::NO_CONTENT)
}
