//! The tables of `service.toml`. Keys are kebab-case; unknown keys are errors.
//!
//! | file | tables |
//! |---|---|
//! | `mod.rs` | the keys at the top, `[timer]` |
//! | `image.rs` | `[image]` |
//! | `process.rs` | `[[process]]`, `[run]` |
//! | `security.rs` | `[namespaces]`, `[security]` |
//! | `limits.rs` | `[[mount]]`, `[limits]` |
//! | `health.rs` | `[ready]`, `[health]` |

mod health;
mod image;
mod limits;
mod process;
mod security;

pub use health::{Health, Probe, Ready};
pub use image::{Image, Setuid};
pub use limits::{IoMax, Limits, Mount, MountType};
pub use process::{Process, Restart, Run};
pub use security::{Capability, DeviceRule, Devices, Namespaces, Network, Security};

use serde::{Deserialize, Serialize};

/// One system service: the whole file.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Service {
    /// One line for people, shown by `hull ps`.
    pub description: String,
    /// The boot is complete only when this service is healthy.
    #[serde(default)]
    pub required: bool,
    /// Long-running, or runs once to its end.
    #[serde(default)]
    pub kind: Kind,
    /// Services to be ready (or failed, or ended) before this one starts.
    #[serde(default)]
    pub after: Vec<String>,
    /// Services without which this one is not started; implies `after`.
    #[serde(default)]
    pub requires: Vec<String>,
    /// Services with which this one is started; without them, it is not.
    #[serde(default)]
    pub wanted_by: Vec<String>,
    /// Started when somebody asks for it, instead of at boot.
    #[serde(default)]
    pub on_demand: bool,
    /// When a run-once service is run, instead of at boot.
    #[serde(default)]
    pub timer: Option<Timer>,
    /// Access to the system daemon's API.
    #[serde(default)]
    pub api: Api,
    /// Recipe of the root file system, carried out by the image builder.
    #[serde(default)]
    pub image: Image,
    /// Processes; with more than one, `service-init` is the container's PID 1.
    #[serde(rename = "process")]
    pub processes: Vec<Process>,
    /// How the container as a whole is run and stopped.
    #[serde(default)]
    pub run: Run,
    /// Namespaces that may differ between services.
    #[serde(default)]
    pub namespaces: Namespaces,
    /// Privileges, all of them.
    #[serde(default)]
    pub security: Security,
    /// File systems beyond the standard ones (`/proc`, `/dev`, `/dev/pts`, `/dev/shm`, `/dev/mqueue`, `/sys` ro,
    /// `/sys/fs/cgroup` ro, `/run` and `/tmp` tmpfs).
    #[serde(default, rename = "mount")]
    pub mounts: Vec<Mount>,
    /// cgroup v2 limits.
    #[serde(default)]
    pub limits: Limits,
    /// When the service counts as ready; without this table: once its first process runs.
    #[serde(default)]
    pub ready: Option<Ready>,
    /// Repeated check while it runs.
    #[serde(default)]
    pub health: Option<Health>,
}

/// Life cycle of a service.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// Runs until stopped.
    #[default]
    Daemon,
    /// Runs to its end once a boot; ready when it ended with status 0.
    Oneshot,
}

/// Scope of the API socket mounted at `/run/hull/hull.sock`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Api {
    /// No socket.
    #[default]
    None,
    /// Power off, reboot and halt only.
    Power,
    /// The whole system API: equal to root on the machine.
    Admin,
}

/// Times at which a run-once service is run.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Timer {
    /// cron's five fields, in UTC; see [`crate::calendar`].
    #[serde(default)]
    pub calendar: Option<String>,
    /// Seconds since the machine was started.
    #[serde(default)]
    pub after_boot: Option<u32>,
    /// Seconds since the last time, or since the machine was started.
    #[serde(default)]
    pub interval: Option<u32>,
    /// Up to so many seconds later, a different number each time.
    #[serde(default)]
    pub jitter: u32,
    /// A time of the calendar that passed while the machine was off is made up for, once.
    #[serde(default)]
    pub persistent: bool,
}
