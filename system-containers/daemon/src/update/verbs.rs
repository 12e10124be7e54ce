//! What administrators and the schedule ask for, made of the update service's jobs.

use super::{gate, trial, work};
use crate::clock::WallTime;
use crate::control::{Power, ToInit};
use crate::lifecycle::System;
use crate::lifecycle::boot::Boot;
use hull_update::job::{Done, Work};
use hull_update::record::{self, Hold, Record};
use std::rc::Rc;

/// Tells what is being done.
pub type Tell<'a> = &'a mut dyn FnMut(String);

/// Looks for a newer release; `force` looks past roll-out, age and what was found bad.
///
/// # Errors
/// Why that is not known, for people.
pub async fn check(system: &Rc<System>, force: bool, tell: Tell<'_>) -> Result<Done, String> {
    work::run(system, Work::Check { force }, tell).await
}

/// Writes the newest release to the other slot.
///
/// # Errors
/// Why it is not there, for people; the running version is never touched.
pub async fn fetch(system: &Rc<System>, force: bool, tell: Tell<'_>) -> Result<Done, String> {
    not_on_trial(system)?;
    work::run(system, Work::Fetch { force }, tell).await
}

/// Writes the newest release, has the boot loader try it, and reboots unless `no_reboot`.
///
/// # Errors
/// Why the machine goes on as it is, for people.
pub async fn apply(system: &Rc<System>, force: bool, no_reboot: bool, tell: Tell<'_>) -> Result<Done, String> {
    let done = fetch(system, force, tell).await?;
    if !matches!(done, Done::Written { .. }) {
        return Ok(done);
    }
    let settings = work::settings(system);
    tell("checks before the update".into());
    let mut baseline = gate::baseline(system, &settings.gate).await;
    baseline.insert(gate::BOOT.into(), *system.boot.borrow() == Boot::Complete);
    change(system, |record| record.baseline = baseline).await?;
    let done = work::run(system, Work::Activate, tell).await?;
    if !no_reboot {
        tell("rebooting".into());
        reboot(system);
    }
    Ok(done)
}

/// Goes back to the other slot's version: now, unless `no_reboot`.
///
/// # Errors
/// Why there is nothing to go back to, for people.
pub async fn rollback(system: &Rc<System>, no_reboot: bool, tell: Tell<'_>) -> Result<Done, String> {
    let work = if trial::is_on(system) {
        Work::Condemn { reason: "given up by an administrator".into() }
    } else {
        Work::Rollback
    };
    let done = work::run(system, work, tell).await?;
    if !no_reboot {
        tell("rebooting".into());
        reboot(system);
    }
    Ok(done)
}

/// What is remembered; what cannot be read is set aside, which is told.
pub fn record(system: &System) -> Option<Record> {
    let path = system.paths.update_record();
    match record::load(&path, now()) {
        Ok(loaded) => {
            if let Some(aside) = loaded.set_aside {
                log::warn!("{} cannot be used and was set aside: {}", path.display(), aside.reason);
            }
            Some(loaded.record)
        }
        Err(error) => {
            log::error!("{}: {error}", path.display());
            None
        }
    }
}

/// Keeps the schedule from doing anything, or lets it go on.
///
/// # Errors
/// When it cannot be written down.
pub async fn hold(system: &System, hold: Hold) -> Result<(), String> {
    change(system, |record| record.hold = hold).await
}

/// Seconds since 1970.
pub fn now() -> u64 {
    u64::try_from(WallTime::now().seconds).unwrap_or(0)
}

/// The outcome, for people.
pub fn say(done: &Done) -> String {
    match done {
        Done::UpToDate { newest: Some(newest) } => format!("nothing newer: the channel's newest version is {newest}"),
        Done::UpToDate { newest: None } => "nothing newer: the channel is empty".into(),
        Done::Available { version, eligible_from } => {
            let now = now();
            match eligible_from.checked_sub(now).filter(|left| *left > 0) {
                Some(left) => format!(
                    "version {version} is there; this machine's turn comes in {} h (--force: now)",
                    left.div_ceil(3600)
                ),
                None => format!("version {version} can be applied"),
            }
        }
        Done::Written { version, fetched, copied } => {
            let mib = |bytes: &u64| *bytes as f64 / f64::from(1 << 20);
            format!(
                "version {version} is in the other slot: {:.1} MiB fetched, {:.1} MiB copied",
                mib(fetched),
                mib(copied)
            )
        }
        Done::Activated { version } => format!("the next boot tries version {version}"),
        Done::Noted { .. } => "done".into(),
        Done::RolledBack { version } => format!("the next boot is version {version}"),
    }
}

fn not_on_trial(system: &System) -> Result<(), String> {
    if trial::is_on(system) {
        let version = &system.boot_report.version;
        return Err(format!(
            "version {version} is on trial: wait until it is found good, or go back with hull update rollback"
        ));
    }
    Ok(())
}

async fn change(system: &System, change: impl FnOnce(&mut Record)) -> Result<(), String> {
    let _turn = system.updating.lock().await;
    let mut record = record(system).ok_or("what is remembered of updates cannot be read")?;
    change(&mut record);
    record::save(&system.paths.update_record(), &mut record).map_err(|error| error.to_string())
}

fn reboot(system: &System) {
    system.tell_init(&ToInit::Shutdown(Power::Reboot), None);
}
