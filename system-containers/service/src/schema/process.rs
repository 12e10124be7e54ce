//! `[[process]]` and `[run]`: what runs, and how it is run and stopped.

use super::Probe;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// One process of the container.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Process {
    /// Unique within the service.
    pub name: String,
    /// Program (absolute path) and arguments.
    pub command: Vec<String>,
    /// Added to `[run] environment`.
    #[serde(default)]
    pub environment: BTreeMap<String, String>,
    /// Processes of the same service to be ready, or for run-once ones ended, before this one.
    #[serde(default)]
    pub after: Vec<String>,
    /// Runs to its end once; what waits for it goes on whatever its exit status, which is logged.
    #[serde(default)]
    pub oneshot: bool,
    /// Controlling terminal, such as `/dev/ttyS0`; the process is not started while the device is missing.
    #[serde(default)]
    pub tty: Option<String>,
    /// What to do when it ends. Ignored for a single-process service, whose `[run] restart` counts.
    #[serde(default)]
    pub restart: Restart,
    /// When this process counts as ready (several processes only).
    #[serde(default)]
    pub ready: Option<Probe>,
}

/// Restart policy.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Restart {
    /// Whenever it ends without having been asked to.
    #[default]
    Always,
    /// Only on a signal or a status other than 0.
    OnFailure,
    /// Never.
    Never,
}

/// How the container is run and stopped.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct Run {
    /// `uid:gid`, numeric.
    pub user: String,
    /// Environment of every process.
    pub environment: BTreeMap<String, String>,
    /// Working directory.
    pub working_directory: String,
    /// Signal that asks for an orderly end.
    pub stop_signal: String,
    /// Seconds between the stop signal and the kill of the whole cgroup.
    pub stop_timeout: u32,
    /// What the daemon does when the container ends.
    pub restart: Restart,
    /// Starts without having been asked for within `start-limit-interval` that are enough; 0: any number.
    pub start_limit_burst: u32,
    /// Seconds.
    pub start_limit_interval: u32,
    /// Commands run inside the container once it is ready; a failure is reported, not fatal.
    pub post_start: Vec<Vec<String>>,
    /// Descriptors the service may leave with the system by `FDSTORE=1` (sd_notify(3)) and get back when it is started
    /// again.
    pub fd_store_max: u32,
    /// Files of the image fetched from the disk while the service waits for others at boot, as in `[image] files`.
    pub read_ahead: Vec<String>,
}

impl Default for Run {
    fn default() -> Self {
        Self {
            user: "0:0".into(),
            environment: BTreeMap::new(),
            working_directory: "/".into(),
            stop_signal: "SIGTERM".into(),
            stop_timeout: 10,
            restart: Restart::Always,
            start_limit_burst: 10,
            start_limit_interval: 300,
            post_start: Vec::new(),
            fd_store_max: 0,
            read_ahead: Vec::new(),
        }
    }
}
