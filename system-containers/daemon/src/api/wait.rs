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
    let (next, gone) = match query.get("condition") {
        None | Some("not-running") => (false, false),
        Some("next-exit") => (true, false),
        Some("removed") if system.with(&name, |unit| unit.added.is_some()) == Some(true) => (true, true),
        Some("removed") => return Err(ApiError::unsupported("waiting for the removal of a service of the OS")),
        Some(other) => return Err(ApiError::bad(format!("invalid condition: \"{other}\""))),
    };
    let before = system.with(&name, |unit| unit.record.exits).unwrap_or(0);
    let system = Rc::clone(system);
    let (pieces, body) = mpsc::channel(1);
    tokio::task::spawn_local(async move {
        let mut status_code = 0;
        let ended = async {
            system
                .until(&name, |unit| {
                    status_code = exit_code(unit.record.exit_status);
                    unit.record.exits > before || (!next && !runs(unit))
                })
                .await;
            if gone {
                system.until(&name, |_| false).await;
            }
        };
        tokio::select! {
            () = ended => {}
            () = pieces.closed() => return,
        }
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
