//! `/hull/install`: a live system written to a disk.

use super::body::{self, Answer};
use super::error::ApiError;
use super::progress;
use crate::install;
use crate::lifecycle::System;
use hyper::StatusCode;
use serde::Deserialize;
use serde_json::json;
use std::rc::Rc;

/// Body of `POST /hull/install`.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct InstallRequest {
    /// Node of a whole disk, `LABEL=` or `UUID=`.
    pub disk: String,
    /// For its first boot.
    pub user_data: Option<String>,
}

/// `GET /hull/install`: disks.
pub async fn show(system: &System) -> Result<Answer, ApiError> {
    Ok(body::json(StatusCode::OK, &install::disks(system).await?))
}

/// `POST /hull/install`.
pub fn act(system: &Rc<System>, request: InstallRequest) -> Answer {
    let system = Rc::clone(system);
    progress::answer(move |lines| async move {
        let tell = &mut |text: String| lines.status(text);
        install::run(&system, &request.disk, request.user_data, tell).await?;
        Ok(json!({ "outcome": format!("installed on {}", request.disk) }))
    })
}
