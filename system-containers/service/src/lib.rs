//! The `service.toml` schema: what one system service is, how its image is made and how it may run.
//!
//! Owns the types, the strict parser and the checks that need one file only; the dependency graph over
//! all services belongs to the daemon, the image recipe's execution to the image builder.
//!
//! | module | what |
//! |---|---|
//! | [`schema`] | the types, one table of the file each |
//! | [`mod@parse`] | text to [`Service`], errors with line and key |
//! | [`calendar`] | cron's five fields, for timers |
//! | [`validate`] | checks between keys |
//! | [`added`] | limits of services the owner adds |
//! | [`confinement`] | what a service can reach, as data and as a report |

pub mod added;
pub mod calendar;
pub mod confinement;
pub mod parse;
pub mod schema;
pub mod validate;

pub use parse::{ParseError, parse};
pub use schema::{
    Api, Capability, DeviceRule, Devices, Health, Image, IoMax, Kind, Limits, Mount, MountType, Namespaces, Network,
    Probe, Process, Ready, Restart, Run, Security, Service, Setuid, Timer,
};
