//! `/hull/services`: services the owner adds.

use super::body::{self, Answer};
use super::containers;
use super::error::ApiError;
use super::progress;
use super::query::Query;
use super::upload::Taken;
use crate::added::change::{self, Addition, Outcome};
use crate::added::{images, store};
use crate::blocking::blocking;
use crate::lifecycle::System;
use hull_image_store::job::{Credentials, Source};
use hull_image_store::{Digest, Origin};
use hyper::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::rc::Rc;

/// One added service.
#[derive(Debug, Serialize)]
pub struct Listed {
    /// Its name.
    pub name: String,
    /// One line about it; empty for a broken definition.
    pub description: String,
    /// Whether it may run.
    pub state: State,
    /// What is wrong with it.
    pub problem: Option<String>,
    /// Digest of its definition, which is what `enable` allows.
    pub definition: Option<Digest>,
    /// Its image.
    pub origin: Option<Origin>,
    /// A new version that waits to be allowed.
    pub staged: Option<Staged>,
}

/// Whether it may run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// It does.
    Enabled,
    /// It was not allowed to, or no more.
    Disabled,
    /// Something about it is wrong.
    Broken,
}

/// A new version.
#[derive(Debug, Serialize)]
pub struct Staged {
    /// Digest of its definition.
    pub definition: Digest,
    /// Its image.
    pub origin: Option<Origin>,
}

/// Body of `POST /hull/services`.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AddRequest {
    /// Name of the service.
    pub name: String,
    /// Text of its `service.toml`.
    pub definition: Option<String>,
    /// What `POST /hull/uploads` answered.
    pub archive: Option<String>,
    /// A reference with a digest.
    pub reference: Option<String>,
    /// A kept image by name or id.
    pub image: Option<String>,
    /// Servers asked before the registry.
    pub mirrors: Vec<String>,
    /// For the registry.
    pub credentials: Option<Credentials>,
    /// In place of the service of that name.
    pub upgrade: bool,
}

/// Body of `POST /hull/services/{name}/enable`.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct EnableRequest {
    /// Digest of the definition that is allowed.
    pub definition: Option<Digest>,
}

/// `GET /hull/services`.
pub async fn list(system: &Rc<System>) -> Result<Vec<Listed>, ApiError> {
    let store = system.store.clone();
    let read = blocking("services", move || {
        let of = |name: String| {
            let folder = store.installed(&name);
            let definition = store::definition(&name, &folder);
            let staged = store::definition(&name, &store.staged(&name)).ok();
            let staged = staged
                .map(|staged| Staged { definition: staged.digest, origin: store::origin(&store.staged(&name)).ok() });
            let (definition, service) = match definition {
                Ok(definition) => (Some(definition.digest), definition.service),
                Err(error) => (None, Err(error.to_string())),
            };
            let state = if service.is_err() {
                State::Broken
            } else if store.allowed(&name).is_some() {
                State::Enabled
            } else {
                State::Disabled
            };
            let (description, problem) = match service {
                Ok(service) => (service.description, None),
                Err(problem) => (String::new(), Some(problem)),
            };
            Listed { name, description, state, problem, definition, origin: store::origin(&folder).ok(), staged }
        };
        Ok::<_, std::io::Error>(store.names()?.into_iter().map(of).collect::<Vec<_>>())
    });
    let mut list = read.await.and_then(|list| list).map_err(|error| ApiError::internal(error.to_string()))?;
    let units = system.units.borrow();
    for listed in list.iter_mut().filter(|listed| listed.state == State::Enabled) {
        let problem = match units.get(&listed.name) {
            Some(unit) if unit.added.is_none() => Some("this version of the OS has a service of that name".into()),
            Some(unit) if unit.record.machine.failed() => unit.record.machine.last_error.clone(),
            Some(_) => None,
            None => Some("it is not running".into()),
        };
        if problem.is_some() {
            listed.state = State::Broken;
            listed.problem = problem;
        }
    }
    Ok(list)
}

/// `POST /hull/services`.
pub fn add(system: &Rc<System>, request: AddRequest) -> Result<Answer, ApiError> {
    let taken = request.archive.clone().map(|archive| Taken::new(&system.store, archive)).transpose()?;
    let sources = [&request.archive, &request.reference, &request.image];
    if sources.iter().filter(|source| source.is_some()).count() > 1 {
        return Err(ApiError::bad("archive, reference, image: one of them"));
    }
    let kept = request.image.map(|name| images::find(&system.store, &name)).transpose()?;
    let kept = kept.map(|image| format!("images/{}/image.tar", image.stored.id.hex()));
    let source = request.archive.or(kept).map(Source::Archive).or(request.reference.map(Source::Reference));
    let addition = Addition {
        name: request.name,
        definition: request.definition,
        source,
        mirrors: request.mirrors,
        credentials: request.credentials,
        upgrade: request.upgrade,
    };
    change::check(system, &addition)?;
    let system = Rc::clone(system);
    Ok(progress::answer(|lines| async move {
        let done = change::add(&system, addition, &mut |text| lines.status(text)).await;
        drop(taken);
        let (outcome, origin) = done?;
        let outcome = match outcome {
            Outcome::Added => "added",
            Outcome::Upgraded => "upgraded",
            Outcome::Staged => "staged",
            Outcome::Unchanged => "unchanged",
        };
        Ok(json!({ "outcome": outcome, "origin": origin }))
    }))
}

/// `POST /hull/services/{name}/enable`.
pub async fn enable(system: &Rc<System>, name: &str, request: EnableRequest) -> Result<Answer, ApiError> {
    let allowed = request
        .definition
        .ok_or_else(|| ApiError::bad("definition: the digest of the definition that is allowed is needed"))?;
    change::enable(system, name, allowed).await?;
    Ok(body::empty(StatusCode::NO_CONTENT))
}

/// `POST /hull/services/{name}/disable`.
pub async fn disable(system: &Rc<System>, name: &str) -> Result<Answer, ApiError> {
    change::disable(system, name).await?;
    Ok(body::empty(StatusCode::NO_CONTENT))
}

/// `DELETE /hull/services/{name}`.
pub async fn remove(system: &Rc<System>, name: &str) -> Result<Answer, ApiError> {
    change::remove(system, name).await?;
    Ok(body::empty(StatusCode::NO_CONTENT))
}

/// `DELETE /containers/{id}`: an added service that is stopped, or any with `force`.
pub async fn remove_container(system: &Rc<System>, id: &str, query: &Query) -> Result<Answer, ApiError> {
    let name = containers::find(system, id)?;
    let found = system.with(&name, |unit| (unit.added.is_some(), unit.record.machine.active()));
    match found {
        Some((true, active)) if query.flag("force") || !active => remove(system, &name).await,
        Some((true, _)) => Err(ApiError::conflict(format!("{name} is running: stop it before, or force removal"))),
        _ => Err(ApiError::forbidden(format!("{name} is a part of the OS and cannot be removed"))),
    }
}
