//! Signed metadata: The Update Framework reduced to what one publisher of whole images needs.
//!
//! ```text
//! 1.root.json … N.root.json      who signs; each signed by the threshold of the one before and by its own
//! channels/stable.json           releases, signed by the release keys; says which manifest belongs to each
//!  └─ releases/1.2.0/manifest.json   files and verity parameters; pinned by digest and size
//!      └─ root.erofs, hull.efi, …    pinned by digest and size
//! ```
//!
//! The first root comes with the running image, which verity protects. Nothing here does I/O but `write`.
//!
//! | module | what |
//! |---|---|
//! | `envelope` | payload and signatures around it |
//! | `document` | root, channel and manifest |
//! | `key` | signing keys |
//! | `verify` | the chain of roots, channels and manifests against what is trusted and was seen |
//! | `choose` | which release a host may take, and from when |
//! | `write` | metadata of a publisher (and of tests' hostile ones) into a folder |

mod choose;
mod document;
mod envelope;
mod error;
mod key;
mod verify;
mod write;

pub use choose::{eligible_from, next, permitted};
pub use document::{Channel, FILES, FileEntry, Manifest, Pinned, Release, Root, SBOM, Wave};
pub use envelope::{Envelope, Kind, Signature};
pub use error::{Clock, Stamp, TrustError};
pub use key::{KeyError, PublicKey, SigningKey};
pub use verify::{
    MAX_CHANNEL, MAX_MANIFEST, MAX_ROOT, Seen, Time, anchor, channel, check_name, check_root, manifest, next_root, time,
};
pub use write::{channel_path, manifest_path, read_channel, root_path, sign, write_channel, write_root};

#[cfg(test)]
mod tests;
