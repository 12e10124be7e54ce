//! Descriptors a service leaves with the system by `FDSTORE=1` (sd_pid_notify_with_fds(3)) and gets back when it is started
//! again. PID 1 keeps a copy of each, so that they outlive this process too; they are dropped when the service is down.

use super::system::System;
use super::unit::Unit;
use crate::control::ToInit;
use crate::readiness::notify::Notification;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fd::{AsFd, OwnedFd};
use rustix::fs::FileType;
use std::collections::HashMap;
use std::io;
use std::rc::Rc;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::task::JoinHandle;

/// Between two looks at a kept descriptor that something has happened to.
const RECHECK: std::time::Duration = std::time::Duration::from_secs(1);

/// Descriptors of one service.
#[derive(Debug, Default)]
pub struct FdStore {
    kept: Vec<Kept>,
    next: u64,
}

#[derive(Debug)]
struct Kept {
    key: Key,
    descriptor: OwnedFd,
    watcher: Option<JoinHandle<()>>,
}

impl Drop for Kept {
    fn drop(&mut self) {
        if let Some(watcher) = self.watcher.take() {
            watcher.abort();
        }
    }
}

/// Name in PID 1's store: `fd:SERVICE:NUMBER:POLL:NAME`, `POLL` is 1 when it is dropped once its other end is gone.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Key {
    service: String,
    number: u64,
    poll: bool,
    name: String,
}

impl Key {
    fn encode(&self) -> String {
        format!("fd:{}:{}:{}:{}", self.service, self.number, u8::from(self.poll), self.name)
    }

    fn parse(text: &str) -> Option<Self> {
        let mut parts = text.strip_prefix("fd:")?.splitn(4, ':');
        Some(Self {
            service: parts.next()?.into(),
            number: parts.next()?.parse().ok()?,
            poll: parts.next()? == "1",
            name: parts.next()?.into(),
        })
    }
}

/// Does what a notification with these descriptors asks for.
pub fn hear(system: &Rc<System>, name: &str, notification: &Notification, descriptors: Vec<OwnedFd>) {
    if notification.remove {
        if let Some(wanted) = &notification.fd_name {
            drop_where(system, name, |key| key.name == *wanted);
        }
    }
    if !notification.store {
        return;
    }
    for descriptor in descriptors {
        let poll = !notification.keep_broken;
        match system.with(name, |unit| admit(unit, name, &descriptor, notification.stored_name(), poll)) {
            Some(Admission::Keep(key)) => {
                system.tell_init(&ToInit::Store { name: key.encode() }, Some(descriptor.as_fd()));
                keep(system, key, descriptor);
            }
            Some(Admission::Full(most)) => {
                log::warn!("{name}: a descriptor is not kept: run.fd-store-max is {most}");
            }
            Some(Admission::Known) | None => {}
        }
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Admission {
    Keep(Key),
    Known,
    Full(u32),
}

fn admit(unit: &mut Unit, service: &str, descriptor: &OwnedFd, name: &str, poll: bool) -> Admission {
    let most = unit.definition.as_ref().map_or(0, |service| service.run.fd_store_max);
    let store = &mut unit.fd_store;
    let identity = identity(descriptor);
    if identity.is_some() && store.kept.iter().any(|kept| self::identity(&kept.descriptor) == identity) {
        return Admission::Known;
    }
    if store.kept.len() >= usize::try_from(most).unwrap_or(usize::MAX) {
        return Admission::Full(most);
    }
    let number = store.next;
    store.next += 1;
    Admission::Keep(Key { service: service.into(), number, poll, name: name.into() })
}

/// What tells a descriptor from others; those of anonymous inodes (eventfd, timerfd, …) all share one.
fn identity(descriptor: &OwnedFd) -> Option<(u64, u64)> {
    let status = rustix::fs::fstat(descriptor).ok()?;
    let known = FileType::from_raw_mode(status.st_mode) != FileType::Unknown;
    known.then_some((status.st_dev, status.st_ino))
}

fn keep(system: &Rc<System>, key: Key, descriptor: OwnedFd) {
    let watcher = key.poll.then(|| watch(system, key.clone(), &descriptor)).flatten();
    system.with(&key.service.clone(), |unit| {
        unit.fd_store.next = unit.fd_store.next.max(key.number + 1);
        unit.fd_store.kept.push(Kept { key, descriptor, watcher });
        unit.fd_store.kept.sort_by_key(|kept| kept.key.number);
    });
}

/// Drops a descriptor once its other end is gone.
fn watch(system: &Rc<System>, key: Key, descriptor: &OwnedFd) -> Option<JoinHandle<()>> {
    let copy = descriptor.try_clone().ok()?;
    // Neither reading nor writing: what the service does with it wakes nobody here. Files cannot be waited for.
    #[expect(deprecated, reason = "what takes its place is unsafe for the sake of types other than OwnedFd")]
    let copy = AsyncFd::with_interest(copy, Interest::PRIORITY).ok()?;
    let system = Rc::clone(system);
    Some(tokio::task::spawn_local(async move {
        while !broken(copy.get_ref()) {
            match copy.ready(Interest::PRIORITY | Interest::ERROR).await {
                Ok(mut guard) => {
                    guard.clear_ready();
                    // A pipe that got a new writer is ready for ever and not broken.
                    tokio::time::sleep(RECHECK).await;
                }
                Err(_) => return,
            }
        }
        drop_where(&system, &key.service.clone(), |other| *other == key);
    }))
}

fn broken(descriptor: &OwnedFd) -> bool {
    let mut fds = [PollFd::new(descriptor, PollFlags::empty())];
    let ready = poll(&mut fds, Some(&Timespec { tv_sec: 0, tv_nsec: 0 }));
    ready.is_ok() && fds[0].revents().intersects(PollFlags::HUP | PollFlags::ERR | PollFlags::NVAL)
}

fn drop_where(system: &System, name: &str, unwanted: impl Fn(&Key) -> bool) {
    let dropped = system.with(name, |unit| {
        let (dropped, kept) = unit.fd_store.kept.drain(..).partition::<Vec<_>, _>(|kept| unwanted(&kept.key));
        unit.fd_store.kept = kept;
        dropped
    });
    for kept in dropped.into_iter().flatten() {
        system.tell_init(&ToInit::StoreRemove { name: kept.key.encode() }, None);
    }
}

/// Drops all of a service that is down.
pub fn clear(system: &System, name: &str) {
    drop_where(system, name, |_| true);
}

/// Takes back what PID 1 kept for a service.
pub fn restore(system: &Rc<System>, name: &str, stored: &mut HashMap<String, OwnedFd>) {
    let keys: Vec<Key> = stored.keys().filter_map(|text| Key::parse(text)).filter(|key| key.service == name).collect();
    for key in keys {
        if let Some(descriptor) = stored.remove(&key.encode()) {
            keep(system, key, descriptor);
        }
    }
}

/// Copies of all for a new container, with their names, in the order they came.
///
/// # Errors
/// When this process has too many open files.
pub fn copies(unit: &Unit) -> io::Result<(Vec<OwnedFd>, Vec<String>)> {
    let kept = &unit.fd_store.kept;
    let copies = kept.iter().map(|kept| kept.descriptor.try_clone()).collect::<io::Result<_>>()?;
    Ok((copies, kept.iter().map(|kept| kept.key.name.clone()).collect()))
}

#[cfg(test)]
mod tests {
    use super::super::record::Record;
    use super::*;

    #[test]
    fn keys_survive_any_name() {
        for name in ["stored", "a b", "x.socket"] {
            let key = Key { service: "a".into(), number: 7, poll: name == "a b", name: name.into() };
            assert_eq!(Key::parse(&key.encode()), Some(key));
        }
        for bad in ["log:a:stdout", "fd:a:x:1:n", "fd:a:1"] {
            assert_eq!(Key::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn each_descriptor_is_kept_once_and_no_more_than_allowed() {
        let text = "description = \"x\"\n[[process]]\nname = \"a\"\ncommand = [\"/a\"]\n[run]\nfd-store-max = 1\n";
        let mut unit = Unit::new(hull_service::parse("test", text).unwrap(), Record::fresh());
        let (reader, writer) = rustix::pipe::pipe().unwrap();
        let key = Key { service: "a".into(), number: 0, poll: true, name: "n".into() };
        assert_eq!(admit(&mut unit, "a", &reader, "n", true), Admission::Keep(key.clone()));
        unit.fd_store.kept.push(Kept { key, descriptor: reader.try_clone().unwrap(), watcher: None });
        assert_eq!(admit(&mut unit, "a", &reader, "n", true), Admission::Known);
        let other = rustix::pipe::pipe().unwrap().0;
        assert_eq!(admit(&mut unit, "a", &other, "n", true), Admission::Full(1));
        assert_eq!(copies(&unit).unwrap().1, ["n"]);
        assert!(!broken(&reader));
        drop(writer);
        assert!(broken(&reader));
    }
}
