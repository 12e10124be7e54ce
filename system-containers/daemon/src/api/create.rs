//! `POST /containers/create`, `POST /containers/{id}/rename`: containers by Docker's clients, as services of the owner's.

use super::body::{self, Answer};
use super::containers;
use super::error::ApiError;
use super::model::ContainerCreateResponse;
use super::query::Query;
use crate::added::change::{self, Addition};
use crate::added::{from_docker, images};
use crate::clock::boot_micros;
use crate::lifecycle::System;
use hull_image_store::Digest;
use hull_image_store::job::Source;
use hyper::StatusCode;
use serde_json::Value;
use std::rc::Rc;

/// Makes a service of a kept image; who asks on this socket has the owner's authority, so it is enabled, not started.
pub async fn create(system: &Rc<System>, query: &Query, body: Value) -> Result<Answer, ApiError> {
    let name = query.get("name").map_or_else(|| format!("c{:x}", boot_micros()), str::to_owned);
    let image = body["Image"].as_str().unwrap_or_default();
    let image = images::find(&system.store, image)?;
    let made = from_docker::definition(&name, &body, &image.stored.defaults).map_err(ApiError::bad)?;
    let addition = Addition {
        name: name.clone(),
        definition: Some(made.text.clone()),
        source: Some(Source::Archive(format!("images/{}/image.tar", image.stored.id.hex()))),
        mirrors: Vec::new(),
        credentials: None,
        upgrade: false,
    };
    if system.store.installed(&name).exists() {
        let way = match system.with(&name, |_| ()) {
            Some(()) => "rm it or rename it".to_owned(),
            // Only `hull service` knows those.
            None => format!("it is not enabled, hull service remove {name} removes it"),
        };
        let reason = format!("Conflict. The container name \"/{name}\" is already in use by a service; {way}");
        return Err(ApiError::conflict(reason));
    }
    change::add(system, addition, &mut |_| ()).await?;
    change::enable_held(system, &name, Digest::of(made.text.as_bytes())).await?;
    if made.removed_at_end {
        tokio::task::spawn_local(remove_at_end(Rc::clone(system), name.clone()));
    }
    let id = system.with(&name, |unit| unit.record.id.clone()).unwrap_or_default();
    Ok(body::json(StatusCode::CREATED, &ContainerCreateResponse { id, warnings: made.warnings }))
}

/// `docker run --rm`: as long as this daemon runs; one that is there after a restart is the owner's to remove.
async fn remove_at_end(system: Rc<System>, name: String) {
    if !system.until(&name, |unit| unit.record.exits > 0 && !unit.record.machine.active()).await {
        return;
    }
    // Whoever waits for the end was woken by the same change: they look at the exit code first.
    tokio::task::yield_now().await;
    if let Err(error) = change::remove(&system, &name).await {
        log::warn!("{name}: it was to be removed at its end: {error}");
    }
}

/// Gives a service of the owner's another name.
pub async fn rename(system: &Rc<System>, id: &str, query: &Query) -> Result<Answer, ApiError> {
    let name = containers::find(system, id)?;
    let new = query.get("name").unwrap_or_default().trim_start_matches('/');
    let found = system.with(&name, |unit| (unit.added.is_some(), unit.record.machine.active()));
    match found {
        Some((true, false)) => {}
        Some((true, true)) => return Err(ApiError::conflict(format!("{name} is running: stop it before"))),
        _ => return Err(ApiError::forbidden(format!("{name} is a part of the OS and keeps its name"))),
    }
    change::rename(system, &name, new).await?;
    Ok(body::empty(StatusCode::NO_CONTENT))
}
