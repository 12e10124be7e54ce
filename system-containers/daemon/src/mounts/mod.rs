//! Mounts, swap and partition tables for the machine's administrators, who hold no `CAP_SYS_ADMIN` of their own.
//!
//! Everything is done in the machine's mount namespace: the console's shared mounts are peers of the machine's, so what is
//! mounted below them appears in console and engine. Nothing is kept: the kernel is the state, also over a restart of the
//! daemon. All of it may block for as long as a disk or server does, so callers run it on a thread of its own.
//!
//! | module | owns |
//! |---|---|
//! | [`options`] | words of fstab to flags and data; pure |
//! | [`place`] | paths of the console to directories of the machine, never by a link that leads out |
//! | [`source`] | what is to be mounted, by its text and type; pure |
//! | [`device`] | block devices by path or tag, and which of them are the OS's own |
//! | [`attach`], [`detach`] | mounting and unmounting |
//! | [`swap`], [`partitions`] | swap areas, partition tables |

pub mod attach;
pub mod detach;
pub mod device;
pub mod options;
pub mod partitions;
pub mod place;
pub mod source;
pub mod swap;

use crate::lifecycle::System;
use crate::plan::facts::{self, Facts};
use hull_service::Service;
use place::Map;
use rustix::io::Errno;
use std::collections::BTreeSet;

/// The service whose paths and mounts count.
pub const CONSOLE: &str = "console";

/// Why it was not done.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MountError {
    /// The request makes no sense, or the kernel says so of what is on the device.
    #[error("{0}")]
    Bad(String),
    /// It is the OS's own.
    #[error("{0}")]
    Forbidden(String),
    /// Device, path or mount is not there.
    #[error("{0}")]
    Missing(String),
    /// It is in use.
    #[error("{0}")]
    Conflict(String),
    /// Anything else.
    #[error("{0}")]
    Failed(String),
}

impl MountError {
    /// What the kernel said, told apart by who can help.
    fn new(errno: Errno, text: String) -> Self {
        match errno {
            Errno::NOENT | Errno::NXIO | Errno::NOMEDIUM => Self::Missing(text),
            Errno::BUSY => Self::Conflict(text),
            Errno::INVAL | Errno::NOTDIR | Errno::NODEV | Errno::NOTBLK | Errno::LOOP => Self::Bad(text),
            Errno::XDEV => Self::Forbidden(text),
            _ => Self::Failed(text),
        }
    }
}

/// What decides on a request.
#[derive(Debug, Clone)]
pub struct Ground {
    /// Paths of the console.
    pub map: Map,
    /// Numbers of devices that are the OS's own.
    pub own: BTreeSet<(u32, u32)>,
}

impl Ground {
    /// As things are now.
    ///
    /// # Errors
    /// Without a console there are no paths to mount at.
    pub fn new(system: &System) -> Result<Self, MountError> {
        let console: Option<Service> = system.with(CONSOLE, |unit| unit.definition.clone()).flatten();
        let console = console.ok_or_else(|| {
            MountError::Failed(format!("there is no service \"{CONSOLE}\", whose paths mounts are made at"))
        })?;
        let mut own = facts::devices_of(&[system.paths.below_root("/"), system.paths.below_root("/state")]);
        own.extend(Facts::read(String::new(), &system.boot_report).system_disk);
        Ok(Self { map: Map::new(&console, &system.paths), own })
    }
}

/// The number of the device a file system is on.
fn device_of(status: &rustix::fs::Stat) -> (u32, u32) {
    (rustix::fs::major(status.st_dev), rustix::fs::minor(status.st_dev))
}

/// Why, in the kernel's words.
fn reason(errno: Errno) -> String {
    let text = std::io::Error::from(errno).to_string();
    text.split(" (os error").next().unwrap_or_default().to_ascii_lowercase()
}
