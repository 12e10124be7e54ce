//! Waiting for readiness, and what accompanies a ready service: post-start commands and health checks.

use super::exec;
use super::machine::Event;
use super::system::System;
use super::unit::HealthState;
use crate::plan::{self, Command, PROCESS_READY_TIMEOUT};
use crate::readiness::probe;
use hull_runtime::cgroup;
use hull_service::{Health, Kind, Probe, Service};
use std::io;
use std::rc::Rc;
use std::time::Duration;

/// First pause between two tries of a readiness probe, doubled up to the last.
const FIRST_PAUSE: Duration = Duration::from_millis(25);
/// Longest pause between two tries.
const LAST_PAUSE: Duration = Duration::from_millis(400);
/// Seconds a run-once service keeps others waiting; it itself goes on.
const ONESHOT_TIMEOUT: u32 = 60;
/// Pause before the next health check while none has passed: a boot is not complete before.
const UNKNOWN_PAUSE: Duration = Duration::from_millis(500);
/// Time a post-start command gets.
const POST_START_TIMEOUT: Duration = Duration::from_secs(60);

/// Reports [`Event::Ready`], or that it took too long.
pub async fn await_ready(system: Rc<System>, name: String, epoch: u64) {
    let Some(Some((service, notified))) =
        system.with(&name, |unit| unit.definition.clone().map(|service| (service, unit.notified)))
    else {
        return;
    };
    let limit = service.ready.as_ref().map(|ready| ready.timeout);
    let wait = |seconds: u32| tokio::time::sleep(Duration::from_secs(seconds.into()));
    if service.kind == Kind::Oneshot {
        wait(limit.unwrap_or(ONESHOT_TIMEOUT)).await;
        return system.post_in(&name, Some(epoch), Event::Slow);
    }
    let probed = service.ready.as_ref().and_then(|ready| ready.probe.as_ref());
    let limit = limit.unwrap_or(PROCESS_READY_TIMEOUT);
    let late = match probed {
        None if notified || !plan::notifies(&service) => return system.post_in(&name, Some(epoch), Event::Ready),
        None => {
            wait(limit).await;
            "it sent no READY=1".to_owned()
        }
        Some(probe) => {
            let mut last = String::from("no probe was answered");
            tokio::select! {
                () = wait(limit) => {}
                () = until_passed(&system, &name, probe, &mut last) => {
                    return system.post_in(&name, Some(epoch), Event::Ready);
                }
            }
            last
        }
    };
    system.post_in(&name, Some(epoch), Event::ReadyTimeout(format!("not ready within {limit} s: {late}")));
}

async fn until_passed(system: &Rc<System>, name: &str, probe: &Probe, last: &mut String) {
    let mut pause = FIRST_PAUSE;
    while let Err(error) = ask(system, name, probe).await {
        *last = error.to_string();
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(LAST_PAUSE);
    }
}

/// Tries one probe once.
async fn ask(system: &Rc<System>, name: &str, probe: &Probe) -> io::Result<()> {
    let init = system.with(name, |unit| unit.process()).flatten().ok_or(io::ErrorKind::NotConnected)??;
    match probe {
        Probe::Path(path) => probe::path(&init, path),
        Probe::Unix(path) => probe::unix(&init, path).await.map(drop),
        Probe::Tcp(address) => probe::tcp(address).await,
        Probe::Http(text) => probe::http(text).await,
        Probe::HttpUnix(text) => probe::http_unix(&init, text).await,
        Probe::Exec(command) => run(system, name, command).await,
    }
}

async fn run(system: &Rc<System>, name: &str, command: &[String]) -> io::Result<()> {
    let program = command.first().map_or("", String::as_str);
    let command = Command { arguments: command.to_vec(), ..Command::default() };
    match exec::status(system, name, command).await? {
        0 => Ok(()),
        code => Err(io::Error::other(format!("{program}: status {code}"))),
    }
}

/// Takes back what a service gets only until it is ready.
pub fn end_startup(system: &System, name: &str, service: &Service) {
    if service.limits.startup_cpu_weight.is_some() {
        if let Err(error) = cgroup::set_cpu_weight(&system.paths.cgroup.join(name), service.limits.cpu_weight) {
            log::warn!("{name}: {error}");
        }
    }
}

/// Runs as long as the service is ready: post-start commands once, then its health checks.
pub async fn accompany(system: Rc<System>, name: String, epoch: u64) {
    let Some(Some(service)) = system.with(&name, |unit| unit.definition.clone()) else { return };
    end_startup(&system, &name, &service);
    for command in &service.run.post_start {
        match tokio::time::timeout(POST_START_TIMEOUT, run(&system, &name, command)).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => log::warn!("{name}: post-start: {error}"),
            Err(_) => log::warn!("{name}: post-start: {} takes too long", command.join(" ")),
        }
    }
    watch_health(&system, &name, epoch, &service).await;
}

/// Checks the health of a ready service that has a probe, until the task is ended with its phase.
pub async fn watch_health(system: &Rc<System>, name: &str, epoch: u64, service: &Service) {
    let Some((health, probe)) = service.health.as_ref().and_then(|health| Some((health, health.probe.as_ref()?)))
    else {
        return;
    };
    system.with(name, |unit| {
        unit.health = HealthState::Starting;
        unit.health_streak = Streak::default();
    });
    loop {
        if system.with(name, |unit| unit.record.paused) == Some(true) {
            tokio::time::sleep(UNKNOWN_PAUSE).await;
            continue;
        }
        let limit = Duration::from_secs(health.timeout.into());
        let result = match tokio::time::timeout(limit, ask(system, name, probe)).await {
            Ok(result) => result.map_err(|error| error.to_string()),
            Err(_) => Err(format!("no answer within {} s", health.timeout)),
        };
        let Some((before, after)) = system.with(name, |unit| {
            let before = unit.health;
            unit.health_streak.count(result.is_ok());
            if let Err(reason) = &result {
                unit.health_streak.reason.clone_from(reason);
            }
            unit.health = unit.health_streak.judge(before, health);
            (before, unit.health)
        }) else {
            return;
        };
        if before != after {
            system.tell(name, format!("health_status: {}", after.word()), &[]);
            match (&after, &result) {
                (HealthState::Unhealthy, Err(reason)) => log::warn!("{name}: unhealthy: {reason}"),
                _ => log::debug!("{name}: {after:?}"),
            }
            system.look_again();
            if let (HealthState::Unhealthy, true, Err(reason)) = (after, health.restart, &result) {
                system.post_in(name, Some(epoch), Event::Failing(format!("unhealthy: {reason}")));
            }
        }
        let unknown = after == HealthState::Starting;
        tokio::time::sleep(if unknown { UNKNOWN_PAUSE } else { Duration::from_secs(health.interval.into()) }).await;
    }
}

/// Checks with the same result in a row.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Streak {
    /// Failed ones, 0 after a success.
    pub failures: u32,
    successes: u32,
    /// What the last failed one said.
    pub reason: String,
}

impl Streak {
    fn count(&mut self, passed: bool) {
        (self.failures, self.successes) = match passed {
            true => (0, self.successes.saturating_add(1)),
            false => (self.failures.saturating_add(1), 0),
        };
    }

    /// Health after a check; the first success of all is enough.
    fn judge(&self, before: HealthState, health: &Health) -> HealthState {
        match before {
            _ if self.failures >= health.retries => HealthState::Unhealthy,
            HealthState::Unhealthy if self.successes < health.successes => before,
            _ if self.successes > 0 => HealthState::Healthy,
            _ => before,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::HealthState::{Healthy, Starting, Unhealthy};
    use super::*;

    #[test]
    fn health_changes_after_as_many_results_in_a_row_as_defined() {
        let (probe, watchdog) = (Some(Probe::Path("/x".into())), None);
        let health = Health { probe, watchdog, interval: 1, timeout: 1, retries: 3, successes: 2, restart: false };
        let mut streak = Streak::default();
        let mut state = Starting;
        for (step, (passed, expected)) in [
            (false, Starting),
            (true, Healthy),
            (false, Healthy),
            (false, Healthy),
            (false, Unhealthy),
            (true, Unhealthy),
            (false, Unhealthy),
            (true, Unhealthy),
            (true, Healthy),
        ]
        .into_iter()
        .enumerate()
        {
            streak.count(passed);
            state = streak.judge(state, &health);
            assert_eq!(state, expected, "{step}");
        }
    }
}
