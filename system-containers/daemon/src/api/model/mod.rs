//! JSON shapes of the Docker Engine API 1.44, with the fields that clients read and that mean something here.
//!
//! | module | endpoint |
//! |---|---|
//! | [`container`] | `/containers/json`, `/containers/{id}/json` |
//! | [`engine`] | `/version`, `/info` |
//! | [`exec`] | `/containers/{id}/exec`, `/exec/{id}/*` |

pub mod container;
pub mod engine;
pub mod exec;
