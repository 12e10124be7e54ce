//! The three stages. Each collects its messages, adds them to the report, and never fails the boot.
//!
//! | module | stage |
//! |---|---|
//! | [`compile`] | finds and reads user data, renders the services' files |
//! | [`sources`] | the outside of `compile`: command line, SMBIOS, medium, cache |
//! | [`apply`] | users, files, mounts, bootcmd |
//! | [`last`] | runcmd and scripts |
//! | [`stamp`] | what was done for which instance |

pub mod apply;
pub mod compile;
pub mod last;
pub mod sources;
pub mod stamp;
