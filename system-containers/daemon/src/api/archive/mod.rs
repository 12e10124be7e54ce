//! `GET|HEAD|PUT /containers/{id}/archive`, `GET /containers/{id}/export`: files of a service as tar(5).
//!
//! Paths are resolved inside the service's own root, mounts and all (openat2(2), `RESOLVE_IN_ROOT`), and everything
//! below them is reached by descriptor without following links: whatever the service does meanwhile, no file of the host
//! or of another service comes into the archive or is written to (CVE-2018-15664).
//!
//! | file | what |
//! |---|---|
//! | `mod.rs` | the endpoints |
//! | `inside.rs` | a path in a service's root, to a descriptor |
//! | `pack.rs` | files to an archive |
//! | `unpack.rs` | an archive to files |
//! | `pipe.rs` | the archive between the thread that blocks and the connection |

mod inside;
mod pack;
mod pipe;
mod unpack;

use super::body::{self, Answer, Body};
use super::containers;
use super::error::ApiError;
use super::query::Query;
use crate::blocking::blocking;
use crate::lifecycle::System;
use http_body_util::BodyExt;
use hyper::StatusCode;
use hyper::body::Incoming;
use hyper::header::HeaderValue;
use inside::{Root, Stat};
use pipe::{Receiver, Sender};
use rustix::io::Errno;
use std::io;
use std::rc::Rc;
use tokio::sync::mpsc;

/// Pieces between thread and connection.
const QUEUE: usize = 4;
const TAR: &str = "application/x-tar";
/// Header with what is known of the path.
const STAT: &str = "x-docker-container-path-stat";

/// `HEAD /containers/{id}/archive`.
pub async fn stat(system: &Rc<System>, id: &str, query: &Query) -> Result<Answer, ApiError> {
    let (root, path) = place(system, id, query)?;
    let found = on_thread("stat", move || root.stat(&path)).await?;
    Ok(with_stat(body::empty(StatusCode::OK), &found))
}

/// `GET /containers/{id}/archive`: the file or folder at the path, by its last name.
pub async fn get(system: &Rc<System>, id: &str, query: &Query) -> Result<Answer, ApiError> {
    let (root, path) = place(system, id, query)?;
    let (found, source) = on_thread("open", move || Ok((root.stat(&path)?, root.open(&path)?))).await?;
    // The root has no name that an archive may hold.
    let name = if found.name == "/" { ".".to_owned() } else { found.name.clone() };
    let body = send("archive", move |sender| pack::one(&name, &source, sender));
    Ok(with_stat(body::with(StatusCode::OK, TAR, body), &found))
}

/// `GET /containers/{id}/export`: the service's image, without what is mounted over it.
pub fn export(system: &Rc<System>, id: &str) -> Result<Answer, ApiError> {
    let name = containers::find(system, id)?;
    let folder = system.paths.definition(&name).join("rootfs");
    Ok(body::with(StatusCode::OK, TAR, send("export", move |sender| pack::all(&folder, sender))))
}

/// `PUT /containers/{id}/archive`: unpacks into the folder at the path.
pub async fn put(system: &Rc<System>, id: &str, query: &Query, mut archive: Incoming) -> Result<Answer, ApiError> {
    let (root, path) = place(system, id, query)?;
    let (pieces, received) = mpsc::channel(QUEUE);
    let unpacked = on_thread("unpack", move || unpack::all(&root, &path, Receiver::new(received)));
    let fed = async {
        while let Some(Ok(frame)) = archive.frame().await {
            // A thread that has failed takes no more; the rest is read so that the client reads the answer.
            if let Ok(bytes) = frame.into_data() {
                pieces.send(bytes).await.ok();
            }
        }
        drop(pieces);
    };
    let (unpacked, ()) = tokio::join!(unpacked, fed);
    unpacked?;
    Ok(body::empty(StatusCode::OK))
}

fn place(system: &System, id: &str, query: &Query) -> Result<(Root, String), ApiError> {
    let name = containers::find(system, id)?;
    let path = query.get("path").ok_or_else(|| ApiError::bad("path: which file is meant?"))?.to_owned();
    let init = system.with(&name, |unit| unit.process()).flatten();
    let init = init.ok_or_else(|| ApiError::conflict(format!("Container {name} is not running")))?;
    let root = init.and_then(|init| Root::of(&init)).map_err(|error| match Errno::from_io_error(&error) {
        Some(Errno::SRCH) => ApiError::conflict(format!("Container {name} is not running")),
        _ => ApiError::internal(format!("{name}: {error}")),
    })?;
    Ok((root, path))
}

async fn on_thread<T: Send + 'static>(
    name: &str,
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> Result<T, ApiError> {
    let result = blocking(name, work).await.and_then(|result| result);
    result.map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => ApiError::missing(error.to_string()),
        io::ErrorKind::ReadOnlyFilesystem | io::ErrorKind::PermissionDenied => ApiError::forbidden(error.to_string()),
        io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput | io::ErrorKind::NotADirectory => {
            ApiError::bad(error.to_string())
        }
        _ => ApiError::internal(error.to_string()),
    })
}

/// Packs on a thread of its own; an error cuts the connection.
fn send(name: &'static str, work: impl FnOnce(Sender) -> io::Result<()> + Send + 'static) -> Body {
    let (pieces, body) = mpsc::channel(QUEUE);
    let sender = Sender::new(pieces.clone());
    tokio::task::spawn_local(async move {
        if let Err(error) | Ok(Err(error)) = blocking(name, move || work(sender)).await {
            log::warn!("API: {name}: {error}");
            // The client may have gone, which is then the error.
            pieces.send(Err(error)).await.ok();
        }
    });
    Body::Whether(body)
}

fn with_stat(mut answer: Answer, stat: &Stat) -> Answer {
    if let Ok(value) = HeaderValue::from_str(&stat.header()) {
        answer.headers_mut().insert(STAT, value);
    }
    answer
}
