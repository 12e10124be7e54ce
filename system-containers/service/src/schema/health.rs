//! `[ready]` and `[health]`: when the service counts as ready, and as well.

use serde::{Deserialize, Serialize};

/// Readiness.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Ready {
    /// Wait for `READY=1` on `$NOTIFY_SOCKET` (sd_notify(3)).
    #[serde(default)]
    pub notify: bool,
    /// Or try this probe until it passes.
    #[serde(default)]
    pub probe: Option<Probe>,
    /// Seconds until the start counts as failed.
    #[serde(default = "default_ready_timeout")]
    pub timeout: u32,
}

fn default_ready_timeout() -> u32 {
    60
}

/// One way to ask whether something answers; exactly one key is set.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Probe {
    /// Command in the container; passes with status 0.
    Exec(Vec<String>),
    /// `address:port` that accepts, tried in the container's network namespace.
    Tcp(String),
    /// `address:port/request-path` answered with HTTP status 200, tried as `tcp` is.
    Http(String),
    /// Unix socket path in the container that accepts.
    Unix(String),
    /// Path in the container that exists.
    Path(String),
    /// `unix-socket-path:request-path` answered with HTTP status 200.
    HttpUnix(String),
}

/// Watching a running service.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Health {
    /// What is asked.
    #[serde(default)]
    pub probe: Option<Probe>,
    /// Seconds between two `WATCHDOG=1` of the service (sd_notify(3)); without one it is stopped and started again by
    /// its restart policy.
    #[serde(default)]
    pub watchdog: Option<u32>,
    /// Seconds between two checks.
    #[serde(default = "default_interval")]
    pub interval: u32,
    /// Seconds until one check counts as failed.
    #[serde(default = "default_timeout")]
    pub timeout: u32,
    /// Failures in a row that make it unhealthy.
    #[serde(default = "default_retries")]
    pub retries: u32,
    /// Successes in a row that make it healthy again.
    #[serde(default = "default_successes")]
    pub successes: u32,
    /// An unhealthy service is stopped and started again by its restart policy.
    #[serde(default)]
    pub restart: bool,
}

fn default_interval() -> u32 {
    30
}

fn default_timeout() -> u32 {
    10
}

fn default_retries() -> u32 {
    3
}

fn default_successes() -> u32 {
    1
}
