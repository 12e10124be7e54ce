//! Timers of run-once services: when each is run next, by the calendar and by the time since boot.
//!
//! A time that passes while the service still runs, or is stopped, is left out; times that were missed together are one.

use super::machine::{Event, Phase};
use super::system::System;
use crate::blocking::blocking;
use crate::clock::{WallTime, boot_micros};
use crate::replace::replace_durably;
use hull_service::Timer;
use hull_service::calendar::Calendar;
use std::hash::{BuildHasher, Hasher};
use std::io;
use std::path::Path;
use std::rc::Rc;
use std::time::Duration;
use tokio::sync::Mutex;

/// Nothing tells that the clock was set, so times of the calendar are looked at this often.
const CALENDAR_PERIOD: Duration = Duration::from_secs(60);
/// A change of the clock by so much, in seconds, was no correction: times in between did not come. cron's number.
const CLOCK_SET: i64 = 3 * 3600;

/// Both clocks at one moment.
#[derive(Debug, Clone, Copy)]
pub struct Now {
    /// Seconds since 1970.
    pub wall: i64,
    /// Microseconds of `CLOCK_BOOTTIME`.
    pub boot_us: u64,
}

impl Now {
    fn read() -> Self {
        Self { wall: WallTime::now().seconds, boot_us: boot_micros() }
    }
}

/// What is known of runs before.
#[derive(Debug, Clone, Copy, Default)]
struct Past {
    /// Last start since boot, microseconds of `CLOCK_BOOTTIME`.
    started_us: Option<u64>,
    /// Last time of the calendar at which it was run, before this boot too: seconds since 1970.
    calendar: Option<i64>,
}

/// Next times of one service.
#[derive(Debug, Clone)]
pub struct Schedule {
    timer: Timer,
    calendar: Option<Calendar>,
    wall: Option<i64>,
    boot_us: Option<u64>,
    looked: Now,
}

impl Schedule {
    fn new(timer: &Timer, now: Now, past: Past) -> Self {
        // The schema has checked the form.
        let calendar = timer.calendar.as_deref().and_then(|text| text.parse::<Calendar>().ok());
        let mut schedule = Self { timer: timer.clone(), calendar, wall: None, boot_us: None, looked: now };
        // A stamp from a clock that was ahead must not put the timer to sleep until then.
        schedule.arm_calendar(past.calendar.filter(|_| timer.persistent).map_or(now.wall, |stamp| stamp.min(now.wall)));
        let seconds = match (timer.after_boot, past.started_us) {
            (Some(seconds), None) => Some((0, seconds)),
            (_, started) => timer.interval.map(|seconds| (started.unwrap_or(0), seconds)),
        };
        schedule.boot_us = seconds.map(|(since, seconds)| schedule.later(since, seconds));
        schedule
    }

    fn arm_calendar(&mut self, after: i64) {
        let delay = i64::try_from(self.delay().as_secs()).unwrap_or(0);
        self.wall = self.calendar.and_then(|calendar| calendar.next(after)).map(|next| next.saturating_add(delay));
    }

    fn later(&self, since_us: u64, seconds: u32) -> u64 {
        let delay = u64::try_from(self.delay().as_micros()).unwrap_or(0);
        since_us.saturating_add(u64::from(seconds) * 1_000_000).saturating_add(delay)
    }

    /// A random time up to the jitter.
    fn delay(&self) -> Duration {
        let jitter = u64::from(self.timer.jitter) * 1_000_000;
        // Keys of a new hasher are random; the bias of the remainder is of no importance.
        let random = std::hash::RandomState::new().build_hasher().finish();
        Duration::from_micros(random.checked_rem(jitter).unwrap_or(0))
    }

    /// Whether it is time to run the service; if so, the next time is set.
    fn due(&mut self, now: Now) -> bool {
        let passed = i64::try_from(now.boot_us.saturating_sub(self.looked.boot_us) / 1_000_000).unwrap_or(i64::MAX);
        let jump = now.wall.saturating_sub(self.looked.wall).saturating_sub(passed);
        self.looked = now;
        // Forward, a persistent timer makes up for what was missed; back, it waits for its time like any other.
        if jump <= -CLOCK_SET || (jump >= CLOCK_SET && !self.timer.persistent) {
            self.arm_calendar(now.wall);
        }
        let by_calendar = self.wall.is_some_and(|due| due <= now.wall);
        let by_boot = self.boot_us.is_some_and(|due| due <= now.boot_us);
        if by_calendar {
            self.arm_calendar(now.wall);
        }
        if by_boot {
            self.boot_us = self.timer.interval.map(|seconds| self.later(now.boot_us, seconds));
        }
        by_calendar || by_boot
    }

    /// Time to the next look; `None` when nothing will come any more.
    fn wait(&self, now: Now) -> Option<Duration> {
        let seconds = |due: i64| Duration::from_secs(u64::try_from(due.saturating_sub(now.wall)).unwrap_or(0));
        let by_calendar = self.wall.map(|due| seconds(due).min(CALENDAR_PERIOD));
        let by_boot = self.boot_us.map(|due| Duration::from_micros(due.saturating_sub(now.boot_us)));
        by_calendar.into_iter().chain(by_boot).min()
    }

    /// Next time, for people.
    fn next(&self, now: Now) -> Option<i64> {
        let seconds = |due: u64| i64::try_from(due.saturating_sub(now.boot_us) / 1_000_000).unwrap_or(i64::MAX);
        let by_boot = self.boot_us.map(|due| now.wall.saturating_add(seconds(due)));
        self.wall.into_iter().chain(by_boot).min()
    }
}

/// When a service is run next, in RFC 3339; `None` without a timer or while it is stopped.
pub fn next_run(unit: &super::Unit) -> Option<String> {
    let schedule = unit.schedule.as_ref().filter(|_| unit.record.machine.phase != Phase::Stopped)?;
    let text = WallTime { seconds: schedule.next(Now::read())?, nanoseconds: 0 }.rfc3339();
    Some(text.split('.').next().map(|text| format!("{text}Z")).unwrap_or(text))
}

/// Runs services at their times.
pub async fn run(system: Rc<System>) {
    let stamps = Rc::new(Mutex::new(()));
    loop {
        arm(&system);
        let now = Now::read();
        let (mut due, mut wait) = (Vec::new(), None::<Duration>);
        for (name, unit) in system.units.borrow_mut().iter_mut() {
            let Some(schedule) = &mut unit.schedule else { continue };
            if schedule.due(now) {
                due.push(name.clone());
            }
            wait = wait.into_iter().chain(schedule.wait(now)).min();
        }
        due.iter().for_each(|name| fire(&system, name, now, &stamps));
        let sleep = async {
            match wait {
                Some(wait) => tokio::time::sleep(wait).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = sleep => {}
            () = system.timers.notified() => {}
        }
    }
}

fn arm(system: &System) {
    let now = Now::read();
    for (name, unit) in system.units.borrow_mut().iter_mut().filter(|(_, unit)| unit.schedule.is_none()) {
        let Some(timer) = unit.definition.as_ref().and_then(|service| service.timer.as_ref()) else { continue };
        let past = Past {
            started_us: Some(unit.record.started_us).filter(|started| *started > 0),
            calendar: read_stamp(&system.paths.timer(name)),
        };
        unit.schedule = Some(Schedule::new(timer, now, past));
    }
}

/// Runs the service; with a stamp on the disk before, for a machine that goes down in the run must not repeat it for ever.
/// Other timers do not wait for the disk, and `stamps` are written one after the other.
fn fire(system: &Rc<System>, name: &str, now: Now, stamps: &Rc<Mutex<()>>) {
    if system.ending.get().is_some() {
        return;
    }
    let stamp = system.with(name, |unit| {
        let phase = unit.record.machine.phase;
        if !matches!(phase, Phase::Idle | Phase::Ended | Phase::Failed) {
            log::info!("{name}: its time came, but it is {phase:?}: this run is left out");
        }
        unit.definition.as_ref()?.timer.as_ref().filter(|timer| timer.persistent).map(|_| system.paths.timer(name))
    });
    let Some(Some(file)) = stamp else { return system.post(name, Event::Wanted) };
    let (system, name, stamps) = (Rc::clone(system), name.to_owned(), Rc::clone(stamps));
    tokio::task::spawn_local(async move {
        let turn = stamps.lock().await;
        let shown = file.display().to_string();
        if let Err(error) | Ok(Err(error)) = blocking("timer stamp", move || write_stamp(&file, now.wall)).await {
            log::warn!("{name}: {shown}: {error}");
        }
        drop(turn);
        if system.ending.get().is_none() {
            system.post(&name, Event::Wanted);
        }
    });
}

fn read_stamp(file: &Path) -> Option<i64> {
    std::fs::read_to_string(file).ok()?.trim().parse().ok()
}

/// As a whole and for good: without it the service would be run once more.
fn write_stamp(file: &Path, wall: i64) -> io::Result<()> {
    replace_durably(file, wall.to_string().as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2026-02-27 02:00.
    const TWO: i64 = 1_772_157_600;
    const HOUR: i64 = 3600;

    fn now(wall: i64, boot: u64) -> Now {
        Now { wall, boot_us: boot * 1_000_000 }
    }

    fn daily(persistent: bool) -> Timer {
        Timer { calendar: Some("0 3 * * *".into()), persistent, ..Timer::default() }
    }

    #[test]
    fn the_calendar_comes_once_whatever_was_missed() {
        let mut schedule = Schedule::new(&daily(false), now(TWO, 10), Past::default());
        assert_eq!(schedule.next(now(TWO, 10)), Some(TWO + HOUR));
        assert_eq!(schedule.wait(now(TWO, 10)), Some(CALENDAR_PERIOD));
        assert!(!schedule.due(now(TWO + 1800, 1810)));
        // The machine slept for three days.
        let later = now(TWO + 73 * HOUR, 10 + 73 * 3600);
        assert!(schedule.due(later) && !schedule.due(later));
        assert_eq!(schedule.next(later), Some(TWO + 73 * HOUR + 24 * HOUR));
    }

    #[test]
    fn a_clock_that_is_set_runs_nothing_and_a_corrected_one_does() {
        for (name, persistent, to, due) in [
            ("set forward by years", false, TWO + 90_000 * HOUR, false),
            ("the same, persistent", true, TWO + 90_000 * HOUR, true),
            ("corrected over its time", false, TWO + 2 * HOUR, true),
            ("set back", true, TWO - 48 * HOUR, false),
        ] {
            let mut schedule = Schedule::new(&daily(persistent), now(TWO, 10), Past::default());
            assert_eq!(schedule.due(now(to, 20)), due, "{name}");
            let next = schedule.next(now(to, 20)).unwrap();
            assert!(next > to && next <= to + 24 * HOUR, "{name}: {next}");
        }
        // Set back a little: the time that has come does not come again.
        let mut schedule = Schedule::new(&daily(false), now(TWO, 10), Past::default());
        assert!(schedule.due(now(TWO + HOUR, 10 + 3600)));
        assert!(!schedule.due(now(TWO + HOUR - 60, 3611)));
        assert!(!schedule.due(now(TWO + HOUR, 3671)));
    }

    #[test]
    fn a_persistent_timer_makes_up_for_a_time_while_the_machine_was_off() {
        let past = Past { calendar: Some(TWO - 30 * HOUR), ..Past::default() };
        assert!(Schedule::new(&daily(true), now(TWO, 10), past).due(now(TWO, 10)));
        assert!(!Schedule::new(&daily(false), now(TWO, 10), past).due(now(TWO, 10)));
        let past = Past { calendar: Some(TWO - HOUR), ..Past::default() };
        assert!(!Schedule::new(&daily(true), now(TWO, 10), past).due(now(TWO, 10)));
    }

    #[test]
    fn times_since_boot() {
        let timer = Timer { after_boot: Some(60), interval: Some(600), ..Timer::default() };
        let mut schedule = Schedule::new(&timer, now(TWO, 10), Past::default());
        assert_eq!(schedule.wait(now(TWO, 10)), Some(Duration::from_secs(50)));
        assert!(!schedule.due(now(TWO, 59)) && schedule.due(now(TWO, 61)) && !schedule.due(now(TWO, 62)));
        assert_eq!(schedule.next(now(TWO, 61)), Some(TWO + 600));
        // The system daemon was started again after a run at 100 s.
        let past = Past { started_us: Some(100_000_000), ..Past::default() };
        assert_eq!(Schedule::new(&timer, now(TWO, 300), past).wait(now(TWO, 300)), Some(Duration::from_secs(400)));
        let once = Timer { after_boot: Some(60), ..Timer::default() };
        assert_eq!(Schedule::new(&once, now(TWO, 300), past).wait(now(TWO, 300)), None);
    }

    #[test]
    fn jitter_delays_by_less_than_it_says() {
        let timer = Timer { interval: Some(10), jitter: 5, ..Timer::default() };
        for _ in 0..100 {
            let wait = Schedule::new(&timer, now(TWO, 0), Past::default()).wait(now(TWO, 0)).unwrap();
            assert!((Duration::from_secs(10)..Duration::from_secs(15)).contains(&wait), "{wait:?}");
        }
    }

    #[test]
    fn stamps_are_kept_in_a_file() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("timers/a");
        assert_eq!(read_stamp(&file), None);
        write_stamp(&file, TWO).unwrap();
        write_stamp(&file, TWO + 1).unwrap();
        assert_eq!(read_stamp(&file), Some(TWO + 1));
    }
}
