//! Services that come and go while the machine runs.

use super::machine::{Event, Phase};
use super::record::Record;
use super::system::System;
use super::unit::Unit;
use crate::definition::graph::{self, Edges};
use crate::definition::{Broken, Graph};
use hull_image_store::Origin;
use hull_service::Service;
use std::collections::BTreeMap;
use std::rc::Rc;

/// Makes an added service one of the system's; it is started like any other, or when it is held once somebody asks for it.
///
/// # Errors
/// Why its place in the graph is impossible.
pub fn bring_in(system: &Rc<System>, name: &str, service: Service, origin: Origin, held: bool) -> Result<(), String> {
    let graph = graph_with(system, name, Some(&service))?;
    let wanted = {
        let units = system.units.borrow();
        let active = |other: &String| units.get(other).is_some_and(|unit| unit.record.machine.active());
        service.wanted_by.iter().any(active)
    };
    let has_timer = service.timer.is_some();
    system.graph.replace(graph);
    let mut unit = Unit { added: Some(Some(origin)), ..Unit::new(service, Record::fresh()) };
    if held {
        unit.record.machine.phase = Phase::Idle;
    }
    system.units.borrow_mut().insert(name.into(), unit);
    system.save(name);
    system.tell(name, "create", &[]);
    if has_timer {
        system.timers.notify_one();
    }
    if wanted && !held {
        system.post(name, Event::Wanted);
    }
    system.look_again();
    Ok(())
}

/// Why a service could not be brought in, without doing it.
///
/// # Errors
/// As [`bring_in`].
pub fn check(system: &System, name: &str, service: &Service) -> Result<(), String> {
    graph_with(system, name, Some(service)).map(drop)
}

/// Stops a service and takes it out of the system.
///
/// # Errors
/// Which service needs it.
pub async fn take_out(system: &Rc<System>, name: &str) -> Result<(), String> {
    let needed =
        system.graph.borrow().requires.iter().find(|(_, others)| others.contains(name)).map(|(by, _)| by.clone());
    if let Some(by) = needed {
        return Err(format!("{by} requires {name}: disable it first"));
    }
    let graph = graph_with(system, name, None)?;
    system.post(name, Event::Stop);
    system.until(name, |unit| unit.definition.is_none() || !unit.record.machine.active()).await;
    // What it was said to the machine before must not come after it.
    system.with(name, Unit::end_tasks);
    system.tell(name, "destroy", &[]);
    system.graph.replace(graph);
    system.units.borrow_mut().remove(name);
    let folder = system.paths.service_run(name);
    if let Err(error) = std::fs::remove_dir_all(&folder) {
        if error.kind() != std::io::ErrorKind::NotFound {
            log::warn!("{}: {error}", folder.display());
        }
    }
    system.look_again();
    Ok(())
}

/// The graph with, or without, one service.
fn graph_with(system: &System, name: &str, service: Option<&Service>) -> Result<Graph, String> {
    let units = system.units.borrow();
    let known = units.iter().filter_map(|(name, unit)| Some((name, unit.definition.as_ref()?)));
    let mut edges: BTreeMap<String, Edges> = known.map(|(name, service)| (name.clone(), edges(service))).collect();
    edges.remove(name);
    edges.extend(service.map(|service| (name.to_owned(), self::edges(service))));
    let (graph, broken) = graph::build(&edges);
    match broken.into_iter().find(|broken| broken.service == name) {
        Some(Broken { reason, .. }) => Err(reason),
        None => Ok(graph),
    }
}

/// What a service says about its place in the graph.
pub fn edges(service: &Service) -> Edges {
    Edges { after: service.after.clone(), requires: service.requires.clone() }
}
