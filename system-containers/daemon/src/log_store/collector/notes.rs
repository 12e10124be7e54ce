//! What is known about logs beside their files: written by the thread, read through the handle.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::watch;

/// What is known about one service's log beside its files.
#[derive(Debug)]
pub(super) struct Notes {
    pub(super) written: watch::Sender<u64>,
    pub(super) last_line: Option<String>,
    pub(super) problem: Option<String>,
}

pub(super) type Shared = Arc<Mutex<HashMap<String, Notes>>>;

/// Acts on those of one service.
pub(super) fn with_notes<T>(shared: &Shared, service: &str, act: impl FnOnce(&mut Notes) -> T) -> T {
    let mut all = shared.lock().unwrap_or_else(PoisonError::into_inner);
    let new = || Notes { written: watch::Sender::new(0), last_line: None, problem: None };
    act(all.entry(service.into()).or_insert_with(new))
}
