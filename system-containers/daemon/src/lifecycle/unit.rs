//! One service as the supervisor sees it.

use super::boot;
use super::fd_store::FdStore;
use super::machine::{Machine, Phase, Policy};
use super::oom;
use super::record::Record;
use hull_service::{Kind, Service};
use rustix::fd::OwnedFd;
use rustix::process::Pid;
use serde::Serialize;
use tokio::task::JoinHandle;
use tokio::time::Instant;

/// The user engine; its readiness is part of a complete boot whatever its definition says.
pub const ENGINE: &str = "docker";

/// Result of health checks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum HealthState {
    /// The service has no check.
    None,
    /// No check has passed yet.
    Starting,
    /// The last check passed, or too few in a row failed.
    Healthy,
    /// As many checks in a row failed as its definition says.
    Unhealthy,
}

impl HealthState {
    /// In Docker's words.
    pub fn word(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Starting => "starting",
            Self::Healthy => "healthy",
            Self::Unhealthy => "unhealthy",
        }
    }
}

/// One service.
#[derive(Debug)]
pub struct Unit {
    /// Its definition; `None` for a broken one.
    pub definition: Option<Service>,
    /// State that outlives the daemon.
    pub record: Record,
    /// First process of the running container.
    pub pidfd: Option<OwnedFd>,
    /// `READY=1` came.
    pub notified: bool,
    /// Last `STATUS=`.
    pub status: Option<String>,
    /// Last `WATCHDOG=1`.
    pub last_sign: Instant,
    /// Descriptors it left.
    pub fd_store: FdStore,
    /// Health.
    pub health: HealthState,
    /// Failed checks in a row and what the last one said.
    pub health_failures: (u32, String),
    /// Looks for processes killed for want of memory while the container runs.
    pub oom: Option<oom::Watch>,
    /// Wakes it.
    pub oom_task: Option<JoinHandle<()>>,
    /// Receives notifications while the container runs.
    pub listener: Option<JoinHandle<()>>,
    /// Timers, probes and checks that end with the phase.
    pub tasks: Vec<JoinHandle<()>>,
}

impl Unit {
    /// A service that can be started.
    pub fn new(definition: Service, record: Record) -> Self {
        let probed = definition.health.as_ref().is_some_and(|health| health.probe.is_some());
        let health = if probed { HealthState::Starting } else { HealthState::None };
        Self {
            definition: Some(definition),
            record,
            pidfd: None,
            notified: false,
            status: None,
            last_sign: Instant::now(),
            fd_store: FdStore::default(),
            health,
            health_failures: (0, String::new()),
            oom: None,
            oom_task: None,
            listener: None,
            tasks: Vec::new(),
        }
    }

    /// A service that cannot.
    pub fn broken(reason: String) -> Self {
        Self {
            definition: None,
            record: Record { machine: Machine::broken(reason), ..Record::fresh() },
            pidfd: None,
            notified: false,
            status: None,
            last_sign: Instant::now(),
            fd_store: FdStore::default(),
            health: HealthState::None,
            health_failures: (0, String::new()),
            oom: None,
            oom_task: None,
            listener: None,
            tasks: Vec::new(),
        }
    }

    /// For the state machine.
    pub fn policy(&self) -> Option<Policy> {
        let service = self.definition.as_ref()?;
        Some(Policy { oneshot: service.kind == Kind::Oneshot, restart: service.run.restart })
    }

    /// First process while the container runs.
    pub fn init(&self) -> Option<Pid> {
        let running = matches!(self.record.machine.phase, Phase::Started | Phase::Ready | Phase::Stopping);
        self.record.pid.filter(|_| running).and_then(Pid::from_raw)
    }

    /// Part of a complete boot.
    pub fn required(&self, name: &str) -> bool {
        // A broken definition cannot say that it is not required.
        name == ENGINE || self.definition.as_ref().is_none_or(|service| service.required)
    }

    /// For the decision whether the boot is done.
    pub fn boot_input(&self, name: &str) -> boot::Input {
        let machine = &self.record.machine;
        let well = match (machine.satisfied(), self.health) {
            (false, _) | (_, HealthState::Unhealthy) => Some(false),
            (true, HealthState::Starting) if machine.phase == Phase::Ready => None,
            (true, _) => Some(true),
        };
        boot::Input { name: name.into(), required: self.required(name), settled: machine.settled(), well }
    }

    /// Stops everything that belongs to the phase that ended.
    pub fn end_tasks(&mut self) {
        self.tasks.drain(..).for_each(|task| task.abort());
    }
}
