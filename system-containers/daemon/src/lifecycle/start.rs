//! Making a service's container: sources, pipes, notify socket, cgroup, and the runtime's start.

use super::machine::Event;
use super::oom;
use super::process;
use super::system::System;
use super::{end, fd_store, watchdog};
use crate::added::{Damage, verify};
use crate::blocking::blocking;
use crate::clock::{WallTime, boot_micros};
use crate::control::ToInit;
use crate::log_store::Stream;
use crate::plan::{self, Plan, facts::Facts, mounts::Source};
use crate::readiness::notify;
use hull_runtime::{Started, Stdio, cgroup};
use hull_service::{IoMax, validate::SYSTEM_DISK};
use rustix::fd::{AsFd, OwnedFd};
use rustix::pipe::{PipeFlags, pipe_with};
use std::fs;
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;
use std::rc::Rc;
use std::time::Duration;

/// Time what is left of an earlier container gets to die before a new one is made.
const CLEAR_TIMEOUT: Duration = Duration::from_secs(5);

/// Why a container was not made.
#[derive(Debug, thiserror::Error)]
pub enum LaunchError {
    /// A mount source, pipe or socket.
    #[error("{what}: {source}")]
    Prepare {
        /// What was being made.
        what: String,
        /// Why not.
        source: io::Error,
    },
    /// An added service is not what was added.
    #[error("{0}; hull service upgrade puts a sound image in its place")]
    Damaged(#[from] Damage),
    /// The cgroup.
    #[error(transparent)]
    Cgroup(#[from] cgroup::CgroupError),
    /// The container.
    #[error(transparent)]
    Start(#[from] hull_runtime::StartError),
}

/// Starts the container of a service and reports [`Event::Launched`] or [`Event::LaunchFailed`].
pub async fn launch(system: Rc<System>, name: String) {
    let since = boot_micros();
    match try_launch(&system, &name).await {
        Ok(started) => {
            let pid = started.pid.as_raw_nonzero().get();
            let exit = system.reaper.borrow_mut().wait(pid, since);
            system.with(&name, |unit| {
                let record = &mut unit.record;
                record.pid = Some(pid);
                record.start_ticks = process::start_ticks(started.pid).unwrap_or(0);
                record.started = Some(WallTime::now());
                record.started_us = since;
                record.created = record.created.or(record.started);
                record.oom.begin_run();
                unit.pidfd = Some(started.pidfd);
            });
            oom::begin(&system, &name);
            system.save(&name);
            tokio::task::spawn_local(end::watch(Rc::clone(&system), name.clone(), exit));
            system.post(&name, Event::Launched);
        }
        Err(error) => {
            end::clear(&system, &name).await;
            let reason = format!("cannot start: {error}");
            let is_damaged = matches!(error, LaunchError::Damaged(_));
            system.post(&name, if is_damaged { Event::Damaged(reason) } else { Event::LaunchFailed(reason) });
        }
    }
}

async fn try_launch(system: &Rc<System>, name: &str) -> Result<Started, LaunchError> {
    let prepare = |what: &str| {
        let what = what.to_owned();
        move |source: io::Error| LaunchError::Prepare { what, source }
    };
    // Never closed, so there is always a permit to come.
    let _permit = system.starts.acquire().await;
    let facts = Facts::read(system.hostname.borrow().clone(), &system.boot_report);
    let planned = system.with(name, |unit| {
        unit.notified = false;
        unit.status = None;
        let service = unit.definition.as_ref()?;
        let notifies = plan::has_notify_socket(service);
        unit.record.watchdog_us = None;
        let mut plan = plan::plan(name, service, &system.paths, &facts);
        plan.limits.io_max = disks(name, &service.limits.io_max, system.boot_report.system_disk.as_deref());
        Some((plan, notifies))
    });
    let Some(Some((mut plan, notifies))) = planned else {
        return Err(prepare("definition")(io::ErrorKind::NotFound.into()));
    };
    if system.with(name, |unit| unit.added.is_some()) == Some(true) {
        let folder = system.store.installed(name);
        blocking(&format!("verify {name}"), move || verify(&folder)).await.map_err(prepare("thread"))??;
    }
    let copies = system.with(name, |unit| fd_store::copies(unit)).transpose().map_err(prepare("kept descriptors"))?;
    let (descriptors, names) = copies.unwrap_or_default();
    plan::process::listen(&mut plan.launch.spec, &names);
    if notifies {
        let socket = notify::bind(&system.paths.notify(name)).map_err(prepare("notify socket"))?;
        system.tell_init(&ToInit::Store { name: notify_name(name) }, Some(socket.as_fd()));
        listen(system, name, socket).map_err(prepare("notify socket"))?;
    }
    let stdin: OwnedFd = fs::File::open("/dev/null").map_err(prepare("/dev/null"))?.into();
    let stdout = log_pipe(system, name, Stream::Stdout).map_err(prepare("log pipe"))?;
    let stderr = log_pipe(system, name, Stream::Stderr).map_err(prepare("log pipe"))?;
    let program = system.paths.program.clone();
    let lows = plan.limits.memory_low.map(|_| lows(system));
    let work = move || carry_out(&program, &plan, lows, [&stdin, &stdout, &stderr], &descriptors);
    blocking(&format!("start {name}"), work).await.map_err(prepare("thread"))?
}

/// What is protected from reclaim of all services together. A service of the owner's may ask for any number.
fn lows(system: &System) -> u64 {
    let units = system.units.borrow();
    units.values().filter_map(|unit| plan::memory_low(unit.definition.as_ref()?)).fold(0, u64::saturating_add)
}

/// Numbers of the disks a service is limited on. One that is not there limits nothing.
fn disks(name: &str, limits: &[IoMax], system_disk: Option<&str>) -> Vec<cgroup::IoMax> {
    let mut disks = Vec::new();
    for limit in limits {
        let node = if limit.device == SYSTEM_DISK { system_disk } else { Some(limit.device.as_str()) };
        let device = node.ok_or(io::ErrorKind::NotFound.into()).and_then(block_device);
        match device {
            Ok(device) => disks.push(plan::io_max(limit, device)),
            Err(error) => log::warn!("{name}: limits.io-max: {}: {error}", limit.device),
        }
    }
    disks
}

fn block_device(node: &str) -> io::Result<(u32, u32)> {
    let status = rustix::fs::stat(node)?;
    if rustix::fs::FileType::from_raw_mode(status.st_mode) != rustix::fs::FileType::BlockDevice {
        return Err(io::Error::other("no block device"));
    }
    Ok((rustix::fs::major(status.st_rdev), rustix::fs::minor(status.st_rdev)))
}

fn carry_out(
    program: &Path,
    plan: &Plan,
    lows: Option<u64>,
    stdio: [&OwnedFd; 3],
    descriptors: &[OwnedFd],
) -> Result<Started, LaunchError> {
    for source in &plan.sources {
        make(source)
            .map_err(|error| LaunchError::Prepare { what: source.path.display().to_string(), source: error })?;
    }
    let path = &plan.launch.cgroup;
    cgroup::kill(path)?;
    cgroup::wait_empty(path, CLEAR_TIMEOUT)?;
    cgroup::create(path, &plan.limits)?;
    // No service is protected further than all of them together.
    if let Some((services, lows)) = path.parent().zip(lows) {
        cgroup::set(services, &[("memory.low".into(), lows.to_string())])?;
    }
    let [stdin, stdout, stderr] = stdio.map(AsFd::as_fd);
    let descriptors: Vec<_> = descriptors.iter().map(AsFd::as_fd).collect();
    Ok(hull_runtime::start_with(program, &plan.launch, Stdio { stdin, stdout, stderr }, &descriptors)?)
}

fn make(source: &Source) -> io::Result<()> {
    if source.path.symlink_metadata().is_ok() {
        return Ok(());
    }
    let parent = source.path.parent().unwrap_or(&source.path);
    fs::DirBuilder::new().recursive(true).mode(0o755).create(parent)?;
    if source.file {
        fs::OpenOptions::new().create_new(true).write(true).mode(source.mode).open(&source.path).map(drop)
    } else {
        fs::DirBuilder::new().mode(source.mode).create(&source.path)
    }
}

/// The write end of a new pipe whose read end PID 1 keeps and the collector reads.
fn log_pipe(system: &Rc<System>, name: &str, stream: Stream) -> io::Result<OwnedFd> {
    let (read_end, write_end) = pipe_with(PipeFlags::CLOEXEC)?;
    system.tell_init(&ToInit::Store { name: log_name(name, stream) }, Some(read_end.as_fd()));
    system.logs.add(name, stream, read_end);
    Ok(write_end)
}

/// Hands notifications of the service to its machine.
pub fn listen(system: &Rc<System>, name: &str, socket: OwnedFd) -> io::Result<()> {
    let socket = notify::listen(socket)?;
    let (shared, service) = (Rc::clone(system), name.to_owned());
    let task = tokio::task::spawn_local(async move {
        while let Ok((notification, descriptors)) = notify::receive(&socket).await {
            let fault = shared.with(&service, |unit| {
                unit.notified |= notification.ready;
                if notification.stopping {
                    unit.status = Some("stopping".into());
                }
                unit.status = notification.status.clone().or(unit.status.take());
                watchdog::hear(unit, &notification)
            });
            fd_store::hear(&shared, &service, &notification, descriptors);
            if let Some(Some(fault)) = fault {
                shared.post(&service, fault);
            }
            if notification.ready {
                shared.post(&service, Event::Ready);
            }
        }
    });
    if let Some(Some(old)) = system.with(name, |unit| unit.listener.replace(task)) {
        old.abort();
    }
    Ok(())
}

/// Name of a log pipe in PID 1's store.
pub fn log_name(service: &str, stream: Stream) -> String {
    format!("log:{service}:{}", stream.name())
}

/// Name of a notify socket in PID 1's store.
pub fn notify_name(service: &str) -> String {
    format!("notify:{service}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_disk_that_is_not_there_limits_nothing() {
        let limit = |device: &str| IoMax {
            device: device.into(),
            read_bytes: None,
            write_bytes: Some("1M".into()),
            read_operations: None,
            write_operations: Some(9),
        };
        let limits = ["/dev/null", "/dev/absent", SYSTEM_DISK].map(limit);
        assert!(disks("a", &limits, None).is_empty());
        let known = plan::io_max(&limits[0], (8, 16));
        assert_eq!((known.device, known.write_bytes, known.write_operations), ((8, 16), Some(1 << 20), Some(9)));
    }

    #[test]
    fn sources_are_made_once_with_their_mode() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a/b");
        let source = Source { path: path.clone(), file: false, mode: 0o700 };
        make(&source).unwrap();
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o700);
        make(&Source { mode: 0o755, ..source }).unwrap();
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o700);
        let file = folder.path().join("c/d");
        make(&Source { path: file.clone(), file: true, mode: 0o644 }).unwrap();
        assert!(file.metadata().unwrap().is_file());
    }
}
