//! Containers.

use serde::Serialize;
use std::collections::BTreeMap;

/// One line of `docker ps`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Summary {
    /// 64 hexadecimal digits.
    pub id: String,
    /// One name, with a leading slash.
    pub names: Vec<String>,
    /// `hull/<service>:<version>`.
    pub image: String,
    /// `sha256:` and 64 hexadecimal digits.
    #[serde(rename = "ImageID")]
    pub image_id: String,
    /// Program and arguments.
    pub command: String,
    /// Seconds since 1970.
    pub created: i64,
    /// Always empty.
    pub ports: [(); 0],
    /// Description and the like.
    pub labels: BTreeMap<String, String>,
    /// `created`, `running`, `paused`, `restarting` or `exited`.
    pub state: String,
    /// For people.
    pub status: String,
    /// Network mode only.
    pub host_config: SummaryHostConfig,
    /// Always empty.
    pub network_settings: NetworkSettings,
    /// As in [`Inspect`].
    pub mounts: Vec<Mount>,
}

/// The part of the host configuration a summary has.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct SummaryHostConfig {
    /// `host` or `none`.
    pub network_mode: String,
}

/// No service is on a network of its own.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct NetworkSettings {
    /// Empty.
    pub networks: BTreeMap<String, ()>,
}

/// `docker inspect`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Inspect {
    /// 64 hexadecimal digits.
    pub id: String,
    /// RFC 3339.
    pub created: String,
    /// Program.
    pub path: String,
    /// Its arguments.
    pub args: Vec<String>,
    /// What it does now.
    pub state: State,
    /// Id of the image.
    pub image: String,
    /// With a leading slash.
    pub name: String,
    /// Starts after the first.
    pub restart_count: u32,
    /// `erofs`: the verified root.
    pub driver: &'static str,
    /// `linux`.
    pub platform: &'static str,
    /// File of the log.
    pub log_path: String,
    /// How it is confined.
    pub host_config: HostConfig,
    /// Mounts beyond the standard ones.
    pub mounts: Vec<Mount>,
    /// What it is.
    pub config: Config,
    /// Empty.
    pub network_settings: NetworkSettings,
}

/// State of a container.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct State {
    /// `created`, `running`, `paused`, `restarting` or `exited`.
    pub status: String,
    /// It has a process.
    pub running: bool,
    /// Its processes are frozen.
    pub paused: bool,
    /// It waits to be started again.
    pub restarting: bool,
    /// A process of this run, or of the last one, was killed for want of memory.
    #[serde(rename = "OOMKilled")]
    pub oom_killed: bool,
    /// It will not be started again by itself, and ended badly.
    pub dead: bool,
    /// First process in the host's numbering, or 0.
    pub pid: i32,
    /// Of the last run.
    pub exit_code: i32,
    /// Why it is not well.
    pub error: String,
    /// RFC 3339.
    pub started_at: String,
    /// RFC 3339.
    pub finished_at: String,
    /// Where it has a check.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub health: Option<Health>,
}

/// Health of a container.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Health {
    /// `starting`, `healthy` or `unhealthy`.
    pub status: String,
    /// Failed checks in a row.
    pub failing_streak: u32,
    /// Not kept.
    pub log: [(); 0],
}

/// How it is confined.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct HostConfig {
    /// `host` or `none`.
    pub network_mode: String,
    /// Policy.
    pub restart_policy: RestartPolicy,
    /// Of its log.
    pub log_config: LogConfig,
    /// Exactly these.
    pub cap_add: Vec<String>,
    /// `ALL`.
    pub cap_drop: Vec<String>,
    /// Never.
    pub privileged: bool,
    /// Always.
    pub readonly_rootfs: bool,
    /// `no-new-privileges`, the filter.
    pub security_opt: Vec<String>,
    /// Bytes; 0 is no limit.
    pub memory: u64,
    /// Processes; 0 is no limit.
    pub pids_limit: u64,
    /// -1000 to 1000.
    pub oom_score_adj: i32,
    /// `/services/<name>`.
    pub cgroup_parent: String,
    /// Hidden paths.
    pub masked_paths: Vec<String>,
    /// Read-only paths.
    pub readonly_paths: Vec<String>,
}

/// Restart policy in Docker's words.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct RestartPolicy {
    /// `always`, `on-failure` or `no`.
    pub name: &'static str,
    /// No maximum.
    pub maximum_retry_count: u32,
}

/// Log driver in Docker's words.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct LogConfig {
    /// `json-file`.
    #[serde(rename = "Type")]
    pub kind: &'static str,
    /// Size and number of files.
    pub config: BTreeMap<String, String>,
}

/// A mount.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Mount {
    /// `bind`, `tmpfs` or `overlay`.
    #[serde(rename = "Type")]
    pub kind: String,
    /// Host path.
    pub source: String,
    /// Path in the container.
    pub destination: String,
    /// All options.
    pub mode: String,
    /// Writable.
    #[serde(rename = "RW")]
    pub rw: bool,
    /// `private`, `slave` or `shared`.
    pub propagation: String,
}

/// What the container is.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Config {
    /// UTS name.
    pub hostname: String,
    /// `uid:gid`.
    pub user: String,
    /// Never.
    pub tty: bool,
    /// Never.
    pub open_stdin: bool,
    /// Environment.
    pub env: Vec<String>,
    /// Program and arguments.
    pub cmd: Vec<String>,
    /// `hull/<service>:<version>`.
    pub image: String,
    /// Working directory.
    pub working_dir: String,
    /// Description and the like.
    pub labels: BTreeMap<String, String>,
    /// By name.
    pub stop_signal: String,
    /// Seconds.
    pub stop_timeout: u32,
}

/// `GET /containers/{id}/top`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Top {
    /// Column heads.
    pub titles: [&'static str; 8],
    /// Rows.
    pub processes: Vec<[String; 8]>,
}

/// Answer of `POST /containers/{id}/wait`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct WaitResult {
    /// Exit code, or 128 and the signal.
    pub status_code: i32,
}
