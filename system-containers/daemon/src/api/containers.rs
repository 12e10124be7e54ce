//! `/containers/*`: services as Docker's clients see them.

use super::body::{self, Answer};
use super::describe;
use super::error::ApiError;
use super::model::{ContainerInspectResponse, ContainerSummary, ContainerSummaryStateEnum as State};
use super::query::{Filters, Query};
use super::route::Verb;
use crate::definition::load::nix_signal;
use crate::lifecycle::machine::Intent;
use crate::lifecycle::pause::{self, PauseError};
use crate::lifecycle::{Event, Phase, System, end};
use hyper::StatusCode;
use rustix::process::Signal;
use std::rc::Rc;

/// Finds a service by name, full id or unambiguous beginning of an id.
pub fn find(system: &System, id: &str) -> Result<String, ApiError> {
    let units = system.units.borrow();
    let name = id.trim_start_matches('/');
    if units.contains_key(name) {
        return Ok(name.into());
    }
    let mut found = units.iter().filter(|(_, unit)| !id.is_empty() && unit.record.id.starts_with(id));
    match (found.next(), found.next()) {
        (Some((name, _)), None) => Ok(name.clone()),
        (Some(_), Some(_)) => Err(ApiError::bad(format!("multiple services begin with {id}"))),
        (None, _) => Err(ApiError::missing(format!("No such container: {id}"))),
    }
}

/// `GET /containers/json`.
pub fn list(system: &System, query: &Query) -> Result<Vec<ContainerSummary>, ApiError> {
    let filters = Filters::parse(query, &["name", "id", "status", "health"])?;
    let all = query.flag("all") || query.flag("a") || filters.has("status");
    let units = system.units.borrow();
    let wanted = units.iter().filter(|(name, unit)| {
        let state = describe::state(unit);
        (all || matches!(state, State::RUNNING | State::PAUSED | State::RESTARTING))
            && filters.pass("name", |value| format!("/{name}").contains(value))
            && filters.pass("id", |value| unit.record.id.starts_with(value))
            && filters.pass("status", |value| state.as_ref() == value)
            && filters.pass("health", |value| unit.health.word() == value)
    });
    let limit = query.number::<usize>("limit")?.filter(|limit| *limit > 0).unwrap_or(usize::MAX);
    Ok(wanted.take(limit).map(|(name, unit)| describe::summary(system, name, unit)).collect())
}

/// `GET /containers/{id}/json`.
pub fn inspect(system: &System, id: &str) -> Result<ContainerInspectResponse, ApiError> {
    let name = find(system, id)?;
    let units = system.units.borrow();
    let unit = units.get(&name).ok_or_else(|| ApiError::missing(format!("No such container: {id}")))?;
    Ok(describe::inspect(system, &name, unit))
}

/// `POST /containers/{id}/start|stop|restart|kill|pause|unpause`; answers when it is done.
pub async fn change(system: &Rc<System>, id: &str, verb: Verb, query: &Query) -> Result<Answer, ApiError> {
    let name = find(system, id)?;
    let before =
        system.with(&name, |unit| (unit.definition.is_some(), unit.schedule.is_some(), unit.record.machine.clone()));
    let (startable, timed, machine) = before.ok_or_else(|| ApiError::missing(format!("No such container: {id}")))?;
    let rising = matches!(verb, Verb::Start | Verb::Restart);
    if rising && system.ending.get().is_some() {
        return Err(ApiError::conflict("the machine is going down"));
    }
    if !startable && verb != Verb::Kill {
        return Err(ApiError::conflict(machine.last_error.unwrap_or_else(|| "its definition is broken".into())));
    }
    let running = matches!(machine.phase, Phase::Started | Phase::Ready);
    let epoch = machine.epoch;
    match verb {
        Verb::Kill => return kill(system, &name, query),
        Verb::Pause => return frozen(pause::pause(system, &name)),
        Verb::Unpause => return frozen(pause::unpause(system, &name)),
        Verb::Start if running => return Ok(body::empty(StatusCode::NOT_MODIFIED)),
        // A service between two runs has a timer to stop.
        Verb::Stop if matches!(machine.phase, Phase::Ended | Phase::Failed) && timed => {
            system.post(&name, Event::Stop);
        }
        Verb::Stop if matches!(machine.phase, Phase::Ended | Phase::Failed | Phase::Stopped) => {
            return Ok(body::empty(StatusCode::NOT_MODIFIED));
        }
        Verb::Start => system.post(&name, Event::Start),
        Verb::Stop => system.post(&name, Event::Stop),
        Verb::Restart => system.post(&name, Event::Restart),
    }
    let shorter = query.number::<u64>("t")?.filter(|_| verb != Verb::Start);
    let waiting = system.until(&name, |unit| {
        let machine = &unit.record.machine;
        match verb {
            Verb::Stop => !machine.active(),
            _ => {
                let up = matches!(machine.phase, Phase::Started | Phase::Ready | Phase::Ended | Phase::Failed);
                machine.epoch > epoch && (up || (machine.phase == Phase::BackOff && machine.intent == Intent::Run))
            }
        }
    });
    tokio::pin!(waiting);
    if let Some(seconds) = shorter {
        // A client may shorten the definition's own time, never lengthen it.
        tokio::select! {
            _ = &mut waiting => return outcome(system, &name, verb),
            () = tokio::time::sleep(std::time::Duration::from_secs(seconds)) => {
                system.post(&name, Event::StopTimeout);
            }
        }
    }
    waiting.await;
    outcome(system, &name, verb)
}

fn outcome(system: &System, name: &str, verb: Verb) -> Result<Answer, ApiError> {
    let failure = system.with(name, |unit| {
        let machine = &unit.record.machine;
        let bad = matches!(machine.phase, Phase::BackOff | Phase::Failed);
        machine.last_error.clone().filter(|_| bad && verb != Verb::Stop)
    });
    match failure.flatten() {
        Some(reason) => Err(ApiError::internal(format!("{name}: {reason}"))),
        None => {
            if verb == Verb::Restart {
                system.tell(name, "restart", &[]);
            }
            Ok(body::empty(StatusCode::NO_CONTENT))
        }
    }
}

fn frozen(result: Result<(), PauseError>) -> Result<Answer, ApiError> {
    match result {
        Ok(()) => Ok(body::empty(StatusCode::NO_CONTENT)),
        Err(error @ PauseError::Cgroup(_)) => Err(ApiError::internal(error.to_string())),
        Err(error) => Err(ApiError::conflict(error.to_string())),
    }
}

/// The signal only: what follows the end is the restart policy's. To keep a service down it is stopped.
fn kill(system: &System, name: &str, query: &Query) -> Result<Answer, ApiError> {
    let text = query.get("signal").unwrap_or("SIGKILL");
    let signal = nix_signal(text).and_then(|signal| Signal::from_named_raw(signal as i32));
    let signal = signal.ok_or_else(|| ApiError::bad(format!("\"{text}\" is no signal")))?;
    end::signal(system, name, signal).map_err(|_| ApiError::conflict(format!("Container {name} is not running")))?;
    system.tell(name, "kill", &[("signal", signal.as_raw().to_string())]);
    Ok(body::empty(StatusCode::NO_CONTENT))
}
