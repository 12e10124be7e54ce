//! `POST /images/load|create`, `GET /images/…/get`, `DELETE /images/…`, `POST /images/…/tag`: images kept as archives, for
//! services to be added from.

use super::body::{self, Answer, Body};
use super::error::ApiError;
use super::progress;
use super::query::Query;
use super::upload::{Taken, upload};
use crate::added::images;
use crate::lifecycle::System;
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE;
use hull_image_store::job::{Credentials, Source};
use hyper::body::{Bytes, Incoming};
use hyper::{Request, StatusCode};
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::fs::File;
use std::io::{self, Read};
use std::rc::Rc;
use tokio::sync::mpsc;

/// Pieces between thread and connection, and their bytes.
const QUEUE: usize = 4;
const PIECE: usize = 64 << 10;
/// Docker's header with name and password for a registry.
const AUTHORIZATION: &str = "x-registry-auth";

/// What became of an image that was to be removed, one of them a line.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub enum Removed {
    /// A name it had.
    Untagged(String),
    /// The image.
    Deleted(String),
}

/// Content of Docker's header, as far as it is used.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Authorization {
    username: String,
    password: String,
}

/// `POST /images/load`.
pub async fn load(system: &Rc<System>, archive: Incoming) -> Result<Answer, ApiError> {
    let taken = Taken::new(&system.store, upload(system, archive).await?.archive)?;
    let system = Rc::clone(system);
    Ok(progress::answer(|lines| async move {
        let source = Source::Archive(taken.archive.clone());
        let kept = images::keep(&system, source, &[], None, &mut |text| lines.status(text)).await;
        drop(taken);
        let kept = kept?;
        let what = match kept.names.first() {
            Some(name) => format!("Loaded image: {name}\n"),
            None => format!("Loaded image ID: {}\n", kept.id),
        };
        Ok(json!({ "stream": what }))
    }))
}

/// `POST /images/create?fromImage=`.
pub async fn pull(system: &Rc<System>, query: &Query, request: Request<Incoming>) -> Result<Answer, ApiError> {
    let (head, body) = request.into_parts();
    // `docker import` sends an archive.
    body::discard(body).await;
    let Some(name) = query.get("fromImage").filter(|name| !name.is_empty()) else {
        return Err(ApiError::unsupported("making an image of files; use load"));
    };
    let tag = query.get("tag").unwrap_or_default();
    let reference = match tag.starts_with("sha256:") {
        true => format!("{name}@{tag}"),
        false => name.to_owned(),
    };
    if !reference.contains('@') {
        let reason = "the system daemon pulls by digest only, so that what runs is what was chosen: append @sha256:…";
        return Err(ApiError::bad(format!("{reference}: {reason}")));
    }
    let credentials = head.headers.get(AUTHORIZATION).map(|value| credentials(value.as_bytes())).transpose()?.flatten();
    let system = Rc::clone(system);
    Ok(progress::answer(|lines| async move {
        lines.status(format!("Pulling {reference}"));
        let source = Source::Reference(reference.clone());
        let kept = images::keep(&system, source, &[], credentials, &mut |text| lines.status(text)).await?;
        lines.status(format!("Digest: {}", kept.digest.map(|digest| digest.to_string()).unwrap_or_default()));
        Ok(json!({ "status": format!("Status: Downloaded {}", kept.id) }))
    }))
}

fn credentials(header: &[u8]) -> Result<Option<Credentials>, ApiError> {
    let fault = |error: String| ApiError::bad(format!("{AUTHORIZATION}: {error}"));
    let text = BASE64_URL_SAFE.decode(header).map_err(|error| fault(error.to_string()))?;
    let found: Authorization = serde_json::from_slice(&text).map_err(|error| fault(error.to_string()))?;
    let is_there = !found.username.is_empty();
    Ok(is_there.then_some(Credentials { user: found.username, password: found.password }))
}

/// `GET /images/{name}/get`, `GET /images/get?names=`: the archive as it was kept.
pub fn save(system: &Rc<System>, name: &str) -> Result<Answer, ApiError> {
    let image = images::find(&system.store, name)?;
    let mut file = File::open(&image.archive)
        .map_err(|error| ApiError::internal(format!("{}: {error}", image.archive.display())))?;
    let (pieces, body) = mpsc::channel::<io::Result<Bytes>>(QUEUE);
    let thread = std::thread::Builder::new().name("save".into()).stack_size(256 << 10).spawn(move || {
        let mut buffer = vec![0; PIECE];
        loop {
            let piece = match file.read(&mut buffer) {
                Ok(0) => return,
                Ok(count) => Ok(Bytes::copy_from_slice(&buffer[..count])),
                Err(error) => Err(error),
            };
            let is_last = piece.is_err();
            if pieces.blocking_send(piece).is_err() || is_last {
                return;
            }
        }
    });
    thread.map_err(|error| ApiError::internal(format!("no thread: {error}")))?;
    Ok(body::with(StatusCode::OK, "application/x-tar", Body::Whether(body)))
}

/// `DELETE /images/{name}`.
pub async fn remove(system: &Rc<System>, name: &str) -> Result<Vec<Removed>, ApiError> {
    if super::images::is_of_a_service(system, name) {
        return Err(ApiError::conflict(format!(
            "{name} is the image of a service; hull service remove takes both away"
        )));
    }
    let (names, id) = images::remove(system, name).await?;
    let names = names.into_iter().map(Removed::Untagged);
    Ok(names.chain(id.map(|id| Removed::Deleted(id.to_string()))).collect())
}

/// `POST /images/{name}/tag?repo=&tag=`.
pub async fn tag(system: &Rc<System>, name: &str, query: &Query) -> Result<Answer, ApiError> {
    let repository = query.get("repo").ok_or_else(|| ApiError::bad("repo: which name is it to have?"))?;
    let tag = query.get("tag").filter(|tag| !tag.is_empty()).unwrap_or("latest");
    images::tag(system, name, &format!("{repository}:{tag}")).await?;
    Ok(body::empty(StatusCode::CREATED))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dockers_header_is_understood() {
        let header = |text: &str| credentials(BASE64_URL_SAFE.encode(text).as_bytes());
        let found = header(r#"{"username":"u","password":"p","serveraddress":"r"}"#).unwrap().unwrap();
        assert_eq!((found.user.as_str(), found.password.as_str()), ("u", "p"));
        assert_eq!(header("{}").unwrap(), None);
        assert!(credentials(b"!").unwrap_err().message.contains(AUTHORIZATION));
    }
}
