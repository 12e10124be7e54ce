//! After a restart of the daemon: containers that run go on untouched, and what ended meanwhile is noticed.

use super::machine::{Event, Phase};
use super::start::{listen, log_name, notify_name};
use super::system::System;
use super::{end, fd_store, oom, process, ready, watchdog};
use crate::control::ToInit;
use crate::log_store::Stream;
use rustix::fd::OwnedFd;
use rustix::process::Pid;
use std::collections::HashMap;
use std::rc::Rc;
use std::time::Duration;

/// Time PID 1 gets to report a process that is gone or a zombie; it reaps at once, unless the machine is very busy.
const REPORT_TIMEOUT: Duration = Duration::from_secs(5);

/// Takes over every service that has a record from before, with the descriptors PID 1 kept.
pub fn all(system: &Rc<System>, mut stored: HashMap<String, OwnedFd>) {
    let known: Vec<(String, Phase, Option<i32>, u64)> = {
        let units = system.units.borrow();
        let fields = |(name, unit): (&String, &super::Unit)| {
            let record = &unit.record;
            (name.clone(), record.machine.phase, record.pid, record.start_ticks)
        };
        units.iter().map(fields).collect()
    };
    for (name, phase, pid, ticks) in known {
        take_descriptors(system, &name, &mut stored);
        match phase {
            Phase::Started | Phase::Ready | Phase::Stopping => adopt(system, &name, phase, pid, ticks),
            Phase::Starting => {
                let (shared, name) = (Rc::clone(system), name.clone());
                tokio::task::spawn_local(async move {
                    end::clear(&shared, &name).await;
                    shared.post(&name, Event::LaunchFailed("the daemon ended while it was being started".into()));
                });
            }
            Phase::BackOff => system.post(&name, Event::BackOffOver),
            Phase::Waiting | Phase::Idle | Phase::Stopped | Phase::Ended | Phase::Failed => {}
        }
    }
    for name in stored.into_keys() {
        log::warn!("PID 1 kept a descriptor \"{name}\" that belongs to no service");
        system.tell_init(&ToInit::StoreRemove { name }, None);
    }
    tokio::task::spawn_local(end_orphans(Rc::clone(system)));
}

/// Ends containers whose service is gone: a daemon that ended while it removed one leaves them.
async fn end_orphans(system: Rc<System>) {
    let entries = std::fs::read_dir(&system.paths.cgroup).into_iter().flatten().flatten();
    let folders = entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
    let names: Vec<String> = folders.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    for name in names {
        if system.with(&name, |_| ()).is_none() {
            log::warn!("{name} is no service any more: its container is ended");
            end::clear(&system, &name).await;
        }
    }
}

fn take_descriptors(system: &Rc<System>, name: &str, stored: &mut HashMap<String, OwnedFd>) {
    for stream in [Stream::Stdout, Stream::Stderr] {
        if let Some(pipe) = stored.remove(&log_name(name, stream)) {
            system.logs.add(name, stream, pipe);
        }
    }
    fd_store::restore(system, name, stored);
    if let Some(socket) = stored.remove(&notify_name(name)) {
        if let Err(error) = listen(system, name, socket) {
            log::warn!("{name}: notify socket: {error}");
        }
    }
}

fn adopt(system: &Rc<System>, name: &str, phase: Phase, pid: Option<i32>, ticks: u64) {
    let alive = pid.and_then(Pid::from_raw).and_then(|pid| process::find(pid, ticks, &system.paths.cgroup.join(name)));
    let since = system.with(name, |unit| unit.record.started_us).unwrap_or(0);
    let exit = system.reaper.borrow_mut().wait(pid.unwrap_or(0), since);
    let Some(pidfd) = alive else {
        // It may have ended just now and be reported in a moment, or nobody saw it; the wait must not last.
        let (sender, receiver) = tokio::sync::oneshot::channel();
        tokio::task::spawn_local(async move {
            if let Ok(Ok(exit)) = tokio::time::timeout(REPORT_TIMEOUT, exit).await {
                // Whoever waits for it does so as long as this process runs.
                sender.send(exit).ok();
            }
        });
        tokio::task::spawn_local(end::watch(Rc::clone(system), name.into(), receiver));
        return;
    };
    system.with(name, |unit| unit.pidfd = Some(pidfd));
    oom::begin(system, name);
    tokio::task::spawn_local(end::watch(Rc::clone(system), name.into(), exit));
    let epoch = system.with(name, |unit| unit.record.machine.epoch).unwrap_or(0);
    let (shared, service) = (Rc::clone(system), name.to_owned());
    let task = match phase {
        Phase::Started => tokio::task::spawn_local(ready::await_ready(shared, service, epoch)),
        Phase::Stopping => {
            end::signal_stop(system, name);
            tokio::task::spawn_local(end::stop_timer(shared, service, epoch))
        }
        _ => tokio::task::spawn_local(async move {
            watchdog::begin(&shared, &service, epoch);
            let Some(Some(definition)) = shared.with(&service, |unit| unit.definition.clone()) else { return };
            ready::end_startup(&shared, &service, &definition);
            ready::watch_health(&shared, &service, epoch, &definition).await;
        }),
    };
    system.with(name, |unit| unit.tasks.push(task));
}
