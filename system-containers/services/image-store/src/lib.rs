//! Images of services the owner adds: read, checked, unpacked, and verified at every start.
//!
//! Owns everything between foreign bytes and an unpacked, listed image. Whether a service may have what it asks for is
//! `hull-service`'s matter, installing and starting is not done here. The importer is a short-lived program of its own,
//! `image-store`, which the system daemon runs as a service; the daemon itself needs only [`inventory`], [`origin`] and
//! [`job`], the crate without the feature `import`.
//!
//! | module | what |
//! |---|---|
//! | [`inventory`] | list of an unpacked image, and its verification |
//! | [`origin`] | where an image came from, its digests |
//! | [`job`] | requests to the importer and its answers |
//! | [`space`] | room on the state partition |
//! | [`digest`] | SHA-256 |
//! | [`import`] | the whole way of an image, from a source to a staging directory |
//! | [`keep`] | an image kept as an archive |
//! | [`incoming`] | staging directories, the lock, what a crash left |
//! | `archive` | OCI image layouts and `docker save` |
//! | `layer` | tar, compressions, whiteouts |
//! | `tree` | the directory that is unpacked into |
//! | [`registry`] | the registry protocol |
//! | [`limits`], [`error`] | what an image may cost, why it is not taken |

pub mod digest;
pub mod error;
pub mod inventory;
pub mod job;
pub mod origin;
pub mod space;

#[cfg(feature = "import")]
mod archive;
#[cfg(feature = "import")]
pub mod import;
#[cfg(feature = "import")]
pub mod incoming;
#[cfg(feature = "import")]
pub mod keep;
#[cfg(feature = "import")]
mod layer;
#[cfg(feature = "import")]
pub mod limits;
#[cfg(feature = "import")]
pub mod registry;
#[cfg(feature = "import")]
mod section;
#[cfg(feature = "import")]
mod tree;

pub use digest::Digest;
pub use error::ImageError;
pub use origin::Origin;
