//! Pulling by the registry protocol (OCI distribution specification 1.1; Docker Registry HTTP API V2).
//!
//! A reference always has a digest, so whoever answers can be as little trusted as a plain-HTTP mirror: what does not
//! have the digest is refused. Sizes are known before anything is fetched, from the descriptors above.
//!
//! | module | what |
//! |---|---|
//! | [`mod@reference`] | `host/repository@sha256:…`, mirrors |
//! | `token` | the challenge of a registry and its answer |
//! | `pull` | blobs into files, resumed where they broke off |

mod pull;
pub mod reference;
mod token;

pub use pull::Client;
pub use reference::{Mirror, Reference};
