//! Updates without being asked: looks for a release at the times the owner set, and goes as far as the policy says. Fails
//! towards doing nothing: what cannot be decided waits for the next look.

use super::{trial, verbs, work};
use crate::clock::boot_micros;
use crate::lifecycle::System;
use crate::lifecycle::boot::Boot;
use hull_service::calendar::Calendar;
use hull_update::job::Done;
use hull_update::settings::{Policy, Schedule, Settings};
use std::hash::{BuildHasher, Hasher};
use std::rc::Rc;
use std::time::Duration;

/// Settings, window and clock are looked at this often.
const PERIOD: Duration = Duration::from_secs(60);
/// A fleet that was switched on together does not ask together: seconds.
const JITTER: u64 = 900;
const DAY: u64 = 86_400;
/// 1 January 1970 was a Thursday.
const FIRST_WEEKDAY: u64 = 4;

/// Runs until the machine ends.
pub async fn run(system: Rc<System>) {
    let mut look = Look::default();
    // Keys of a new hasher are random; the bias of the remainder is of no importance.
    let jitter = std::hash::RandomState::new().build_hasher().finish() % JITTER;
    loop {
        tokio::time::sleep(PERIOD).await;
        let settings = work::settings(&system);
        if settings.policy == Policy::Off || settings.url.is_none() || !is_calm(&system) {
            continue;
        }
        let now = verbs::now();
        if look.is_due(&settings, now, boot_micros() / 1_000_000, jitter) {
            turn(&system, &settings, now).await;
        }
    }
}

/// Nothing else is going on that an update would disturb, and nobody asked to be left alone.
fn is_calm(system: &System) -> bool {
    let held = verbs::record(system).is_none_or(|record| record.hold.held);
    !held && system.ending.get().is_none() && *system.boot.borrow() != Boot::Starting && !trial::is_on(system)
}

/// When it was looked last.
#[derive(Debug, Default, Clone, Copy)]
struct Look {
    /// By the clock, seconds since 1970.
    wall: Option<u64>,
    /// Seconds since boot.
    boot: Option<u64>,
    /// It was found that something waits for the window.
    waiting: bool,
}

impl Look {
    fn is_due(&mut self, settings: &Settings, now: u64, up: u64, jitter: u64) -> bool {
        let by_time = match &settings.check {
            // First a while after boot, so that a machine that boots often still looks.
            Schedule::Every(seconds) => self.boot.map_or(jitter, |last| last + u64::from(*seconds)) <= up,
            Schedule::Calendar(text) => text.parse::<Calendar>().ok().is_some_and(|calendar| {
                let last = i64::try_from(self.wall.unwrap_or(now)).unwrap_or(i64::MAX);
                let next = calendar.next(last).and_then(|next| u64::try_from(next).ok());
                next.is_some_and(|next| next.saturating_add(jitter) <= now)
            }),
        };
        self.wall.get_or_insert(now);
        // A window that opens is a reason too: what was found before it can be applied now.
        let opens = self.waiting && is_open(settings, now);
        self.waiting = settings.policy == Policy::Apply && !is_open(settings, now);
        if by_time || opens {
            (self.wall, self.boot) = (Some(now), Some(up));
        }
        by_time || opens
    }
}

fn is_open(settings: &Settings, now: u64) -> bool {
    let weekday = u8::try_from((now / DAY + FIRST_WEEKDAY) % 7);
    let minutes = u16::try_from(now % DAY / 60);
    weekday.is_ok_and(|weekday| minutes.is_ok_and(|minutes| settings.open_at(weekday, minutes)))
}

async fn turn(system: &Rc<System>, settings: &Settings, now: u64) {
    let quiet = &mut |text: String| log::debug!("update: {text}");
    let found = match verbs::check(system, false, quiet).await {
        Ok(Done::Available { version, eligible_from }) if eligible_from <= now => version,
        Ok(_) => return,
        Err(error) => {
            log::warn!("no look for updates: {error}");
            return;
        }
    };
    let done = match settings.policy {
        Policy::Off | Policy::Check => return,
        Policy::Fetch => verbs::fetch(system, false, quiet).await,
        Policy::Apply if is_open(settings, now) => {
            system.console.line("hull", &format!("version {found} is applied by the schedule; the machine reboots"));
            verbs::apply(system, false, false, quiet).await
        }
        Policy::Apply => verbs::fetch(system, false, quiet).await,
    };
    match done {
        Ok(done) => log::info!("update: {}", verbs::say(&done)),
        Err(error) => log::warn!("version {found} is not taken: {error}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_counts_from_boot_and_from_the_last_look() {
        let settings = Settings { check: Schedule::Every(600), policy: Policy::Check, ..Settings::default() };
        let mut look = Look::default();
        let due: Vec<u64> =
            (0..2000).step_by(60).filter(|up| look.is_due(&settings, 1_000_000 + up, *up, 100)).collect();
        assert_eq!(due, [120, 720, 1320, 1920]);
    }

    #[test]
    fn the_calendar_waits_for_its_time() {
        let settings =
            Settings { check: Schedule::Calendar("0 3 * * *".into()), policy: Policy::Check, ..Settings::default() };
        let mut look = Look::default();
        let hours: Vec<u64> = (0..72).filter(|hour| look.is_due(&settings, hour * 3600, hour * 3600, 0)).collect();
        assert_eq!(hours, [3, 27, 51]);
    }

    #[test]
    fn a_window_that_opens_is_a_reason_to_look() {
        let window = vec!["Thu 02:00-05:00".parse().unwrap()];
        let settings =
            Settings { check: Schedule::Every(1_000_000), policy: Policy::Apply, window, ..Settings::default() };
        let mut look = Look::default();
        let hours: Vec<u64> = (0..48).filter(|hour| look.is_due(&settings, hour * 3600, hour * 3600, 0)).collect();
        assert_eq!(hours, [0, 2]);
    }
}
