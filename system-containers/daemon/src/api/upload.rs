//! `POST /hull/uploads`: an archive for a service, stored as it comes. It is looked at by the importer only.

use super::error::ApiError;
use crate::added::Store;
use crate::blocking::blocking;
use crate::lifecycle::System;
use http_body_util::BodyExt;
use hull_image_store::job::UPLOADS;
use hyper::body::{Bytes, Incoming};
use serde::Serialize;
use std::fs::{self, File};
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::rc::Rc;
use tokio::sync::mpsc;

/// Pieces between connection and thread.
const QUEUE: usize = 4;

/// Where the archive is; it is gone once it was used, or the daemon starts anew.
#[derive(Debug, Serialize)]
pub struct Upload {
    /// Its path below the store.
    pub archive: String,
}

/// An archive in use, by its path below the store; removed when dropped.
#[derive(Debug)]
pub struct Taken {
    path: PathBuf,
    /// For the importer.
    pub archive: String,
}

impl Taken {
    /// Takes an archive that was stored before.
    ///
    /// # Errors
    /// When the path is none that [`upload`] gave.
    pub fn new(store: &Store, archive: String) -> Result<Self, ApiError> {
        let name = archive.strip_prefix(UPLOADS).and_then(|rest| rest.strip_prefix('/')).unwrap_or_default();
        if !name.starts_with(|first: char| first.is_ascii_digit()) || name.contains('/') {
            return Err(ApiError::bad(format!("archive: \"{archive}\" was not uploaded")));
        }
        Ok(Self { path: store.path(&archive), archive })
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        match fs::remove_file(&self.path) {
            Err(error) if error.kind() != ErrorKind::NotFound => log::warn!("{}: {error}", self.path.display()),
            _ => {}
        }
    }
}

/// Stores a request's body.
pub async fn upload(system: &Rc<System>, mut body: Incoming) -> Result<Upload, ApiError> {
    let store = system.store.clone();
    let available = store.available().map_err(fault)?;
    let (file, archive) = store.upload().map_err(fault)?;
    let path = store.path(&archive);
    let (pieces, received) = mpsc::channel(QUEUE);
    let place = path.clone();
    let written = blocking("upload", move || write(file, &place, received, available));
    let fed = async {
        while let Some(frame) = body.frame().await {
            match frame.map_err(|error| io::Error::new(ErrorKind::ConnectionAborted, error.to_string())) {
                Ok(frame) => {
                    let Ok(bytes) = frame.into_data() else { continue };
                    // A thread that has failed takes no more; the rest is read so that the client reads the answer.
                    pieces.send(Ok(bytes)).await.ok();
                }
                Err(error) => {
                    pieces.send(Err(error)).await.ok();
                    break;
                }
            }
        }
        drop(pieces);
    };
    let (written, ()) = tokio::join!(written, fed);
    match written.and_then(|written| written) {
        Ok(()) => Ok(Upload { archive }),
        Err(error) => {
            fs::remove_file(&path).ok();
            Err(fault(error))
        }
    }
}

fn write(mut file: File, path: &Path, mut pieces: mpsc::Receiver<io::Result<Bytes>>, available: u64) -> io::Result<()> {
    let mut left = available;
    while let Some(piece) = pieces.blocking_recv() {
        let piece = piece?;
        left = left.checked_sub(piece.len() as u64).ok_or_else(|| {
            let reason = format!("{}: not enough space: {available} bytes may be used", path.display());
            io::Error::new(ErrorKind::StorageFull, reason)
        })?;
        file.write_all(&piece)?;
    }
    Ok(())
}

fn fault(error: io::Error) -> ApiError {
    ApiError::internal(format!("the archive cannot be stored: {error}"))
}
