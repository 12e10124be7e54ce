//! Ending a container and clearing away what is left of it.

use super::machine::Event;
use super::reaper::Exit;
use super::start::{log_name, notify_name};
use super::system::System;
use super::{oom, pause};
use crate::blocking::blocking;
use crate::clock::{WallTime, boot_micros};
use crate::control::ToInit;
use crate::definition::load::nix_signal;
use crate::log_store::Stream;
use hull_runtime::cgroup;
use rustix::process::Signal;
use std::io;
use std::rc::Rc;
use std::time::Duration;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

/// Time a killed cgroup gets to become empty; only uninterruptible sleep takes longer.
const EMPTY_TIMEOUT: Duration = Duration::from_secs(5);

/// Waits for the first process to end, clears away, and reports [`Event::Exited`].
pub async fn watch(system: Rc<System>, name: String, exit: oneshot::Receiver<Exit>) {
    let exit = exit.await.ok();
    // The figures go with the cgroup.
    oom::check(&system, &name);
    clear(&system, &name).await;
    let status = exit.map(|exit| exit.status);
    let ended = system.with(&name, |unit| {
        let killed = unit.record.oom.in_run && status.is_some_and(|status| status & 0x7f == Signal::KILL.as_raw());
        let cause = unit.record.oom.last.clone().filter(|_| killed);
        unit.record.finished = Some(WallTime::now());
        unit.record.exit_status = status;
        unit.record.exits += 1;
        unit.record.paused = false;
        unit.pidfd = None;
        let end = exit.map_or_else(boot_micros, |exit| exit.time_us);
        (end.saturating_sub(unit.record.started_us) / 1_000_000, cause)
    });
    let (ran, cause) = ended.unwrap_or_default();
    system.post(&name, Event::Exited { status, ran, cause });
}

/// Kills what is left in the cgroup, writes the last log lines, and lets PID 1 forget the descriptors.
pub async fn clear(system: &Rc<System>, name: &str) {
    let path = system.paths.cgroup.join(name);
    let thread = format!("clear {name}");
    let cleared = blocking(&thread, move || {
        cgroup::kill(&path)?;
        cgroup::wait_empty(&path, EMPTY_TIMEOUT)?;
        cgroup::remove(&path)
    });
    match cleared.await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => log::warn!("{name}: {error}"),
        Err(error) => log::warn!("{name}: {error}"),
    }
    system.with(name, |unit| {
        unit.oom = None;
        unit.oom_task.take().inspect(JoinHandle::abort);
    });
    system.logs.close(name).await;
    if let Some(Some(listener)) = system.with(name, |unit| unit.listener.take()) {
        listener.abort();
        system.tell_init(&ToInit::StoreRemove { name: notify_name(name) }, None);
    }
    for stream in [Stream::Stdout, Stream::Stderr] {
        system.tell_init(&ToInit::StoreRemove { name: log_name(name, stream) }, None);
    }
}

/// Sends a signal to the first process of a service.
pub fn signal(system: &System, name: &str, signal: Signal) -> io::Result<()> {
    let sent = system.with(name, |unit| {
        let pidfd = unit.pidfd.as_ref().ok_or(io::ErrorKind::NotFound)?;
        rustix::process::pidfd_send_signal(pidfd, signal).map_err(io::Error::from)
    });
    sent.unwrap_or_else(|| Err(io::ErrorKind::NotFound.into()))
}

/// Asks a service to end; a frozen one goes on for it.
pub fn signal_stop(system: &System, name: &str) {
    if let Err(error) = pause::resume(system, name) {
        log::warn!("{name}: {error}");
    }
    let wanted = system.with(name, |unit| nix_signal(&unit.definition.as_ref()?.run.stop_signal)).flatten();
    let stop = wanted.and_then(|wanted| Signal::from_named_raw(wanted as i32)).unwrap_or(Signal::TERM);
    if let Err(error) = signal(system, name, stop) {
        log::debug!("{name}: stop signal: {error}");
    }
}

/// Reports [`Event::StopTimeout`] when the service is still there after its time.
pub async fn stop_timer(system: Rc<System>, name: String, epoch: u64) {
    let seconds = system.with(&name, |unit| unit.definition.as_ref().map(|service| service.run.stop_timeout)).flatten();
    tokio::time::sleep(Duration::from_secs(seconds.unwrap_or_default().into())).await;
    system.post_in(&name, Some(epoch), Event::StopTimeout);
}

/// Kills everything in the service's cgroup.
pub fn kill(system: &System, name: &str) {
    if let Err(error) = cgroup::kill(&system.paths.cgroup.join(name)) {
        log::warn!("{name}: {error}");
    }
}
