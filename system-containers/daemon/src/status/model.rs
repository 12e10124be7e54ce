//! Shape of `GET /hull/status`.

use super::change::PendingChange;
use super::pressure::Pressure;
use crate::lifecycle::HealthState;
use crate::lifecycle::boot::Word;
use serde::Serialize;
use serde_json::{Map, Value};

/// The answer.
#[derive(Debug, Serialize)]
pub struct Status {
    /// Version of the image.
    pub version: String,
    /// `a` or `b`.
    pub slot: String,
    /// Hexadecimal.
    pub root_hash: String,
    /// What dm-verity says; absent where the root is not verified or cannot be asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub root_state: Option<RootState>,
    /// State of the boot.
    pub boot: Word,
    /// Seconds since kernel entry.
    pub since_boot_seconds: f64,
    /// The state partition, as PID 1 says it.
    pub state: Value,
    /// The user data of this boot.
    pub user_data: UserData,
    /// The change of the machine configuration that waits to be confirmed.
    pub pending_change: Option<PendingChange>,
    /// All services by name.
    pub services: Vec<ServiceStatus>,
    /// What work waits for.
    pub pressure: Vec<Pressure>,
    /// What people should know.
    pub messages: Vec<Message>,
    /// Microseconds since kernel entry; `ready` holds those of services.
    pub times_us: Map<String, Value>,
}

/// What cloud-config says of the user data; empty texts before it has run.
#[derive(Debug, Serialize)]
pub struct UserData {
    /// Such as `nocloud:/dev/vdb`, `cached` or `none`.
    pub datasource: String,
    /// Identity of the instance.
    pub instance_id: String,
    /// `pending`, `running`, `done` or `failed`.
    pub commands: String,
}

/// State of the verified root.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum RootState {
    /// Every block read so far was right.
    Verified,
    /// A block was wrong; reading it failed.
    Corrupted,
}

/// One service.
#[derive(Debug, Serialize)]
pub struct ServiceStatus {
    /// Name.
    pub name: String,
    /// Phase of its life; `failed` also while a crash loop is tried again.
    pub state: String,
    /// Result of its checks.
    pub health: HealthState,
    /// First became ready, microseconds since kernel entry.
    pub ready_us: Option<u64>,
    /// Starts after the first.
    pub restarts: u32,
    /// First process in the host's numbering.
    pub pid: Option<i32>,
    /// Part of a complete boot.
    pub required: bool,
    /// When its timer runs it next, RFC 3339.
    pub next_run: Option<String>,
    /// Last `STATUS=` it sent.
    pub status: Option<String>,
    /// Why it is not well, or was not.
    pub last_error: Option<String>,
}

/// A message for people.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Message {
    /// `error`, `warning` or `info`.
    pub severity: String,
    /// Who says it, or what it is about.
    pub source: String,
    /// One line.
    pub text: String,
}
