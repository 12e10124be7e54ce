//! A/B updates of the OS image.
//!
//! | module | what |
//! |---|---|
//! | [`slot`] | the two slots and what state each is in (pure) |
//! | [`job`] | what the system daemon asks of the service, and the answer |
//! | [`loader`] | what the boot loader will do next: systemd-boot entries, GRUB's environment block |
//! | [`record`] | what is remembered on the state partition |
//! | [`settings`] | the machine configuration's part about updates (pure) |

pub mod job;
pub mod loader;
pub mod record;
pub mod settings;
pub mod slot;
