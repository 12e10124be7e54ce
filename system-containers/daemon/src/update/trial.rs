//! A version on trial: it is blessed when the boot is complete and the owner's gate passes, and left when not. A version
//! that is not on trial only learns what became of the one that was.
//!
//! ```text
//! boot ─ complete ─ gate passes ─ bless            PID 1's deadline ends behind it: reboot, the loader counts
//!      ├ degraded for 30 s ─┐
//!      └ gate-timeout ──────┴─ condemn, reboot
//! ```

use super::{gate, verbs, work};
use crate::control::{Power, ToInit};
use crate::lifecycle::System;
use crate::lifecycle::boot::Boot;
use hull_update::job::{Done, Work};
use std::fs;
use std::path::PathBuf;
use std::rc::Rc;
use std::time::Duration;
use tokio::time::{Instant, timeout_at};

/// A required service that failed may come up yet, when it is tried again.
const DEGRADED: Duration = Duration::from_secs(30);
/// For a job of the update service after the gate, and the way down; then PID 1 sees to it.
const RESERVE: u32 = 120;
/// Between two looks at services and gate.
const LOOK: Duration = Duration::from_secs(2);

/// Runs until the version is judged.
pub async fn watch(system: Rc<System>) {
    if is_on(&system) {
        on_trial(&system).await;
    } else {
        settle(&system).await;
    }
}

/// Whether the running version is still to be judged.
pub fn is_on(system: &System) -> bool {
    system.boot_report.trial && !blessed(system).exists()
}

/// Exists once the version of this boot was blessed: a daemon started later need not do it again.
fn blessed(system: &System) -> PathBuf {
    system.paths.run().join("blessed")
}

async fn on_trial(system: &Rc<System>) {
    let version = system.boot_report.version.clone();
    system.console.line("hull", &format!("version {version} is on trial"));
    let began = Instant::now();
    let first = work::settings(system).gate_timeout;
    system.tell_init(&ToInit::Trial(Some(first.saturating_add(RESERVE))), None);
    let judged = judge(system, began).await;
    let failed = match judged {
        Ok(()) => match work::run(system, Work::Bless, &mut |_| {}).await {
            Ok(_) => None,
            Err(error) => Some(format!("it cannot be blessed: {error}")),
        },
        Err(reason) => Some(reason),
    };
    let Some(reason) = failed else {
        system.tell_init(&ToInit::Trial(None), None);
        if let Err(error) = fs::write(blessed(system), &version) {
            log::warn!("{}: {error}", blessed(system).display());
        }
        system.console.line("hull", &format!("version {version} is good"));
        return;
    };
    system.console.line("hull", &format!("version {version} failed: {reason}; going back to the one before"));
    if let Err(error) = work::run(system, Work::Condemn { reason }, &mut |_| {}).await {
        log::error!("the version on trial cannot be given up at once, the boot loader still counts it: {error}");
    }
    system.tell_init(&ToInit::Shutdown(Power::Reboot), None);
}

/// Whether the version is good, else why not.
async fn judge(system: &Rc<System>, began: Instant) -> Result<(), String> {
    // Before the boot is over the settings may not have been rendered.
    let within = Duration::from_secs(work::settings(system).gate_timeout.into());
    timeout_at(began + within, boot_over(system))
        .await
        .map_err(|_| format!("the boot was not complete within {} s", within.as_secs()))??;
    let settings = work::settings(system);
    system.tell_init(&ToInit::Trial(Some(settings.gate_timeout.saturating_add(RESERVE))), None);
    let baseline = verbs::record(system).map(|record| record.baseline).unwrap_or_default();
    let deadline = Instant::now() + Duration::from_secs(settings.gate_timeout.into());
    let mut last = Vec::new();
    loop {
        let failed = match timeout_at(deadline, gate::failed(system, &settings.gate, &baseline)).await {
            Ok(failed) => failed,
            Err(_) => last.clone(),
        };
        if failed.is_empty() && Instant::now() < deadline {
            return Ok(());
        }
        if Instant::now() + LOOK >= deadline {
            let failed = if failed.is_empty() { vec!["the checks took too long".to_owned()] } else { failed };
            return Err(format!("the gate did not pass within {} s: {}", settings.gate_timeout, failed.join("; ")));
        }
        last = failed;
        tokio::time::sleep(LOOK).await;
    }
}

/// Waits for the end of the boot.
async fn boot_over(system: &Rc<System>) -> Result<(), String> {
    let mut degraded = None;
    loop {
        let boot = system.boot.borrow().clone();
        match boot {
            Boot::Complete => return Ok(()),
            Boot::Degraded(services) => {
                let since = *degraded.get_or_insert_with(Instant::now);
                let before = verbs::record(system).and_then(|record| record.baseline.get(gate::BOOT).copied());
                if before == Some(false) {
                    // It was no better under the version before.
                    return Ok(());
                }
                if since.elapsed() >= DEGRADED {
                    return Err(format!("the boot is degraded: {}", services.join(", ")));
                }
            }
            Boot::Starting => degraded = None,
        }
        tokio::time::sleep(LOOK).await;
    }
}

/// After the boot of a good version: what became of the one on trial.
async fn settle(system: &Rc<System>) {
    if verbs::record(system).is_none_or(|record| record.trial.is_none()) {
        return;
    }
    while *system.boot.borrow() == Boot::Starting {
        tokio::time::sleep(LOOK).await;
    }
    match work::run(system, Work::Settle, &mut |_| {}).await {
        Ok(Done::Noted { failed: Some(failed) }) => {
            // The daemon's errors are shown on the console, too.
            log::error!("the update to version {} came to nothing: {}", failed.version, failed.reason);
        }
        Ok(_) => {}
        Err(error) => log::warn!("what became of the last update cannot be found out: {error}"),
    }
}
