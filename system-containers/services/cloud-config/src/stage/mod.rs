//! The three stages. Each collects its messages, adds them to the report, and never fails the boot.
//!
//! | module | stage |
//! |---|---|
//! | [`compile`] | finds and reads user data, renders the services' files |
//! | [`decide`] | which medium, instance and document `compile` uses |
//! | [`base`] | the document that the kernel command line names |
//! | [`sources`] | the outside of `compile`: command line, SMBIOS, medium, cache |
//! | `network` | which network configuration `compile` uses |
//! | [`services`] | the files of the services, at boot and live |
//! | [`apply`] | users, files, mounts, bootcmd |
//! | [`last`] | runcmd and scripts |
//! | [`rest`] | what `final` does once the rest of the user data was fetched |
//! | [`user_data`] | all layers of the user data of an instance |
//! | [`stamp`] | what was done for which instance |

pub mod apply;
pub mod base;
pub mod compile;
pub mod decide;
pub mod last;
mod network;
pub mod rest;
pub mod services;
pub mod sources;
pub mod stamp;
pub mod user_data;
