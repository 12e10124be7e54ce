//! What to do about the daemon: a pure state machine. Events go in with the time, actions come out; the loop in
//! [`super`] carries them out.
//!
//! ```text
//!            Started            READY=1
//! Down ────────────────► Up ──────────────► Up, watched ── 60 s without WATCHDOG=1: kill ──┐
//!  ▲  restart after 0.1 … 10 s                                                             │
//!  └───────────────────────── exited ◄─────────────────────────────────────────────────────┘
//! on trial ── deadline passed, or 5 quick failures in a row ──► reboot: the boot loader has another version
//! any ── power request ──► Stopping (STOP=…, at most 60 s) ── STOPPED=1, exited or late ──► tear down
//! ```

use crate::power::Power;
use std::time::Duration;

const BACK_OFF_FIRST: Duration = Duration::from_millis(100);
const BACK_OFF_LAST: Duration = Duration::from_secs(10);
/// A daemon that ran this long did not fail to start; the next delay is the first again.
const STABLE: Duration = Duration::from_secs(30);
/// Quick failures in a row after which somebody at the console is offered a shell.
const FAILURES_UNTIL_SHELL: u32 = 5;
/// The daemon sends WATCHDOG=1 every 10 s once it is ready.
const WATCHDOG: Duration = Duration::from_secs(60);
/// For a version on trial whose daemon says nothing; a running daemon names its own deadline.
const TRIAL_DEADLINE: Duration = Duration::from_secs(300);
/// For all services together to stop in order.
const STOP_DEADLINE: Duration = Duration::from_secs(60);

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Event {
    Started,
    /// The program could not be started, or ended; in words.
    Ended(String),
    Ready,
    Watchdog,
    Stopped,
    Power(Power),
    /// A new deadline for the version on trial; `None`: it is good.
    Trial(Option<Duration>),
    /// Time passed.
    Tick,
}

/// What to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Action {
    Start,
    Kill,
    /// Clean up behind a daemon that is gone.
    Clear,
    /// Tell the daemon to stop all services.
    Stop(Power),
    Shell,
    TearDown(Power),
    Warn(String),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Life {
    Down { restart: Duration },
    Up { started: Duration, watched: Option<Duration> },
}

/// State of the daemon as PID 1 sees it.
#[derive(Debug)]
pub(crate) struct Machine {
    life: Life,
    failures: u32,
    stopping: Option<(Power, Duration)>,
    /// When the version on trial is given up.
    trial: Option<Duration>,
}

impl Machine {
    /// A daemon to be started at once; `trial`: the boot loader counts this boot.
    pub(crate) fn new(now: Duration, trial: bool) -> Self {
        let trial = trial.then_some(now + TRIAL_DEADLINE);
        Self { life: Life::Down { restart: now }, failures: 0, stopping: None, trial }
    }

    /// When the next [`Event::Tick`] has something to do.
    pub(crate) fn due(&self) -> Option<Duration> {
        let life = match (self.stopping, self.life) {
            (Some((_, deadline)), _) => return Some(deadline),
            (None, Life::Down { restart }) => Some(restart),
            (None, Life::Up { watched, .. }) => watched.map(|fed| fed + WATCHDOG),
        };
        [life, self.trial].into_iter().flatten().min()
    }

    /// Takes an event at time `now`.
    pub(crate) fn on(&mut self, now: Duration, event: Event) -> Vec<Action> {
        match event {
            Event::Started => {
                self.life = Life::Up { started: now, watched: None };
                Vec::new()
            }
            Event::Ended(how) => self.ended(now, &how),
            Event::Ready | Event::Watchdog => {
                if let Life::Up { watched, .. } = &mut self.life {
                    if watched.is_some() || event == Event::Ready {
                        *watched = Some(now);
                    }
                }
                Vec::new()
            }
            Event::Stopped => self.stopping.map(|(power, _)| Action::TearDown(power)).into_iter().collect(),
            Event::Power(power) => self.power(now, power),
            Event::Trial(time) => {
                // A version that is not on trial cannot be put there.
                self.trial = self.trial.and(time).map(|time| now + time);
                Vec::new()
            }
            Event::Tick => self.tick(now),
        }
    }

    fn ended(&mut self, now: Duration, how: &str) -> Vec<Action> {
        if let Some((power, _)) = self.stopping {
            return vec![Action::Warn(format!("the system daemon {how} while stopping")), Action::TearDown(power)];
        }
        let stable = matches!(self.life, Life::Up { started, .. } if now.saturating_sub(started) >= STABLE);
        self.failures = if stable { 0 } else { self.failures.saturating_add(1) };
        let doublings = self.failures.saturating_sub(1).min(16);
        let delay = (BACK_OFF_FIRST * (1 << doublings)).min(BACK_OFF_LAST);
        self.life = Life::Down { restart: now + delay };
        let seconds = delay.as_secs_f32();
        let mut actions =
            vec![Action::Warn(format!("the system daemon {how}; starting it again in {seconds} s")), Action::Clear];
        if self.failures == FAILURES_UNTIL_SHELL && self.trial.is_some() {
            actions
                .extend(self.give_up(now, &format!("the system daemon failed {FAILURES_UNTIL_SHELL} times in a row")));
        } else if self.failures == FAILURES_UNTIL_SHELL {
            let text =
                format!("the system daemon failed {FAILURES_UNTIL_SHELL} times in a row; it is still being retried");
            actions.extend([Action::Warn(text), Action::Shell]);
        }
        actions
    }

    /// The boot loader counted this boot; after the last one it takes the other version.
    fn give_up(&mut self, now: Duration, why: &str) -> Vec<Action> {
        self.trial = None;
        let mut actions = vec![Action::Warn(format!("this version is on trial, and {why}: rebooting"))];
        actions.extend(self.power(now, Power::Reboot));
        actions
    }

    fn power(&mut self, now: Duration, power: Power) -> Vec<Action> {
        if self.stopping.is_some() {
            return Vec::new();
        }
        self.stopping = Some((power, now + STOP_DEADLINE));
        match self.life {
            Life::Up { .. } => vec![Action::Stop(power)],
            Life::Down { .. } => vec![Action::TearDown(power)],
        }
    }

    fn tick(&mut self, now: Duration) -> Vec<Action> {
        if self.due().is_none_or(|due| now < due) {
            return Vec::new();
        }
        if let Some((power, _)) = self.stopping {
            let text = format!("services did not stop within {} s; killing what is left", STOP_DEADLINE.as_secs());
            return vec![Action::Warn(text), Action::TearDown(power)];
        }
        if self.trial.is_some_and(|deadline| now >= deadline) {
            return self.give_up(now, "it was not found good in time");
        }
        match &mut self.life {
            Life::Down { .. } => vec![Action::Start],
            Life::Up { watched, .. } => {
                // Once; its end comes as an event.
                *watched = None;
                let text = format!("the system daemon gave no sign of life for {} s; killing it", WATCHDOG.as_secs());
                vec![Action::Warn(text), Action::Kill]
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn at(milliseconds: u64) -> Duration {
        Duration::from_millis(milliseconds)
    }

    fn important(actions: Vec<Action>) -> Vec<Action> {
        actions.into_iter().filter(|action| !matches!(action, Action::Warn(_))).collect()
    }

    fn ended() -> Event {
        Event::Ended("exited with status 1".into())
    }

    fn up(now: Duration) -> Machine {
        let mut machine = Machine::new(now, false);
        assert_eq!(machine.on(now, Event::Tick), [Action::Start]);
        assert_eq!(machine.on(now, Event::Started), []);
        machine
    }

    #[test]
    fn back_off_doubles_to_its_end_and_offers_a_shell_once() {
        let mut machine = up(at(0));
        let (mut now, mut delays, mut shells) = (at(0), Vec::new(), 0);
        for _ in 0..9 {
            shells += machine.on(now, ended()).iter().filter(|&action| *action == Action::Shell).count();
            let due = machine.due().expect("restart");
            delays.push((due - now).as_millis());
            assert_eq!(machine.on(due - at(1), Event::Tick), []);
            assert_eq!(machine.on(due, Event::Tick), [Action::Start]);
            machine.on(due, Event::Started);
            now = due;
        }
        assert_eq!(delays, [100, 200, 400, 800, 1600, 3200, 6400, 10_000, 10_000]);
        assert_eq!(shells, 1);
        machine.on(now + STABLE, ended());
        assert_eq!(machine.due(), Some(now + STABLE + BACK_OFF_FIRST));
    }

    #[test]
    fn a_start_that_fails_is_retried() {
        let mut machine = Machine::new(at(5), false);
        assert_eq!(machine.on(at(5), Event::Tick), [Action::Start]);
        assert_eq!(important(machine.on(at(5), ended())), [Action::Clear]);
        assert_eq!(machine.due(), Some(at(105)));
    }

    #[test]
    fn the_watchdog_counts_from_ready() {
        let mut machine = up(at(0));
        machine.on(at(1), Event::Watchdog);
        assert_eq!(machine.due(), None, "not ready yet");
        machine.on(at(1000), Event::Ready);
        assert_eq!(machine.due(), Some(at(61_000)));
        machine.on(at(50_000), Event::Watchdog);
        assert_eq!(machine.on(at(109_999), Event::Tick), []);
        assert_eq!(important(machine.on(at(110_000), Event::Tick)), [Action::Kill]);
        assert_eq!(machine.on(at(200_000), Event::Tick), [], "killed once");
        assert_eq!(important(machine.on(at(200_000), ended())), [Action::Clear]);
        machine.on(at(200_100), Event::Started);
        assert_eq!(machine.due(), None, "the next one is not ready");
    }

    #[test]
    fn a_version_on_trial_is_given_up_at_its_deadline_and_a_good_one_never() {
        let on_trial = |now| {
            let mut machine = Machine::new(now, true);
            machine.on(now, Event::Tick);
            machine.on(now, Event::Started);
            machine
        };
        let stop = [Action::Stop(Power::Reboot)];
        assert_eq!(on_trial(at(0)).due(), Some(TRIAL_DEADLINE));
        assert_eq!(important(on_trial(at(0)).on(TRIAL_DEADLINE, Event::Tick)), stop);

        let mut extended = on_trial(at(0));
        extended.on(at(1000), Event::Trial(Some(TRIAL_DEADLINE * 2)));
        assert_eq!(extended.on(TRIAL_DEADLINE, Event::Tick), []);
        assert_eq!(important(extended.on(at(1000) + TRIAL_DEADLINE * 2, Event::Tick)), stop);

        let mut good = on_trial(at(0));
        good.on(at(1000), Event::Trial(None));
        good.on(at(1000), Event::Trial(Some(at(1))));
        assert_eq!((good.due(), good.on(TRIAL_DEADLINE * 9, Event::Tick)), (None, vec![]));
    }

    #[test]
    fn a_daemon_that_fails_again_and_again_ends_a_trial() {
        let mut machine = Machine::new(at(0), true);
        let (mut now, mut last) = (at(0), Vec::new());
        for _ in 0..FAILURES_UNTIL_SHELL {
            machine.on(now, Event::Tick);
            machine.on(now, Event::Started);
            last = important(machine.on(now, ended()));
            now = machine.due().expect("restart");
        }
        assert_eq!(last, [Action::Clear, Action::TearDown(Power::Reboot)]);
    }

    #[test]
    fn ways_to_stop() {
        let down = || Machine::new(at(0), false);
        let tear_down = vec![Action::TearDown(Power::Off)];
        assert_eq!(down().on(at(1), Event::Power(Power::Off)), tear_down);
        for (event, time) in [(Event::Stopped, 500), (ended(), 500), (Event::Tick, 60_001)] {
            let mut machine = up(at(0));
            assert_eq!(machine.on(at(1), Event::Power(Power::Off)), [Action::Stop(Power::Off)]);
            assert_eq!(machine.on(at(2), Event::Power(Power::Reboot)), [], "the first request counts");
            assert_eq!(machine.on(at(60_000), Event::Tick), []);
            assert_eq!(important(machine.on(at(time), event.clone())), tear_down, "{event:?}");
        }
        assert_eq!(up(at(0)).on(at(1), Event::Stopped), [], "nobody asked");
    }
}
