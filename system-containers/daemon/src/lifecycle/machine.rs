//! One service's life as a pure state machine: events in, actions out; no clock, no process, no file.
//!
//! ```text
//!            Admit            Launched          Ready
//!  Waiting ────────▶ Starting ────────▶ Started ─────▶ Ready
//!     ▲                ▲  │ failed         │  │          │ exit
//!     │                │  ▼                │  └───┐      ▼
//!     │   elapsed   BackOff ◀──────────────┘ exit │    Ended (ran to its end) / Failed (no restart wanted)
//!     │                                           │
//!   first     Stop, Restart, ready timeout, fault ▼
//!                                              Stopping ──exit──▶ Stopped / Starting / BackOff
//! ```
//! A service with a timer, or that is started with another, begins as Idle; Wanted makes it Waiting, from Ended and Failed too.

use hull_service::Restart;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// First delay before a restart; doubles with every failure in a row.
pub const FIRST_DELAY: Duration = Duration::from_millis(100);
/// Longest delay before a restart.
pub const LAST_DELAY: Duration = Duration::from_secs(30);
/// A run of this length (seconds) forgets the failures before it.
pub const STABLE_SECONDS: u64 = 60;
/// So many failures in a row and the service is shown as failed; it is still tried again at the longest delay.
pub const SHOWN_FAILED: u32 = 10;
/// So many failures in a row (about a third of a second of retries) and those that start `after` it wait no longer.
pub const SETTLED_FAILURES: u32 = 3;

/// Where a service is in its life.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Phase {
    /// For its dependencies.
    #[default]
    Waiting,
    /// For its timer, or for a service with which it is started.
    Idle,
    /// The container is being made.
    Starting,
    /// Its process runs; it is not ready yet.
    Started,
    /// It runs and is ready.
    Ready,
    /// It was asked to end.
    Stopping,
    /// It ended and will be started again.
    BackOff,
    /// It was stopped on purpose.
    Stopped,
    /// It ran to its end with status 0.
    Ended,
    /// It ended badly and is not started again, or cannot be started at all.
    Failed,
}

/// What follows a stop.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Intent {
    /// Stay up.
    #[default]
    Run,
    /// Stay down.
    Stop,
    /// Start again at once.
    Restart,
    /// It did not become ready in time, or does not work any more: start again by its policy.
    Retry,
}

/// The parts of a definition the machine needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Policy {
    /// Runs to its end once.
    pub oneshot: bool,
    /// What an end that nobody asked for leads to.
    pub restart: Restart,
    /// Whether it may be started again now.
    pub limit: Limit,
}

/// Where a service stands with its start limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Limit {
    /// Another start is all right.
    Within,
    /// It was started too often: only after this time again.
    Rest(Duration),
    /// It was started too often: not again before somebody asks for it.
    GiveUp,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// It is time to start, as soon as its dependencies allow it.
    Wanted,
    /// All dependencies allow the start.
    Admit,
    /// A required service failed; the start waits on.
    Blocked(String),
    /// The first process runs.
    Launched,
    /// The container could not be made.
    LaunchFailed(String),
    /// What it is made of is not what it was: trying again changes nothing.
    Damaged(String),
    /// Notified or probed.
    Ready,
    /// Not ready within its time: it is stopped and tried again.
    ReadyTimeout(String),
    /// It is ready, but does not work: it is stopped and tried again.
    Failing(String),
    /// A run-once service takes long: it goes on, and nobody waits for it any more.
    Slow,
    /// The container is gone; `status` as in wait(2), `None` when nobody saw it, `ran` in seconds.
    Exited {
        /// Raw wait status.
        status: Option<i32>,
        /// Length of the run in seconds.
        ran: u64,
        /// What lies behind the status, where that is known.
        cause: Option<String>,
    },
    /// The restart delay is over.
    BackOffOver,
    /// It did not end within its stop timeout.
    StopTimeout,
    /// Somebody wants it up.
    Start,
    /// Somebody wants it down.
    Stop,
    /// Somebody wants it fresh.
    Restart,
}

/// What the driver has to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Make the container.
    Launch,
    /// Wait for readiness.
    AwaitReady,
    /// It is ready: post-start commands, health checks.
    BecameReady,
    /// Send the stop signal and start the stop timer.
    SignalStop,
    /// Kill everything in the cgroup.
    Kill,
    /// Report [`Event::BackOffOver`] after a delay.
    Delay(Duration),
}

/// State of one service.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Machine {
    /// Where it is.
    pub phase: Phase,
    /// What follows the stop under way, or the start under way.
    pub intent: Intent,
    /// Failures in a row.
    pub failures: u32,
    /// Starts after the first.
    pub restarts: u32,
    /// Grows with every change of phase, so that a timer or probe of an earlier phase is recognized.
    pub epoch: u64,
    /// It once took too long to become ready.
    pub slow: bool,
    /// A required service failed.
    pub blocked: bool,
    /// It was started too often.
    #[serde(default)]
    pub limited: bool,
    /// Why it is not well, or was not.
    pub last_error: Option<String>,
}

impl Machine {
    /// A service that cannot be started at all.
    pub fn broken(reason: String) -> Self {
        Self { phase: Phase::Failed, last_error: Some(reason), ..Self::default() }
    }

    /// Those that start `after` it need not wait for it any more.
    pub fn settled(&self) -> bool {
        matches!(self.phase, Phase::Ready | Phase::Ended | Phase::Failed | Phase::Stopped | Phase::Idle)
            || self.failures >= SETTLED_FAILURES
            || self.slow
            || self.blocked
            || self.limited
    }

    /// Those that require it may start.
    pub fn satisfied(&self) -> bool {
        matches!(self.phase, Phase::Ready | Phase::Ended)
    }

    /// A process of it exists, or is being made.
    pub fn active(&self) -> bool {
        matches!(self.phase, Phase::Starting | Phase::Started | Phase::Ready | Phase::Stopping)
    }

    /// It counts as failed, be it tried again or not.
    pub fn failed(&self) -> bool {
        self.phase == Phase::Failed
            || (self.failures >= SHOWN_FAILED && !self.satisfied())
            || self.blocked
            || self.limited
    }

    /// Applies one event. What does not fit the phase (a late timer, a second stop) changes nothing.
    pub fn apply(&mut self, policy: Policy, event: Event) -> Vec<Action> {
        use Phase::{BackOff, Ended, Failed, Idle, Ready, Started, Starting, Stopped, Stopping, Waiting};
        match (self.phase, event) {
            (Idle | Ended | Failed, Event::Wanted) => {
                self.refresh();
                self.go(Waiting, vec![])
            }
            (Waiting, Event::Admit) => self.launch(false),
            (Waiting, Event::Blocked(reason)) => {
                self.blocked = true;
                self.last_error = Some(reason);
                vec![]
            }
            (Starting, Event::Launched) => match self.intent {
                Intent::Run => self.go(Started, vec![Action::AwaitReady]),
                _ => self.go(Stopping, vec![Action::SignalStop]),
            },
            (Starting, Event::LaunchFailed(reason)) => {
                self.last_error = Some(reason);
                match self.intent {
                    Intent::Stop => self.go(Stopped, vec![]),
                    _ => self.retry(policy),
                }
            }
            (Starting, Event::Damaged(reason)) => {
                self.last_error = Some(reason);
                self.go(if self.intent == Intent::Stop { Stopped } else { Failed }, vec![])
            }
            (Started, Event::Ready) => {
                // A long-lived failure count would hide that it works now; a crash loop keeps it until a stable run.
                self.slow = false;
                self.blocked = false;
                self.limited = false;
                self.go(Ready, vec![Action::BecameReady])
            }
            (Started, Event::ReadyTimeout(reason)) => {
                self.slow = true;
                self.last_error = Some(reason);
                self.stop(Intent::Retry)
            }
            (Ready, Event::Failing(reason)) => {
                self.last_error = Some(reason);
                self.stop(Intent::Retry)
            }
            (Started, Event::Slow) => {
                self.slow = true;
                vec![]
            }
            (Started | Ready, Event::Exited { status, ran, cause }) => self.exited(policy, status, ran, cause),
            (Stopping, Event::Exited { ran, .. }) => match self.intent {
                Intent::Restart => self.launch(true),
                Intent::Retry if policy.restart == Restart::Never => self.go(Failed, vec![]),
                Intent::Retry => {
                    self.forget(ran);
                    self.retry(policy)
                }
                Intent::Run | Intent::Stop => self.go(Stopped, vec![]),
            },
            (Stopping, Event::StopTimeout) => vec![Action::Kill],
            (BackOff, Event::BackOffOver) => self.launch(true),
            (Started | Ready, Event::Stop) => self.stop(Intent::Stop),
            (Started | Ready, Event::Restart) => self.stop(Intent::Restart),
            (Starting | Stopping, Event::Stop) => self.intend(Intent::Stop),
            (Starting, Event::Restart | Event::Start) => self.intend(Intent::Run),
            (Stopping, Event::Restart | Event::Start) => self.intend(Intent::Restart),
            (Waiting | Idle | BackOff | Ended | Failed, Event::Stop) => self.go(Stopped, vec![]),
            (Waiting | Idle | BackOff | Stopped | Ended | Failed, Event::Start | Event::Restart) => {
                let again = !matches!(self.phase, Waiting | Idle);
                self.refresh();
                self.launch(again)
            }
            _ => vec![],
        }
    }

    fn go(&mut self, phase: Phase, actions: Vec<Action>) -> Vec<Action> {
        self.phase = phase;
        self.epoch += 1;
        actions
    }

    /// Forgets what went wrong in starts before.
    fn refresh(&mut self) {
        self.failures = 0;
        self.slow = false;
        self.limited = false;
    }

    fn launch(&mut self, again: bool) -> Vec<Action> {
        self.restarts += u32::from(again);
        self.intent = Intent::Run;
        self.blocked = false;
        self.go(Phase::Starting, vec![Action::Launch])
    }

    fn stop(&mut self, intent: Intent) -> Vec<Action> {
        self.intent = intent;
        self.go(Phase::Stopping, vec![Action::SignalStop])
    }

    fn intend(&mut self, intent: Intent) -> Vec<Action> {
        self.intent = intent;
        vec![]
    }

    fn retry(&mut self, policy: Policy) -> Vec<Action> {
        self.failures = self.failures.saturating_add(1);
        let delay = match policy.limit {
            Limit::Within => delay(self.failures),
            Limit::Rest(time) => {
                self.limit(&format!("tried again in {} s", time.as_secs()));
                time
            }
            Limit::GiveUp => {
                self.limit("not tried again");
                return self.go(Phase::Failed, vec![]);
            }
        };
        self.go(Phase::BackOff, vec![Action::Delay(delay)])
    }

    fn limit(&mut self, consequence: &str) {
        self.limited = true;
        let reason = self.last_error.take().unwrap_or_default();
        self.last_error = Some(format!("{reason}; started too often, {consequence}"));
    }

    /// A long run, in seconds, makes up for the failures before it.
    fn forget(&mut self, ran: u64) {
        if ran >= STABLE_SECONDS {
            self.failures = 0;
        }
    }

    fn exited(&mut self, policy: Policy, status: Option<i32>, ran: u64, cause: Option<String>) -> Vec<Action> {
        let well = status == Some(0);
        if policy.oneshot && well {
            self.last_error = None;
            self.failures = 0;
            self.limited = false;
            return self.go(Phase::Ended, vec![]);
        }
        self.forget(ran);
        let cause = cause.map(|cause| format!(", {cause}")).unwrap_or_default();
        self.last_error = Some(format!("ended: {}{cause}", describe(status)));
        match (policy.restart, well) {
            (Restart::Always, _) | (Restart::OnFailure, false) => self.retry(policy),
            (_, true) => self.go(Phase::Ended, vec![]),
            (Restart::Never, false) => self.go(Phase::Failed, vec![]),
        }
    }
}

/// Delay before the restart that follows the `failures`th failure in a row.
pub fn delay(failures: u32) -> Duration {
    FIRST_DELAY.saturating_mul(1_u32.checked_shl(failures.saturating_sub(1)).unwrap_or(u32::MAX)).min(LAST_DELAY)
}

/// A raw wait status in words.
pub fn describe(status: Option<i32>) -> String {
    match status {
        None => "while the daemon was away".into(),
        Some(raw) if raw & 0x7f == 0 => format!("status {}", (raw >> 8) & 0xff),
        Some(raw) => match nix::sys::signal::Signal::try_from(raw & 0x7f) {
            Ok(signal) => format!("killed by {signal}"),
            Err(_) => format!("killed by signal {}", raw & 0x7f),
        },
    }
}

/// Docker's exit code: the status, or 128 + signal; 255 when unknown.
pub fn exit_code(status: Option<i32>) -> i32 {
    match status {
        None => 255,
        Some(raw) if raw & 0x7f == 0 => (raw >> 8) & 0xff,
        Some(raw) => 128 + (raw & 0x7f),
    }
}

#[cfg(test)]
#[path = "machine_tests.rs"]
mod tests;
