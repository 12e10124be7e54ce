//! One service as the supervisor sees it.

use super::boot;
use super::fd_store::FdStore;
use super::machine::{Limit, Machine, Phase, Policy};
use super::oom;
use super::process::Init;
use super::ready::Streak;
use super::record::Record;
use super::timer::Schedule;
use hull_image_store::Origin;
use hull_service::{Kind, Run, Service};
use rustix::fd::OwnedFd;
use rustix::process::Pid;
use serde::Serialize;
use std::io;
use std::time::Duration;
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
    /// Of a service the owner added: where its image is from; `Some(None)` when that cannot be read.
    pub added: Option<Option<Origin>>,
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
    /// Checks with the same result in a row.
    pub health_streak: Streak,
    /// Looks for processes killed for want of memory while the container runs.
    pub oom: Option<oom::Watch>,
    /// Wakes it.
    pub oom_task: Option<JoinHandle<()>>,
    /// When it is run next, if it has a timer.
    pub schedule: Option<Schedule>,
    /// Receives notifications while the container runs.
    pub listener: Option<JoinHandle<()>>,
    /// Timers, probes and checks that end with the phase.
    pub tasks: Vec<JoinHandle<()>>,
}

impl Unit {
    /// A service that can be started.
    pub fn new(definition: Service, mut record: Record) -> Self {
        let machine = &mut record.machine;
        let later = definition.timer.is_some() || !definition.wanted_by.is_empty() || definition.on_demand;
        if later && machine.phase == Phase::Waiting && machine.epoch == 0 {
            machine.phase = Phase::Idle;
        }
        let probed = definition.health.as_ref().is_some_and(|health| health.probe.is_some());
        let health = if probed { HealthState::Starting } else { HealthState::None };
        Self {
            definition: Some(definition),
            added: None,
            record,
            pidfd: None,
            notified: false,
            status: None,
            last_sign: Instant::now(),
            fd_store: FdStore::default(),
            health,
            health_streak: Streak::default(),
            oom: None,
            oom_task: None,
            schedule: None,
            listener: None,
            tasks: Vec::new(),
        }
    }

    /// A service that cannot.
    pub fn broken(reason: String) -> Self {
        Self {
            definition: None,
            added: None,
            record: Record { machine: Machine::broken(reason), ..Record::fresh() },
            pidfd: None,
            notified: false,
            status: None,
            last_sign: Instant::now(),
            fd_store: FdStore::default(),
            health: HealthState::None,
            health_streak: Streak::default(),
            oom: None,
            oom_task: None,
            schedule: None,
            listener: None,
            tasks: Vec::new(),
        }
    }

    /// For the state machine; `now` in microseconds of `CLOCK_BOOTTIME`.
    pub fn policy(&self, name: &str, now: u64) -> Option<Policy> {
        let service = self.definition.as_ref()?;
        let limit = self.start_limit(name, &service.run, now);
        Some(Policy { oneshot: service.kind == Kind::Oneshot, restart: service.run.restart, limit })
    }

    /// What the starts so far mean for another one.
    fn start_limit(&self, name: &str, run: &Run, now: u64) -> Limit {
        let since = now.saturating_sub(u64::from(run.start_limit_interval) * 1_000_000);
        let recent = self.record.starts.iter().filter(|start| **start >= since).count();
        let burst = usize::try_from(run.start_limit_burst).unwrap_or(usize::MAX);
        if burst == 0 || recent < burst {
            Limit::Within
        } else if self.required(name) {
            Limit::Rest(Duration::from_secs(run.start_limit_interval.into()))
        } else {
            Limit::GiveUp
        }
    }

    /// Remembers a start, for the start limit; `now` as in [`policy`](Self::policy).
    pub fn count_start(&mut self, now: u64) {
        let burst = self.definition.as_ref().map_or(0, |service| service.run.start_limit_burst);
        let burst = usize::try_from(burst).unwrap_or(usize::MAX);
        let starts = &mut self.record.starts;
        starts.push(now);
        starts.drain(..starts.len().saturating_sub(burst));
    }

    /// First process while the container runs.
    pub fn init(&self) -> Option<Pid> {
        let running = matches!(self.record.machine.phase, Phase::Started | Phase::Ready | Phase::Stopping);
        self.record.pid.filter(|_| running).and_then(Pid::from_raw)
    }

    /// The same to be entered: with the descriptor that says whether it still is that process.
    pub fn process(&self) -> Option<io::Result<Init>> {
        let (pid, pidfd) = (self.init()?, self.pidfd.as_ref()?);
        Some(pidfd.try_clone().map(|pidfd| Init::new(pid, pidfd)))
    }

    /// Part of a complete boot.
    pub fn required(&self, name: &str) -> bool {
        // A broken definition of the OS cannot say that it is not required.
        let broken = self.added.is_none();
        name == ENGINE || self.definition.as_ref().map_or(broken, |service| service.required)
    }

    /// For the decision whether the boot is done.
    pub fn boot_input(&self, name: &str) -> boot::Input {
        let machine = &self.record.machine;
        let well = match (machine.satisfied(), self.health) {
            // Nothing is asked of it yet.
            (false, _) if machine.phase == Phase::Idle => Some(true),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn starts_in_the_interval_count_and_required_services_are_never_given_up() {
        let text = "description = \"x\"\n[[process]]\nname = \"a\"\ncommand = [\"/a\"]\n\
                    [run]\nstart-limit-burst = 2\nstart-limit-interval = 10\n";
        let mut unit = Unit::new(hull_service::parse("test", text).unwrap(), Record::fresh());
        let seconds = |seconds: u64| seconds * 1_000_000;
        let mut limits = Vec::new();
        for start in [0, 20, 25, 26] {
            unit.count_start(seconds(start));
            limits.push(unit.policy("a", seconds(start + 1)).unwrap().limit);
        }
        assert_eq!(limits, [Limit::Within, Limit::Within, Limit::GiveUp, Limit::GiveUp]);
        assert_eq!(unit.record.starts, [seconds(25), seconds(26)]);
        assert_eq!(unit.policy(ENGINE, seconds(27)).unwrap().limit, Limit::Rest(Duration::from_secs(10)));
        assert_eq!(unit.policy("a", seconds(36)).unwrap().limit, Limit::Within);
    }
}
