//! A/B updates of the OS image.
//!
//! | module | what |
//! |---|---|
//! | [`slot`] | the two slots and what state each is in (pure) |
//! | [`job`] | what the system daemon asks of the service, and the answer |
//! | `answer` | that answer given (feature `service`) |
//! | [`digest`], [`version`] | SHA-256 digests; versions and their order (pure) |
//! | `trust` | signed metadata: who may name releases, which one a host takes (feature `trust`) |
//! | [`verity`] | the hash tree of an image (pure) |
//! | `delta` | the target slot written from what is there and what is fetched (feature `service`) |
//! | `client` | the server of releases (feature `service`) |
//! | `service` | jobs carried out (feature `service`) |
//! | [`install`] | a live system written to a disk |
//! | [`loader`] | what the boot loader will do next: systemd-boot entries, GRUB's environment block |
//! | [`record`] | what is remembered on the state partition |
//! | [`settings`] | the machine configuration's part about updates (pure) |

#[cfg(feature = "service")]
pub mod answer;
#[cfg(feature = "service")]
pub mod client;
#[cfg(feature = "service")]
pub mod delta;
pub mod digest;
pub mod install;
pub mod job;
pub mod loader;
pub mod record;
#[cfg(feature = "service")]
pub mod service;
pub mod settings;
pub mod slot;
#[cfg(feature = "trust")]
pub mod trust;
pub mod verity;
pub mod version;
