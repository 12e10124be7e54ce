//! Freezing a service's container, and letting it go on.

use super::machine::Phase;
use super::system::System;
use hull_runtime::cgroup::{self, CgroupError};
use tokio::time::Instant;

/// Why a container was not frozen or let go on.
#[derive(Debug, thiserror::Error)]
pub enum PauseError {
    /// It has no process.
    #[error("Container {0} is not running")]
    NotRunning(String),
    /// It is frozen already.
    #[error("Container {0} is already paused")]
    Paused(String),
    /// It is not frozen.
    #[error("Container {0} is not paused")]
    NotPaused(String),
    /// The kernel.
    #[error(transparent)]
    Cgroup(#[from] CgroupError),
}

/// Freezes all processes of a service. Its health is not asked meanwhile.
///
/// # Errors
/// When it does not run or is frozen already; what the kernel said.
pub fn pause(system: &System, name: &str) -> Result<(), PauseError> {
    let state = system.with(name, |unit| (unit.record.machine.phase, unit.record.paused));
    match state {
        Some((Phase::Started | Phase::Ready, false)) => {}
        Some((Phase::Started | Phase::Ready, true)) => return Err(PauseError::Paused(name.into())),
        _ => return Err(PauseError::NotRunning(name.into())),
    }
    // Kept first: a daemon that ends in between leaves nothing frozen that it does not know of.
    set(system, name, true);
    if let Err(error) = cgroup::ask_freeze(&system.paths.cgroup.join(name), true) {
        set(system, name, false);
        return Err(error.into());
    }
    system.tell(name, "pause", &[]);
    Ok(())
}

/// Lets a frozen service go on.
///
/// # Errors
/// When it is not frozen; what the kernel said.
pub fn unpause(system: &System, name: &str) -> Result<(), PauseError> {
    if system.with(name, |unit| unit.record.paused) != Some(true) {
        return Err(PauseError::NotPaused(name.into()));
    }
    resume(system, name)?;
    system.tell(name, "unpause", &[]);
    Ok(())
}

/// Lets a service go on if it is frozen.
///
/// # Errors
/// What the kernel said.
pub fn resume(system: &System, name: &str) -> Result<(), CgroupError> {
    if system.with(name, |unit| unit.record.paused) == Some(true) {
        cgroup::ask_freeze(&system.paths.cgroup.join(name), false)?;
        set(system, name, false);
        // It could give no sign meanwhile.
        system.with(name, |unit| unit.last_sign = Instant::now());
    }
    Ok(())
}

fn set(system: &System, name: &str, paused: bool) {
    system.with(name, |unit| unit.record.paused = paused);
    system.save(name);
}
