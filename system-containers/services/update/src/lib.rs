//! A/B updates of the OS image.
//!
//! | module | what |
//! |---|---|
//! | [`slot`] | the two slots and what state each is in (pure) |
//! | [`digest`], [`version`] | SHA-256 digests; versions and their order (pure) |
//! | `trust` | signed metadata: who may name releases, which one a host takes (feature `trust`) |
//! | [`verity`] | the hash tree of an image (pure) |
//! | `delta` | the target slot written from what is there and what is fetched (feature `service`) |
//! | `client` | the server of releases (feature `service`) |
//! | [`loader`] | what the boot loader will do next: systemd-boot entries, GRUB's environment block |
//! | [`record`] | what is remembered on the state partition |

#[cfg(feature = "service")]
pub mod client;
#[cfg(feature = "service")]
pub mod delta;
pub mod digest;
pub mod loader;
pub mod record;
pub mod slot;
#[cfg(feature = "trust")]
pub mod trust;
pub mod verity;
pub mod version;
