//! What the system daemon asks of the update service, and its answer: files of one folder.
//!
//! ```text
//! request.json     a Request
//! answer           lines of JSON, a Line each: any number of Status, then Done or Failed
//! ```

use crate::settings::Settings;
use crate::slot::Slot;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// The service that carries out jobs.
pub const SERVICE: &str = "update";

/// One job.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Request {
    /// What is to be done.
    pub work: Work,
    /// On what.
    pub machine: Machine,
    /// Where releases are.
    pub settings: Settings,
}

/// What is to be done.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Work {
    /// Look for a newer release.
    Check {
        /// Also an older one, one that was found bad, or one whose turn for this machine has not come.
        force: bool,
    },
    /// Look, and write it to the other slot.
    Fetch {
        /// As above.
        force: bool,
    },
    /// Let the boot loader try the other slot.
    Activate,
    /// The running version, on trial, is good.
    Bless,
    /// The running version, on trial, is bad.
    Condemn {
        /// Why, for people.
        reason: String,
    },
    /// Boot the other slot from now on.
    Rollback,
    /// After a boot of a good version: learn what became of a trial, and of what a power cut left.
    Settle,
}

/// The boot loader that starts this machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Firmware {
    /// systemd-boot.
    Uefi,
    /// GRUB.
    Bios,
}

/// The machine.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Machine {
    /// How it boots.
    pub firmware: Firmware,
    /// The slot that runs.
    pub slot: Slot,
    /// Its version.
    pub version: String,
    /// Its root hash, hexadecimal.
    pub root_hash: String,
    /// Length of its root in 4096-byte blocks.
    pub data_blocks: u64,
    /// Device of the running slot.
    pub running: PathBuf,
    /// Device of the other slot.
    pub other: PathBuf,
}

/// A line of the answer; `D` is what was done.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Line<D = Done> {
    /// What is being done, for people.
    Status(String),
    /// It is done.
    Done(D),
    /// Nothing was changed, or everything that was is of no effect, and why.
    Failed(String),
}

/// What was done.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Done {
    /// There is nothing newer.
    UpToDate {
        /// The channel's newest.
        newest: Option<String>,
    },
    /// A release can be fetched.
    Available {
        /// Which.
        version: String,
        /// From when on this machine takes it by itself, seconds since 1970.
        eligible_from: u64,
    },
    /// The other slot holds a release.
    Written {
        /// Which.
        version: String,
        /// Bytes fetched.
        fetched: u64,
        /// Bytes copied from what was on the disk.
        copied: u64,
    },
    /// The next boot is a trial of the other slot.
    Activated {
        /// Its version.
        version: String,
    },
    /// What was to be noted is noted.
    Noted {
        /// A trial that came to nothing: for the console.
        failed: Option<FailedTrial>,
    },
    /// The next boot is one of the other slot.
    RolledBack {
        /// Its version.
        version: String,
    },
}

/// A version that was tried and left.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct FailedTrial {
    /// Which.
    pub version: String,
    /// Why, for people.
    pub reason: String,
}
