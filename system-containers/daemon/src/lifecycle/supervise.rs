//! The loop: every event goes through a service's machine, every action becomes a task that reports back.

use super::machine::{Action, Event, Phase, exit_code};
use super::order::{Admission, admission};
use super::system::{Post, System};
use super::{boot::Boot, end, exec, fd_store, ready, shutdown, start, watchdog};
use crate::clock::boot_micros;
use crate::control::ToInit;
use crate::hostname;
use std::rc::Rc;
use tokio::sync::mpsc::UnboundedReceiver;

/// Runs until the process ends.
pub async fn run(system: Rc<System>, mut posts: UnboundedReceiver<Option<Post>>) {
    admit(&system);
    progress(&system);
    while let Some(post) = posts.recv().await {
        // All that have come are handled before anything is decided: each decision looks at every service.
        let mut next = Some(post);
        while let Some(post) = next {
            if let Some(post) = post {
                handle(&system, post);
            }
            next = posts.try_recv().ok();
        }
        admit(&system);
        progress(&system);
        shutdown::proceed(&system);
        system.changed.send_modify(|count| *count += 1);
    }
}

fn handle(system: &Rc<System>, post: Post) {
    let Post { service, epoch, event } = post;
    let ended = if let Event::Exited { status, .. } = &event { Some(exit_code(*status)) } else { None };
    let applied = system.with(&service, |unit| {
        let policy = unit.policy(&service, boot_micros())?;
        if epoch.is_some_and(|epoch| epoch != unit.record.machine.epoch) {
            return None;
        }
        if matches!(event, Event::Start | Event::Restart | Event::Wanted) {
            unit.record.starts.clear();
        }
        let before = unit.record.machine.clone();
        let actions = unit.record.machine.apply(policy, event);
        let after = &unit.record.machine;
        if after.epoch != before.epoch {
            unit.end_tasks();
        }
        Some((before, unit.record.machine.clone(), actions))
    });
    let Some(Some((before, after, actions))) = applied else { return };
    if before == after && actions.is_empty() {
        return;
    }
    if before.phase != after.phase {
        log::debug!("{service}: {:?} → {:?}", before.phase, after.phase);
        report(system, &service, after.phase);
        tell(system, &service, before.phase, after.phase, ended);
        if matches!(after.phase, Phase::Stopped | Phase::Ended | Phase::Failed) {
            fd_store::clear(system, &service);
        }
    }
    if after.last_error != before.last_error || (after.failures > before.failures && after.failures <= 3) {
        if let Some(error) = &after.last_error {
            log::warn!("{service}: {error}");
        }
    }
    system.save(&service);
    for action in actions {
        act(system, &service, after.epoch, action);
    }
}

/// What clients are told about a change of phase.
fn tell(system: &System, service: &str, before: Phase, after: Phase, ended: Option<i32>) {
    if let Some(code) = ended {
        system.tell(service, "die", &[("exitCode", code.to_string())]);
    }
    match (before, after) {
        (Phase::Starting, Phase::Started) => system.tell(service, "start", &[]),
        (Phase::Stopping, Phase::Stopped) => system.tell(service, "stop", &[]),
        _ => {}
    }
}

/// What people are told about a change of phase.
fn report(system: &Rc<System>, service: &str, phase: Phase) {
    if !matches!(phase, Phase::Ready | Phase::Ended) {
        return;
    }
    let now = boot_micros();
    let first = system.with(service, |unit| {
        let first = unit.record.ready_us.is_none();
        unit.record.ready_us.get_or_insert(now);
        first
    });
    if first == Some(true) && *system.boot.borrow() != Boot::Complete {
        system.console.line("hull", &format!("{service} ready ({})", seconds(now)));
    }
    if let Some(renaming) = follow_hostname(system) {
        tokio::task::spawn_local(renaming);
    }
}

/// Takes over the host name that cloud-config rendered, if it is another one; what is left to be done for that.
pub(crate) fn follow_hostname(system: &System) -> Option<impl Future<Output = ()> + use<>> {
    let configured = hostname::configured(&system.paths.hostname());
    let name = configured.filter(|name| *name != *system.hostname.borrow())?;
    system.hostname.replace(name.clone());
    let running = system.units.borrow().values().filter_map(|unit| unit.process()?.ok()).collect();
    Some(exec::rename(name, running))
}

fn seconds(micros: u64) -> String {
    format!("{}.{} s", micros / 1_000_000, micros / 100_000 % 10)
}

fn act(system: &Rc<System>, service: &str, epoch: u64, action: Action) {
    let (shared, name) = (Rc::clone(system), service.to_owned());
    let task = match action {
        Action::Launch => {
            system.with(service, |unit| unit.count_start(boot_micros()));
            want(system, service);
            // Not a task of the phase: a stop that comes while the container is made must find it.
            tokio::task::spawn_local(start::launch(shared, name));
            return;
        }
        Action::Kill => return end::kill(system, service),
        Action::SignalStop => {
            end::signal_stop(system, service);
            tokio::task::spawn_local(end::stop_timer(shared, name, epoch))
        }
        Action::AwaitReady => tokio::task::spawn_local(ready::await_ready(shared, name, epoch)),
        Action::BecameReady => {
            watchdog::begin(system, service, epoch);
            tokio::task::spawn_local(ready::accompany(shared, name, epoch))
        }
        Action::Delay(delay) => tokio::task::spawn_local(async move {
            tokio::time::sleep(delay).await;
            shared.post_in(&name, Some(epoch), Event::BackOffOver);
        }),
    };
    system.with(service, |unit| unit.tasks.push(task));
}

/// Those that are started with `service` are wanted now.
fn want(system: &System, service: &str) {
    for (name, unit) in system.units.borrow().iter() {
        let wanted = unit.definition.as_ref().is_some_and(|other| other.wanted_by.iter().any(|by| by == service));
        if wanted && unit.record.machine.phase == Phase::Idle {
            system.post(name, Event::Wanted);
        }
    }
}

/// Starts whatever may start now.
fn admit(system: &Rc<System>) {
    if system.ending.get().is_some() {
        return;
    }
    let units = system.units.borrow();
    let machines = units.iter().map(|(name, unit)| (name.as_str(), &unit.record.machine)).collect();
    // At boot the OS comes first: nothing an owner adds can keep a login waiting.
    let own_settled = units.values().filter(|unit| unit.added.is_none()).all(|unit| unit.record.machine.settled());
    let hold_added = *system.boot.borrow() == Boot::Starting && !own_settled;
    for (name, unit) in units.iter().filter(|(_, unit)| unit.record.machine.phase == Phase::Waiting) {
        if hold_added && unit.added.is_some() {
            continue;
        }
        let epoch = Some(unit.record.machine.epoch);
        match admission(name, &system.graph.borrow(), &machines) {
            Admission::Start => system.post_in(name, epoch, Event::Admit),
            Admission::Blocked(reason) if !unit.record.machine.blocked => {
                system.post_in(name, epoch, Event::Blocked(reason));
            }
            Admission::Want(other) => system.post(&other, Event::Wanted),
            Admission::Blocked(_) | Admission::Wait => {}
        }
    }
}

/// Says when the boot is over.
fn progress(system: &Rc<System>) {
    let inputs: Vec<_> = system.units.borrow().iter().map(|(name, unit)| unit.boot_input(name)).collect();
    let before = system.boot.borrow().clone();
    let after = before.next(&inputs);
    if after == before {
        return;
    }
    let text = match &after {
        Boot::Starting => return,
        Boot::Complete => format!("boot complete in {}", seconds(boot_micros())),
        Boot::Degraded(services) => format!("boot degraded: {}; see hull status", services.join(", ")),
    };
    if after == Boot::Complete {
        // A daemon started later takes over a machine whose boot is over.
        if let Err(error) = std::fs::write(system.paths.boot_complete(), &text) {
            log::warn!("{}: {error}", system.paths.boot_complete().display());
        }
    }
    // Short grace periods interrupt every processor: the kernel command line asks for them for the boot only.
    let expedited = system.paths.below_root("/sys/kernel/rcu_expedited");
    if let Err(error) = std::fs::write(&expedited, "0") {
        log::debug!("{}: {error}", expedited.display());
    }
    system.boot.replace(after);
    system.console.line("hull", &text);
    system.tell_init(&ToInit::Status(text), None);
}
