//! The daemon's start: descriptors from PID 1, definitions, records, sockets, then the loop.

use crate::added::{self, Store};
use crate::api::dispatch::Api;
use crate::api::{self, Scope};
use crate::console_output::Console;
use crate::control::exits::Exits;
use crate::control::{Channel, FromInit, ToInit};
use crate::definition::{self, Definitions};
use crate::lifecycle::boot::Boot;
use crate::lifecycle::events::Events;
use crate::lifecycle::reaper::Exit;
use crate::lifecycle::record::Record;
use crate::lifecycle::{System, Unit, adopt, membership, read_ahead, shutdown, supervise, timer};
use crate::log_store::collector::Places;
use crate::log_store::{BootId, Collector};
use crate::paths::Paths;
use crate::status::reports;
use crate::{control, hostname, update};
use anyhow::{Context, bail};
use rustix::fd::{AsFd, OwnedFd};
use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::Path;
use std::rc::Rc;
use std::time::Duration;
use tokio::sync::{Mutex, Notify, Semaphore, mpsc, watch};

/// Time between two signs of life; PID 1 replaces a daemon that sends none for 60 s.
const WATCHDOG_PERIOD: Duration = Duration::from_secs(10);

/// Containers made at the same time: more would only share the processors, and each needs a thread and a helper process.
const STARTS: usize = 8;

/// Runs until PID 1 closes the channel.
pub async fn run(paths: Paths) -> anyhow::Result<()> {
    let exits = Exits::new(paths.exits());
    let control = Channel::new(control::channel::inherited().context("control channel")?, exits)?;
    let (mut stored, missed) = descriptors(&control).await.context("descriptors kept by PID 1")?;
    let console = Console::start(paths.console.clone())?;
    let boot = BootId::read(&paths.boot_id());
    let logs = Collector::start(Places { logs: paths.log(), spools: paths.spools(), boot }, console.clone())?;
    let found = definition::load(&paths.definitions())
        .with_context(|| format!("no services in {}", paths.definitions().display()))?;
    let store = Store::new(paths.added());
    store.sweep();
    if let Err(error) = store.settle() {
        log::error!("services of the owner: {error}");
    }
    let added = added::load::load(&store, &found);
    if !paths.boot_complete().exists() {
        read_ahead::begin(&paths, found.services.iter());
    }
    let (units, graph) = units(&paths, &store, found, added);

    let (posts, received) = mpsc::unbounded_channel();
    let system = Rc::new(System {
        boot_report: reports::read(&paths.boot_report()),
        boot: RefCell::new(if paths.boot_complete().exists() { Boot::Complete } else { Boot::Starting }),
        hostname: RefCell::new(hostname::current()),
        reaper: RefCell::default(),
        ending: Cell::new(None),
        events: Events::default(),
        changed: watch::Sender::new(0),
        units: RefCell::new(units),
        paths,
        control,
        logs,
        console,
        graph: RefCell::new(graph),
        store,
        changing: Mutex::default(),
        updating: Mutex::default(),
        timers: Notify::default(),
        starts: Semaphore::new(STARTS),
        posts,
    });
    serve(&system, &mut stored)?;
    for message in missed {
        obey(&system, message);
    }
    adopt::all(&system, stored);
    system.tell_init(&ToInit::Ready, None);
    tokio::task::spawn_local(watchdog(Rc::clone(&system)));
    tokio::task::spawn_local(timer::run(Rc::clone(&system)));
    tokio::task::spawn_local(supervise::run(Rc::clone(&system), received));
    tokio::task::spawn_local(update::trial::watch(Rc::clone(&system)));
    tokio::task::spawn_local(update::schedule::run(Rc::clone(&system)));
    loop {
        match system.control.receive().await.context("control channel")? {
            Some((message, _)) => obey(&system, message),
            None => bail!("PID 1 closed the control channel"),
        }
    }
}

/// Asks PID 1 for the descriptors it kept; exits reported before they have come, also to the daemon before this one, are
/// kept in order.
async fn descriptors(control: &Channel) -> anyhow::Result<(HashMap<String, OwnedFd>, Vec<FromInit>)> {
    let mut stored = HashMap::new();
    let mut missed = control.known_exits();
    control.send(&ToInit::StoreList, None)?;
    loop {
        match control.receive().await? {
            Some((FromInit::StoredEnd, _)) => return Ok((stored, missed)),
            Some((FromInit::Stored { name }, Some(descriptor))) => drop(stored.insert(name, descriptor)),
            Some((FromInit::Stored { name }, None)) => log::warn!("PID 1 sent no descriptor with \"{name}\""),
            Some((other, _)) => missed.push(other),
            None => bail!("PID 1 closed the control channel"),
        }
    }
}

fn units(
    paths: &Paths,
    store: &Store,
    found: Definitions,
    added: Definitions,
) -> (BTreeMap<String, Unit>, definition::Graph) {
    let names: BTreeSet<String> =
        added.services.keys().cloned().chain(added.broken.iter().map(|broken| broken.service.clone())).collect();
    let services: BTreeMap<_, _> = found.services.into_iter().chain(added.services).collect();
    let edges = services.iter().map(|(name, service)| (name.clone(), membership::edges(service)));
    let (graph, mut broken) = definition::graph::build(&edges.collect());
    broken.extend(found.broken.into_iter().chain(added.broken));
    let mut units = BTreeMap::new();
    let origin = |name: &String| names.contains(name).then(|| added::store::origin(&store.installed(name)).ok());
    for (name, service) in services {
        let record = Record::load(&paths.service_run(&name)).unwrap_or_else(|error| {
            log::warn!("{name}: its record cannot be read: {error}");
            None
        });
        let unit = Unit::new(service, record.unwrap_or_else(Record::fresh));
        units.insert(name.clone(), Unit { added: origin(&name), ..unit });
    }
    for definition::Broken { service, reason } in broken {
        log::error!("{service} is not started: {reason}");
        units.insert(service.clone(), Unit { added: origin(&service), ..Unit::broken(reason) });
    }
    (units, graph)
}

/// Serves the sockets. PID 1 keeps them too, so that a client that comes while the daemon is started again waits in the
/// queue and is not refused.
fn serve(system: &Rc<System>, stored: &mut HashMap<String, OwnedFd>) -> anyhow::Result<()> {
    let api = Api::new(Rc::clone(system));
    let mut listen = |name: String, path: &Path, scope: Scope| {
        let kept = stored.remove(&name).filter(|_| path.exists());
        let socket = match kept {
            Some(socket) => socket,
            None => {
                let socket = api::bind(path)?;
                system.tell_init(&ToInit::Store { name }, Some(socket.as_fd()));
                socket
            }
        };
        api::listen(&api, socket, scope)
    };
    let host = system.paths.system_socket();
    listen("api".into(), &host, Scope::Admin).with_context(|| host.display().to_string())?;
    for (name, unit) in system.units.borrow().iter() {
        let scope = match unit.definition.as_ref().map(|service| service.api) {
            Some(hull_service::Api::Admin) => Scope::Admin,
            Some(hull_service::Api::Power) => Scope::Power,
            Some(hull_service::Api::None) | None => continue,
        };
        let path = system.paths.api(name).join("hull.sock");
        if let Err(error) = listen(format!("api:{name}"), &path, scope) {
            log::error!("{name}: its API socket {}: {error}", path.display());
        }
    }
    Ok(())
}

fn obey(system: &Rc<System>, message: FromInit) {
    match message {
        FromInit::Exit { pid, status, time_us } => {
            system.reaper.borrow_mut().exited(Exit { pid, status, time_us });
        }
        FromInit::Stop(power) => shutdown::begin(system, power),
        FromInit::Stored { .. } | FromInit::StoredEnd => {}
    }
}

async fn watchdog(system: Rc<System>) {
    loop {
        tokio::time::sleep(WATCHDOG_PERIOD).await;
        system.tell_init(&ToInit::Watchdog, None);
    }
}
