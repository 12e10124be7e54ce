//! Which process is to be started, restarted or stopped next: a pure state machine.
//!
//! One [`Slot`] per `[[process]]`, in file order (the parser lets `after` name processes further up only, so the
//! order has no cycles). Time is a [`Duration`] since any fixed point, given by the caller.
//!
//! ```text
//!            after satisfied, tty there            exit, to be restarted
//!  Waiting ──────────────────────────▶ Running ───────────────────────────▶ BackOff
//!     ▲ └─ tty missing: asked again       │ exit, run-once or not restarted    │
//!     │    after TTY_INTERVAL             ▼                                    │
//!     │                                 Ended ◀── stop ────────────────────────┤
//!     └────────────────────────────────────────────────────────────────────────┘ delay over
//! ```

use hull_service::{Probe, Process, Restart};
use std::time::Duration;

/// First delay before a restart; doubles up to [`BACK_OFF_MAX`].
const BACK_OFF_MIN: Duration = Duration::from_millis(100);
/// Longest delay: a process that keeps failing costs next to nothing, and is back soon once its cause is gone.
const BACK_OFF_MAX: Duration = Duration::from_secs(10);
/// A run this long counts as healthy: the next delay is the shortest again.
const HEALTHY_RUN: Duration = Duration::from_secs(5);
/// How often a missing terminal is looked for: an adapter that is plugged in gets its login within that time.
const TTY_INTERVAL: Duration = Duration::from_secs(5);
/// Between two tries of a readiness probe, at first: the start of the machine waits for it.
const PROBE_INTERVAL: Duration = Duration::from_millis(50);
/// Between two tries once [`PROBE_FAST`] is over.
const PROBE_INTERVAL_SLOW: Duration = Duration::from_millis(500);
/// How long probes are tried at the short interval.
const PROBE_FAST: Duration = Duration::from_secs(20);

/// How a process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// `exit(2)` with this status.
    Status(i32),
    /// Killed by this signal number.
    Signal(i32),
}

impl std::fmt::Display for Outcome {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Status(status) => write!(f, "ended with status {status}"),
            Self::Signal(signal) => write!(f, "killed by signal {signal}"),
        }
    }
}

/// What the loop has to do; numbers are indices into the process list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Action {
    /// Start it, then call [`Supervisor::started`] or [`Supervisor::tty_missing`].
    Start(usize),
    /// Try its readiness probe, then call [`Supervisor::probed`].
    Probe(usize, Probe),
    /// Send the stop signal to this process id.
    Stop(i32),
    /// Tell the daemon that the service is ready (once).
    Ready,
    /// Nothing runs and nothing will: end with this status.
    Exit(u8),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Waiting { until: Duration },
    Running { pid: i32, since: Duration, signalled: bool },
    BackOff { until: Duration },
    Ended,
}

#[derive(Debug)]
struct Slot {
    process: Process,
    after: Vec<usize>,
    phase: Phase,
    /// Its probe passed in this run; without a probe: it was started.
    ready: bool,
    /// A probe is being tried now, or the time of the next try.
    probe: Option<Duration>,
    /// The terminal was missing at the last look.
    tty_missing: bool,
    back_off: Duration,
    failed: bool,
}

/// State of all processes of the service.
#[derive(Debug)]
pub(crate) struct Supervisor {
    slots: Vec<Slot>,
    stopping: bool,
    announced: bool,
}

impl Supervisor {
    /// Nothing started yet.
    pub(crate) fn new(processes: Vec<Process>) -> Self {
        let names: Vec<String> = processes.iter().map(|process| process.name.clone()).collect();
        let slots = processes
            .into_iter()
            .map(|process| Slot {
                after: process.after.iter().filter_map(|name| names.iter().position(|other| other == name)).collect(),
                process,
                phase: Phase::Waiting { until: Duration::ZERO },
                ready: false,
                probe: None,
                tty_missing: false,
                back_off: BACK_OFF_MIN,
                failed: false,
            })
            .collect();
        Self { slots, stopping: false, announced: false }
    }

    /// The process behind an index.
    pub(crate) fn process(&self, index: usize) -> &Process {
        &self.slots[index].process
    }

    /// From now on processes are stopped, in reverse order of `after`, and none is started.
    pub(crate) fn stop(&mut self) {
        self.stopping = true;
    }

    /// What is due now. To be called after every event and at [`Self::deadline`].
    pub(crate) fn due(&mut self, now: Duration) -> Vec<Action> {
        let mut actions = Vec::new();
        if self.stopping {
            self.due_stops(&mut actions);
        } else {
            self.due_starts(now, &mut actions);
        }
        if self.slots.iter().all(|slot| slot.phase == Phase::Ended) {
            let failed = !self.stopping && self.slots.iter().any(|slot| slot.failed);
            actions.push(Action::Exit(u8::from(failed)));
        }
        actions
    }

    fn due_starts(&mut self, now: Duration, actions: &mut Vec<Action>) {
        for index in 0..self.slots.len() {
            let free = self.slots[index].after.iter().all(|&other| self.satisfied(other));
            let slot = &mut self.slots[index];
            match slot.phase {
                Phase::Waiting { until } | Phase::BackOff { until } if free && until <= now => {
                    // The caller answers at once; until then it must not be asked for again.
                    slot.phase = Phase::Waiting { until: now + TTY_INTERVAL };
                    actions.push(Action::Start(index));
                }
                Phase::Running { .. } if !slot.ready && slot.probe.is_some_and(|next| next <= now) => {
                    slot.probe = None;
                    if let Some(probe) = slot.process.ready.clone() {
                        actions.push(Action::Probe(index, probe));
                    }
                }
                _ => {}
            }
        }
        if !self.announced && self.service_ready() {
            self.announced = true;
            actions.push(Action::Ready);
        }
    }

    fn due_stops(&mut self, actions: &mut Vec<Action>) {
        for index in (0..self.slots.len()).rev() {
            let dependants_ended = !self
                .slots
                .iter()
                .any(|other| other.after.contains(&index) && matches!(other.phase, Phase::Running { .. }));
            let slot = &mut self.slots[index];
            match &mut slot.phase {
                Phase::Running { pid, signalled, .. } => {
                    if dependants_ended && !*signalled {
                        *signalled = true;
                        actions.push(Action::Stop(*pid));
                    }
                }
                phase => *phase = Phase::Ended,
            }
        }
    }

    /// The next moment something is due without an event; `None`: only an event changes anything.
    pub(crate) fn deadline(&self) -> Option<Duration> {
        if self.stopping {
            return None;
        }
        let next = |slot: &Slot| match slot.phase {
            Phase::BackOff { until } => Some(until),
            Phase::Waiting { until } => slot.after.iter().all(|&other| self.satisfied(other)).then_some(until),
            Phase::Running { .. } if !slot.ready => slot.probe,
            _ => None,
        };
        self.slots.iter().filter_map(next).min()
    }

    /// The process was started as `pid`.
    pub(crate) fn started(&mut self, index: usize, pid: i32, now: Duration) {
        let slot = &mut self.slots[index];
        slot.phase = Phase::Running { pid, since: now, signalled: false };
        slot.tty_missing = false;
        slot.ready = slot.process.ready.is_none();
        slot.probe = slot.process.ready.is_some().then_some(now);
    }

    /// The process has no terminal yet; true when that is news.
    pub(crate) fn tty_missing(&mut self, index: usize, now: Duration) -> bool {
        let slot = &mut self.slots[index];
        slot.phase = Phase::Waiting { until: now + TTY_INTERVAL };
        !std::mem::replace(&mut slot.tty_missing, true)
    }

    /// The process could not be started: the same as one that failed at once. Gives the delay until the next try.
    pub(crate) fn start_failed(&mut self, index: usize, now: Duration) -> Option<Duration> {
        self.ended(index, Outcome::Status(127), now, Duration::ZERO)
    }

    /// The probe passed or failed; true when the process became ready by it.
    pub(crate) fn probed(&mut self, index: usize, passed: bool, now: Duration) -> bool {
        let slot = &mut self.slots[index];
        let Phase::Running { since, .. } = slot.phase else { return false };
        slot.ready = passed;
        let interval = if now.saturating_sub(since) < PROBE_FAST { PROBE_INTERVAL } else { PROBE_INTERVAL_SLOW };
        slot.probe = (!passed).then_some(now + interval);
        passed
    }

    /// The process with that id ended. Gives its index and, if it will be restarted, the delay; `None` for a
    /// process that is not ours (an orphan that was adopted).
    pub(crate) fn exited(&mut self, pid: i32, outcome: Outcome, now: Duration) -> Option<(usize, Option<Duration>)> {
        let index =
            self.slots.iter().position(|slot| matches!(slot.phase, Phase::Running { pid: own, .. } if own == pid))?;
        let ran = match self.slots[index].phase {
            Phase::Running { since, .. } => now.saturating_sub(since),
            _ => Duration::ZERO,
        };
        Some((index, self.ended(index, outcome, now, ran)))
    }

    fn ended(&mut self, index: usize, outcome: Outcome, now: Duration, ran: Duration) -> Option<Duration> {
        let stopping = self.stopping;
        let slot = &mut self.slots[index];
        slot.failed = outcome != Outcome::Status(0);
        slot.ready = false;
        slot.probe = None;
        let again = match slot.process.restart {
            Restart::Always => true,
            Restart::OnFailure => slot.failed,
            Restart::Never => false,
        };
        if stopping || slot.process.oneshot || !again {
            slot.phase = Phase::Ended;
            return None;
        }
        if ran >= HEALTHY_RUN {
            slot.back_off = BACK_OFF_MIN;
        }
        let delay = slot.back_off;
        slot.back_off = (delay * 2).min(BACK_OFF_MAX);
        slot.phase = Phase::BackOff { until: now + delay };
        Some(delay)
    }

    /// What waits for this process may go on.
    fn satisfied(&self, index: usize) -> bool {
        let slot = &self.slots[index];
        slot.phase == Phase::Ended || (!slot.process.oneshot && slot.ready)
    }

    /// Every process with a probe passed it; with no probe in the whole service: everything was started that can be.
    fn service_ready(&self) -> bool {
        let mut probed = self.slots.iter().filter(|slot| slot.process.ready.is_some()).peekable();
        if probed.peek().is_some() {
            return probed.all(|slot| slot.ready);
        }
        self.slots.iter().all(|slot| slot.tty_missing || slot.ready || slot.phase == Phase::Ended)
    }
}

#[cfg(test)]
#[path = "supervise_tests.rs"]
mod tests;
