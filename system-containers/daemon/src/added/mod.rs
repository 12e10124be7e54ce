//! Services the owner adds: what is stored on the state partition, what the owner allowed, and how both change.
//!
//! Foreign bytes are read by the service `image-store` only; here are renames, comparisons and the owner's decisions.
//!
//! | module | what |
//! |---|---|
//! | [`store`] | the folders on the state partition |
//! | [`mod@load`] | enabled services as definitions, at the daemon's start |
//! | [`mod@verify`] | whether a service is still what was added, before every start |
//! | [`job`] | one job of `image-store` |
//! | [`change`] | add, upgrade, enable, disable, remove |
//! | [`from_docker`] | a container as Docker's clients ask for it, as a definition; pure |
//! | [`images`] | images kept as archives |

pub mod change;
pub mod from_docker;
pub mod images;
pub mod job;
pub mod load;
pub mod store;
pub mod verify;

pub use store::Store;
pub use verify::{Damage, verify};

use crate::blocking::blocking;
use change::ChangeError;
use std::io;

/// Changes files on a thread of its own; `name` is for messages too.
async fn on_thread<T: Send + 'static>(
    name: &str,
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> Result<T, ChangeError> {
    let done = blocking(name, work).await.and_then(|done| done);
    done.map_err(|error| ChangeError::Failed(format!("{name}: {error}")))
}
