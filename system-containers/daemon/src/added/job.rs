//! Jobs of the service `image-store`.

use crate::job;
use crate::lifecycle::System;
use hull_image_store::job::{Line, Request};
use std::rc::Rc;

/// The importer.
pub const SERVICE: &str = "image-store";

/// Does a job; `tell` gets what the importer says meanwhile. Jobs take turns: the caller holds [`System::changing`].
///
/// # Errors
/// Why nothing was done, for people.
pub async fn run(system: &Rc<System>, request: &Request, tell: &mut dyn FnMut(String)) -> Result<Line, String> {
    let folder = system.paths.importer();
    let mut hear = |line: &Line| {
        if let Line::Status(text) = line {
            tell(text.clone());
        }
    };
    match job::run(system, SERVICE, &folder, request, &mut hear).await? {
        line @ (Line::Imported { .. } | Line::Stored { .. }) => Ok(line),
        Line::Failed(reason) => Err(reason),
        Line::Status(_) => Err(job::why(system, SERVICE)),
    }
}
