//! The watchdog of sd_notify(3): a ready service that stays silent too long, or says itself that something is wrong, is
//! started again by its restart policy.

use super::machine::Event;
use super::system::System;
use super::unit::Unit;
use crate::readiness::notify::Notification;
use std::rc::Rc;
use std::time::Duration;
use tokio::time::Instant;

/// A sign of life may wait in the socket while this process is busy: so long it gets to be read.
const GRACE: Duration = Duration::from_millis(100);
/// Between two looks at a frozen service, which cannot give a sign.
const PAUSED: Duration = Duration::from_secs(1);

/// Takes what a service says about its watchdog; a fault is to be passed on as [`Event::Failing`].
pub fn hear(unit: &mut Unit, notification: &Notification) -> Option<Event> {
    unit.definition.as_ref()?.health.as_ref()?.watchdog?;
    if notification.alive || notification.watchdog.is_some() {
        unit.last_sign = Instant::now();
    }
    if let Some(period) = notification.watchdog {
        unit.record.watchdog_us = u64::try_from(period.as_micros()).ok();
    }
    notification.fault.then(|| Event::Failing("it reported a fault of its own (WATCHDOG=trigger)".into()))
}

/// Time between two signs of life of a service: its own wish, else its definition's.
fn period(unit: &Unit) -> Option<Duration> {
    let seconds = unit.definition.as_ref()?.health.as_ref()?.watchdog?;
    Some(unit.record.watchdog_us.map_or_else(|| Duration::from_secs(seconds.into()), Duration::from_micros))
}

/// Watches a service while it is ready, if its definition says so. The first time begins now.
pub fn begin(system: &Rc<System>, name: &str, epoch: u64) {
    let wanted = system.with(name, |unit| {
        unit.last_sign = Instant::now();
        period(unit).is_some()
    });
    if wanted != Some(true) {
        return;
    }
    let (shared, service) = (Rc::clone(system), name.to_owned());
    let task = tokio::task::spawn_local(async move {
        if let Some(period) = silent(&shared, &service).await {
            let reason = format!("watchdog: no WATCHDOG=1 within {} s", period.as_secs_f64());
            shared.post_in(&service, Some(epoch), Event::Failing(reason));
        }
    });
    system.with(name, |unit| unit.tasks.push(task));
}

/// Returns when a service has been silent for its period, which is given; nothing when there is no such service.
async fn silent(system: &System, name: &str) -> Option<Duration> {
    loop {
        if system.with(name, |unit| unit.record.paused)? {
            tokio::time::sleep(PAUSED).await;
            system.with(name, |unit| unit.last_sign = Instant::now());
            continue;
        }
        let (sign, period) = system.with(name, |unit| Some((unit.last_sign, period(unit)?)))??;
        let due = sign + period + GRACE;
        if due <= Instant::now() {
            return Some(period);
        }
        tokio::time::sleep_until(due).await;
    }
}

#[cfg(test)]
mod tests {
    use super::super::record::Record;
    use super::*;

    fn unit(health: &str) -> Unit {
        let text = format!("description = \"x\"\n[[process]]\nname = \"a\"\ncommand = [\"/a\"]\n{health}");
        Unit::new(hull_service::parse("test", &text).unwrap(), Record::fresh())
    }

    #[test]
    fn a_service_may_change_its_period_and_report_a_fault() {
        let mut watched = unit("[health]\nwatchdog = 5\n");
        assert_eq!(period(&watched), Some(Duration::from_secs(5)));
        let notification = Notification::parse(b"WATCHDOG_USEC=250000");
        assert_eq!(hear(&mut watched, &notification), None);
        assert_eq!(period(&watched), Some(Duration::from_millis(250)));
        assert!(hear(&mut watched, &Notification::parse(b"WATCHDOG=trigger")).is_some());

        let mut other = unit("");
        assert_eq!(hear(&mut other, &Notification::parse(b"WATCHDOG=trigger")), None);
        assert_eq!(period(&other), None);
    }
}
