//! `/hull/mounts`, `/hull/swaps`, `/hull/rescan`: what the console's administrators have the daemon do.

use super::body::{self, Answer};
use super::error::ApiError;
use super::query::Query;
use crate::blocking::blocking;
use crate::lifecycle::System;
use crate::mounts::attach::{self, Mounted, Wanted};
use crate::mounts::{Ground, MountError, detach, partitions, swap};
use hyper::StatusCode;
use serde::Deserialize;

/// Body of `POST /hull/mounts`.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct MountRequest {
    /// Device, tag, `HOST:/PATH`, or a path of the console.
    pub source: String,
    /// Path of the console.
    pub target: String,
    /// File system.
    pub kind: Option<String>,
    /// Words of fstab.
    pub options: Vec<String>,
}

/// Body of `POST /hull/swaps`.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SwapRequest {
    /// Device, tag, or a file by its path in the console.
    pub device: String,
    /// 0 to 32767.
    pub priority: Option<u16>,
}

/// Body of `POST /hull/rescan`.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RescanRequest {
    /// A whole disk.
    pub device: String,
}

/// `POST /hull/mounts`.
pub async fn mount(system: &System, request: MountRequest) -> Result<Mounted, ApiError> {
    let MountRequest { source, target, kind, options } = request;
    needed("target", &target)?;
    let (from, to) = (source.clone(), target.clone());
    let wanted = Wanted { source, target, kind, options };
    let mounted = carry_out(system, "mount", move |ground| attach::attach(&wanted, ground)).await?;
    log::info!("mounted on {to} of the console: {}", if from.is_empty() { "changed options" } else { &from });
    Ok(mounted)
}

/// `DELETE /hull/mounts?target=…&lazy=…`.
pub async fn unmount(system: &System, query: &Query) -> Result<Answer, ApiError> {
    let (target, lazy) = (query.get("target").unwrap_or_default().to_owned(), query.flag("lazy"));
    needed("target", &target)?;
    let path = target.clone();
    carry_out(system, "unmount", move |ground| detach::detach(&target, lazy, ground)).await?;
    log::info!("unmounted {path} of the console");
    Ok(body::empty(StatusCode::NO_CONTENT))
}

/// `POST /hull/swaps`.
pub async fn swap_on(system: &System, request: SwapRequest) -> Result<Answer, ApiError> {
    let SwapRequest { device, priority } = request;
    needed("device", &device)?;
    carry_out(system, "swapon", move |ground| swap::on(&device, priority, ground)).await?;
    Ok(body::empty(StatusCode::NO_CONTENT))
}

/// `DELETE /hull/swaps?device=…`.
pub async fn swap_off(system: &System, query: &Query) -> Result<Answer, ApiError> {
    let device = query.get("device").unwrap_or_default().to_owned();
    needed("device", &device)?;
    carry_out(system, "swapoff", move |ground| swap::off(&device, ground)).await?;
    Ok(body::empty(StatusCode::NO_CONTENT))
}

/// `POST /hull/rescan`.
pub async fn rescan(system: &System, request: RescanRequest) -> Result<Answer, ApiError> {
    let device = request.device;
    needed("device", &device)?;
    carry_out(system, "rescan", move |ground| partitions::rescan(&device, ground)).await?;
    Ok(body::empty(StatusCode::NO_CONTENT))
}

fn needed(key: &str, value: &str) -> Result<(), ApiError> {
    if value.is_empty() { Err(ApiError::bad(format!("{key} is needed"))) } else { Ok(()) }
}

/// On a thread: a disk or a server may never answer.
async fn carry_out<T: Send + 'static>(
    system: &System,
    name: &str,
    work: impl FnOnce(&Ground) -> Result<T, MountError> + Send + 'static,
) -> Result<T, ApiError> {
    let ground = Ground::new(system)?;
    let done = blocking(name, move || work(&ground)).await;
    Ok(done.map_err(|error| ApiError::internal(error.to_string()))??)
}
