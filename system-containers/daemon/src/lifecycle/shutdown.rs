//! The whole system's orderly end: services stop in reverse order, within a budget, then PID 1 is told.

use super::end;
use super::machine::{Event, Phase};
use super::order::stoppable;
use super::system::System;
use crate::control::{Power, ToInit};
use std::rc::Rc;
use std::time::Duration;

/// Budget for stopping all services; PID 1 waits at most 60 s before it kills everything.
const BUDGET: Duration = Duration::from_secs(50);

/// Begins the end. A second request changes nothing.
pub fn begin(system: &Rc<System>, power: Power) {
    if system.ending.replace(Some(power)).is_some() {
        return;
    }
    system.console.line("hull", &format!("{power}: stopping all services"));
    let idle: Vec<String> = {
        let units = system.units.borrow();
        let idle = |phase| matches!(phase, Phase::Waiting | Phase::BackOff);
        units.iter().filter(|(_, unit)| idle(unit.record.machine.phase)).map(|(name, _)| name.clone()).collect()
    };
    idle.iter().for_each(|name| system.post(name, Event::Stop));
    let shared = Rc::clone(system);
    tokio::task::spawn_local(async move {
        tokio::time::sleep(BUDGET).await;
        let names: Vec<String> = shared.units.borrow().keys().cloned().collect();
        names.iter().for_each(|name| end::kill(&shared, name));
    });
    system.look_again();
}

/// Stops whatever nothing depends on any more; when all are down, tells PID 1.
pub fn proceed(system: &Rc<System>) {
    if system.ending.get().is_none() {
        return;
    }
    let units = system.units.borrow();
    let machines = units.iter().map(|(name, unit)| (name.as_str(), &unit.record.machine)).collect();
    for name in stoppable(&system.graph.borrow(), &machines) {
        let machine = machines[name];
        if machine.phase != Phase::Stopping || machine.intent != super::machine::Intent::Stop {
            system.post(name, Event::Stop);
        }
    }
    if !machines.values().any(|machine| machine.active()) {
        system.tell_init(&ToInit::Stopped, None);
    }
}
