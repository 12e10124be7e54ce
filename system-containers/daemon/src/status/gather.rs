//! The answer of `GET /hull/status` from the running system.

use super::model::{Message, RootState, ServiceStatus, Status, UserData};
use super::reports::{CloudReport, read};
use super::{change, pressure, space};
use crate::clock::boot_micros;
use crate::lifecycle::{HealthState, Phase, System, Unit, timer};
use serde_json::{Map, Value};
use std::path::Path;

/// Device-mapper name PID 1 gives the verified root.
const ROOT_DEVICE: &str = "hull-root";

/// Gathers everything known now.
pub fn gather(system: &System) -> Status {
    let report = &system.boot_report;
    let services: Vec<ServiceStatus> =
        system.units.borrow().iter().map(|(name, unit)| service(system, name, unit)).collect();
    let ready: Map<String, Value> =
        services.iter().filter_map(|service| Some((service.name.clone(), service.ready_us?.into()))).collect();
    let pressure = pressure::read(Path::new("/proc/pressure"), &system.paths.cgroup);
    let mut times_us = report.times_us.clone();
    times_us.insert("ready".into(), ready.into());
    let cloud: CloudReport = read(&system.paths.cloud_report());
    Status {
        version: report.version.clone(),
        slot: report.slot.clone(),
        root_hash: report.root_hash.clone(),
        root_state: root_state(&report.root_hash),
        boot: system.boot.borrow().word(),
        since_boot_seconds: std::time::Duration::from_micros(boot_micros()).as_secs_f64(),
        state: report.state.clone(),
        messages: messages(system, &services, &cloud).into_iter().chain(pressure::warnings(&pressure)).collect(),
        user_data: UserData { datasource: cloud.datasource, instance_id: cloud.instance_id, commands: cloud.commands },
        pending_change: change::pending(&system.paths),
        pressure,
        services,
        times_us,
    }
}

fn service(system: &System, name: &str, unit: &Unit) -> ServiceStatus {
    let machine = &unit.record.machine;
    ServiceStatus {
        name: name.into(),
        state: word(unit),
        health: if machine.phase == Phase::Ready { unit.health } else { HealthState::None },
        ready_us: unit.record.ready_us,
        restarts: machine.restarts,
        pid: unit.init().map(|pid| pid.as_raw_nonzero().get()),
        required: unit.required(name),
        next_run: timer::next_run(unit),
        status: unit.status.clone(),
        last_error: last_error(system, name, unit),
    }
}

fn word(unit: &Unit) -> String {
    let machine = &unit.record.machine;
    let phase = if machine.failed() { Phase::Failed } else { machine.phase };
    serde_json::to_value(phase).ok().and_then(|value| value.as_str().map(str::to_owned)).unwrap_or_default()
}

/// The machine's reason, with the service's own last words.
fn last_error(system: &System, name: &str, unit: &Unit) -> Option<String> {
    if unit.health == HealthState::Unhealthy && unit.record.machine.phase == Phase::Ready {
        return Some(format!("unhealthy: {}", unit.health_streak.reason));
    }
    let reason = unit.record.machine.last_error.clone()?;
    Some(match system.logs.last_line(name).filter(|_| !unit.record.machine.satisfied()) {
        Some(line) => format!("{reason}: {line}"),
        None => reason,
    })
}

fn messages(system: &System, services: &[ServiceStatus], cloud: &CloudReport) -> Vec<Message> {
    let boot = system.boot_report.messages.iter().map(Message::from);
    let cloud: Vec<Message> = cloud.messages.iter().map(Message::from).collect();
    let failed = services.iter().filter(|service| service.state == "failed").map(|service| {
        let reason = service.last_error.clone().unwrap_or_else(|| "failed".into());
        let limited = system.with(&service.name, |unit| unit.record.machine.limited) == Some(true);
        let remedy = if limited { format!("; hull start {} tries at once", service.name) } else { String::new() };
        Message {
            severity: if service.required { "error" } else { "warning" }.into(),
            source: service.name.clone(),
            text: reason + &remedy,
        }
    });
    let killed: Vec<Message> = system.units.borrow().iter().filter_map(|(name, unit)| killed(name, unit)).collect();
    let logs = system.logs.problems().into_iter().map(|(source, reason)| Message {
        severity: "warning".into(),
        source,
        text: format!("log lines are lost: {reason}"),
    });
    boot.chain(space::full(&system.paths.below_root("/state")))
        .chain(cloud)
        .chain(failed)
        .chain(killed)
        .chain(logs)
        .collect()
}

/// A service whose processes were killed for want of memory since the machine was started.
fn killed(name: &str, unit: &Unit) -> Option<Message> {
    let kills = &unit.record.oom;
    let last = kills.last.as_ref()?;
    let often = if kills.reports > 1 { format!("; {} times since boot", kills.reports) } else { String::new() };
    Some(Message { severity: "warning".into(), source: name.into(), text: format!("{last}{often}") })
}

/// Asks dm-verity; `None` where there is nothing to ask.
fn root_state(root_hash: &str) -> Option<RootState> {
    if root_hash.is_empty() {
        return None;
    }
    let status = hull_sys::dm::Control::open().and_then(|control| control.status(ROOT_DEVICE));
    match status.as_deref().map(str::trim) {
        Ok("V") => Some(RootState::Verified),
        Ok("C") => Some(RootState::Corrupted),
        other => {
            log::debug!("dm-verity: {other:?}");
            None
        }
    }
}
