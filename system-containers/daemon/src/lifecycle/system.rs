//! All services and what they share. One thread uses it: borrows are short and never held over an `await`.

use super::boot::Boot;
use super::events::{Events, Happening};
use super::machine::Event;
use super::reaper::Reaper;
use super::unit::Unit;
use crate::added::Store;
use crate::clock::WallTime;
use crate::console_output::Console;
use crate::control::{Channel, Power, ToInit};
use crate::definition::Graph;
use crate::log_store::Collector;
use crate::paths::Paths;
use crate::status::BootReport;
use rustix::fd::BorrowedFd;
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use tokio::sync::{Mutex, Notify, Semaphore, mpsc, watch};

/// One event on its way to a service's machine.
#[derive(Debug)]
pub struct Post {
    /// The service.
    pub service: String,
    /// The phase it was meant for; `None` is for any.
    pub epoch: Option<u64>,
    /// What happened.
    pub event: Event,
}

/// The system.
#[derive(Debug)]
pub struct System {
    /// Places.
    pub paths: Paths,
    /// To PID 1.
    pub control: Channel,
    /// Logs.
    pub logs: Collector,
    /// The administrator's screen.
    pub console: Console,
    /// What PID 1 wrote.
    pub boot_report: BootReport,
    /// Order of services.
    pub graph: RefCell<Graph>,
    /// Services the owner added.
    pub store: Store,
    /// Held by whoever changes them.
    pub changing: Mutex<()>,
    /// Held while the update service has a job.
    pub updating: Mutex<()>,
    /// Containers that may be made at the same time.
    pub starts: Semaphore,
    /// Told when a timer has come.
    pub timers: Notify,
    /// Services by name.
    pub units: RefCell<BTreeMap<String, Unit>>,
    /// Exits.
    pub reaper: RefCell<Reaper>,
    /// State of the boot.
    pub boot: RefCell<Boot>,
    /// The end of the machine, once it has begun.
    pub ending: Cell<Option<Power>>,
    /// Name set last on host and containers.
    pub hostname: RefCell<String>,
    /// Events to the supervisor; `None` only makes it look at everything again.
    pub posts: mpsc::UnboundedSender<Option<Post>>,
    /// What happens to services.
    pub events: Events,
    /// Changes with every state change of any service.
    pub changed: watch::Sender<u64>,
}

impl System {
    /// Sends an event to a service's machine.
    pub fn post(&self, service: &str, event: Event) {
        self.post_in(service, None, event);
    }

    /// Sends an event that counts only while the service is in phase `epoch`.
    pub fn post_in(&self, service: &str, epoch: Option<u64>, event: Event) {
        // The supervisor runs as long as the process.
        self.posts.send(Some(Post { service: service.into(), epoch, event })).ok();
    }

    /// Something that is no event of a machine changed: health, the end of the machine.
    pub fn look_again(&self) {
        self.posts.send(None).ok();
    }

    /// Tells clients that something happened to a service.
    pub fn tell(&self, service: &str, action: impl Into<String>, attributes: &[(&str, String)]) {
        let id = self.with(service, |unit| unit.record.id.clone()).unwrap_or_default();
        let attributes = attributes.iter().map(|(key, value)| ((*key).to_owned(), value.clone())).collect();
        let time = WallTime::now();
        self.events.tell(Happening { service: service.into(), id, action: action.into(), attributes, time });
    }

    /// Looks at, or changes, one service.
    pub fn with<T>(&self, service: &str, act: impl FnOnce(&mut Unit) -> T) -> Option<T> {
        self.units.borrow_mut().get_mut(service).map(act)
    }

    /// Writes a service's record; a full /run leaves the old one, which is told.
    pub fn save(&self, service: &str) {
        let folder = self.paths.service_run(service);
        if let Some(Err(error)) = self.with(service, |unit| unit.record.save(&folder)) {
            log::error!("{service}: its state cannot be written to {}: {error}", folder.display());
        }
    }

    /// Sends to PID 1; without PID 1 there is no machine, so a failure is only told.
    pub fn tell_init(&self, message: &ToInit, descriptor: Option<BorrowedFd<'_>>) {
        if let Err(error) = self.control.send(message, descriptor) {
            log::error!("to PID 1: {error}");
        }
    }

    /// Waits until `done` holds for a service; false when there is no such service.
    pub async fn until(&self, service: &str, mut done: impl FnMut(&mut Unit) -> bool) -> bool {
        let mut changed = self.changed.subscribe();
        loop {
            match self.with(service, &mut done) {
                None => return false,
                Some(true) => return true,
                Some(false) => {}
            }
            if changed.changed().await.is_err() {
                return false;
            }
        }
    }
}
