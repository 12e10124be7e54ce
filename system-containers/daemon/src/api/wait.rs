//! `POST /containers/{id}/wait`.

use super::body::{self, Answer, Body};
use super::containers;
use super::error::ApiError;
use super::model::ContainerWaitResponse;
use super::query::Query;
use crate::lifecycle::machine::exit_code;
use crate::lifecycle::{Phase, System, Unit};
use hyper::StatusCode;
use std::rc::Rc;
use tokio::sync::mpsc;

/// Answers at once and says the exit code when the service has ended, as clients that start something meanwhile expect.
pub fn wait(system: &Rc<System>, id: &str, query: &Query) -> Result<Answer, ApiError> {
    let name = containers::find(system, id)?;
    let next = match query.get("condition") {
        None | Some("not-running") => false,
        Some("next-exit") => true,
        Some("removed") => return Err(ApiError::unsupported("waiting for the removal of a system service")),
        Some(other) => return Err(ApiError::bad(format!("invalid condition: \"{other}\""))),
    };
    let before = system.with(&name, |unit| unit.record.exits).unwrap_or(0);
    let system = Rc::clone(system);
    let (pieces, body) = mpsc::channel(1);
    tokio::task::spawn_local(async move {
        let ended = system.until(&name, |unit| unit.record.exits > before || (!next && !runs(unit)));
        tokio::select! {
            _ = ended => {}
            () = pieces.closed() => return,
        }
        let status_code = system.with(&name, |unit| exit_code(unit.record.exit_status)).unwrap_or(0);
        let ended = ContainerWaitResponse { status_code: status_code.into(), error: None };
        let bytes = serde_json::to_vec(&ended).unwrap_or_default();
        // The client may have gone.
        pieces.send(bytes.into()).await.ok();
    });
    Ok(body::with(StatusCode::OK, "application/json", Body::Pieces(body)))
}

fn runs(unit: &Unit) -> bool {
    matches!(unit.record.machine.phase, Phase::Starting | Phase::Started | Phase::Ready | Phase::Stopping)
}
