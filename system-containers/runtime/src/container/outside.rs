//! For a process that joins a user namespace, where nobody may raise its limits: a process that stays outside does it.

use super::sync::{Sync, pair};
use super::{of_io, process};
use crate::error::{StartError, Step};
use crate::plan::Process;
use hull_sys::clone::{Forked, fork};
use nix::sched::CloneFlags;
use rustix::io::Errno;
use rustix::process::{WaitId, WaitIdOptions, waitid};
use std::os::fd::{AsFd, OwnedFd};

/// What it answers when the limits are set.
const DONE: &[u8] = b"done";

/// A process in the namespaces of the caller's beginning.
#[derive(Debug)]
pub(super) struct Outside {
    sync: Sync,
    pidfd: OwnedFd,
}

impl Outside {
    /// Begins it, before the caller joins anything.
    pub(super) fn begin(plan: &Process) -> Result<Self, StartError> {
        let (ours, theirs) = pair()?;
        match fork(CloneFlags::empty(), None).map_err(|error| StartError::of(Step::Limits, of_io(&error)))? {
            Forked::Child => {
                drop(ours);
                std::process::exit(i32::from(serve(plan, &theirs).is_err()))
            }
            Forked::Parent { pidfd, .. } => Ok(Self { sync: ours, pidfd }),
        }
    }

    /// Sets the limits of process `pid`, and ends.
    pub(super) fn set_limits(self, pid: i32) -> Result<(), StartError> {
        self.sync.tell(pid.to_string().as_bytes())?;
        let answer = self.sync.hear()?;
        waitid(WaitId::PidFd(self.pidfd.as_fd()), WaitIdOptions::EXITED)
            .map_err(|errno| StartError::of(Step::Limits, errno))?;
        if answer == DONE {
            return Ok(());
        }
        Err(serde_json::from_slice(&answer).unwrap_or_else(|_| StartError::of(Step::Limits, Errno::PROTO)))
    }
}

/// Ends as well when nobody asks, because the caller has failed before.
fn serve(plan: &Process, sync: &Sync) -> Result<(), StartError> {
    let asked = String::from_utf8(sync.hear()?).ok().and_then(|text| text.parse().ok());
    let Some(pid) = asked else { return Ok(()) };
    match process::set_rlimits_of(plan, pid) {
        Ok(()) => sync.tell(DONE),
        Err(error) => sync.tell(&serde_json::to_vec(&error).unwrap_or_default()),
    }
}
