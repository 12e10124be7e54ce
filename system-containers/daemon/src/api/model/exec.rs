//! Execs.

use serde::{Deserialize, Serialize};

/// Body of `POST /containers/{id}/exec`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct Create {
    /// The client sends input.
    pub attach_stdin: bool,
    /// The client wants output.
    pub attach_stdout: bool,
    /// The client wants errors.
    pub attach_stderr: bool,
    /// With a terminal.
    pub tty: bool,
    /// Height and width of it.
    pub console_size: Option<[u16; 2]>,
    /// Added to the service's environment.
    pub env: Option<Vec<String>>,
    /// Program and arguments.
    pub cmd: Option<Vec<String>>,
    /// `uid`, `uid:gid` or `root`; empty is the service's own.
    pub user: Option<String>,
    /// Empty is the service's own.
    pub working_dir: Option<String>,
    /// Refused.
    pub privileged: bool,
}

/// Answer to it.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Created {
    /// 64 hexadecimal digits.
    pub id: String,
}

/// Body of `POST /exec/{id}/start`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct Start {
    /// Run without a connection.
    pub detach: bool,
    /// Height and width of the terminal.
    pub console_size: Option<[u16; 2]>,
}

/// `GET /exec/{id}/json`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Inspect {
    /// 64 hexadecimal digits.
    #[serde(rename = "ID")]
    pub id: String,
    /// It has not ended.
    pub running: bool,
    /// Of its end.
    pub exit_code: Option<i32>,
    /// What runs.
    pub process_config: ProcessConfig,
    /// As asked for.
    pub open_stdin: bool,
    /// As asked for.
    pub open_stdout: bool,
    /// As asked for.
    pub open_stderr: bool,
    /// The service's container.
    #[serde(rename = "ContainerID")]
    pub container_id: String,
    /// Process in the host's numbering, or 0.
    pub pid: i32,
}

/// What runs.
#[derive(Debug, Serialize)]
pub struct ProcessConfig {
    /// With a terminal.
    pub tty: bool,
    /// Program.
    pub entrypoint: String,
    /// Arguments.
    pub arguments: Vec<String>,
    /// Never.
    pub privileged: bool,
}
