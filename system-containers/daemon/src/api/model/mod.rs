//! JSON shapes of the Docker Engine API 1.44, with the fields that clients read and that mean something here.
//!
//! | module | endpoint |
//! |---|---|
//! | [`container`] | `/containers/json`, `/containers/{id}/json` |
//! | [`engine`] | `/version`, `/info` |
//! | [`event`] | `/events` |
//! | [`image`] | `/images/*`, `/system/df` |
//! | [`stats`] | `/containers/{id}/stats` |
//! | [`exec`] | `/containers/{id}/exec`, `/exec/{id}/*` |

pub mod container;
pub mod engine;
pub mod event;
pub mod exec;
pub mod image;
pub mod stats;
