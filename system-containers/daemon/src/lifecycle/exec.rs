//! Further processes in a running container.

use super::process::Init;
use super::system::System;
use crate::blocking::blocking;
use crate::clock::boot_micros;
use crate::hostname;
use crate::plan::{self, Command};
use hull_runtime::{Started, Stdio};
use rustix::fd::{AsFd, OwnedFd};
use rustix::process::Signal;
use std::io;
use std::rc::Rc;
use tokio::sync::oneshot;

use super::machine::exit_code;
use super::reaper::Exit;

/// A process that runs and the message of its end.
#[derive(Debug)]
pub struct Running {
    /// Process and terminal.
    pub started: Started,
    /// Resolves when PID 1 reports the exit.
    pub exit: oneshot::Receiver<Exit>,
}

/// Starts a process in the container of `name` on the given streams.
pub async fn spawn(system: &Rc<System>, name: &str, command: Command, stdio: [OwnedFd; 3]) -> io::Result<Running> {
    // It would be made frozen, and do its work when nobody waits for it any more.
    if system.with(name, |unit| unit.record.paused) == Some(true) {
        return Err(io::Error::new(io::ErrorKind::ResourceBusy, format!("{name} is paused")));
    }
    let planned = system.with(name, |unit| {
        let (service, init) = (unit.definition.as_ref()?, unit.process()?);
        Some(init.map(|init| (plan::exec(name, service, &system.paths, init.pid(), command), init)))
    });
    let Some(Some(planned)) = planned else {
        return Err(io::Error::new(io::ErrorKind::NotConnected, format!("{name} is not running")));
    };
    let (exec, init) = planned?;
    let since = boot_micros();
    let program = system.paths.program.clone();
    let started = blocking(&format!("exec {name}"), move || {
        let [stdin, stdout, stderr] = stdio.each_ref().map(AsFd::as_fd);
        hull_runtime::exec(&program, &exec, init.as_fd(), Stdio { stdin, stdout, stderr })
    })
    .await?
    .map_err(io::Error::other)?;
    let exit = system.reaper.borrow_mut().wait(started.pid.as_raw_nonzero().get(), since);
    Ok(Running { started, exit })
}

/// Kills a process whose waiter is gone.
struct KillOnDrop(Option<OwnedFd>);

impl Drop for KillOnDrop {
    fn drop(&mut self) {
        if let Some(pidfd) = &self.0 {
            // Ended on its own in the meantime: nothing to do.
            rustix::process::pidfd_send_signal(pidfd, Signal::KILL).ok();
        }
    }
}

/// Runs a command without streams to its end and returns its exit code; killed when the caller stops waiting.
pub async fn status(system: &Rc<System>, name: &str, command: Command) -> io::Result<i32> {
    let null = || std::fs::OpenOptions::new().read(true).write(true).open("/dev/null").map(OwnedFd::from);
    let running = spawn(system, name, command, [null()?, null()?, null()?]).await?;
    let mut guard = KillOnDrop(Some(running.started.pidfd));
    let exit = running.exit.await;
    guard.0 = None;
    Ok(exit_code(exit.ok().map(|exit| exit.status)))
}

/// Sets the host name on the host and in running containers.
pub async fn rename(name: String, containers: Vec<Init>) {
    let renamed = blocking("hostname", move || {
        let mut result = hostname::set_host(&name);
        for init in containers {
            // On a thread of its own: it does not come back from the container's namespace.
            let name = name.clone();
            let joined = std::thread::spawn(move || hostname::set_container(init.as_fd(), &name)).join();
            result = result.and(joined.unwrap_or_else(|_| Err(io::Error::other("thread"))));
        }
        result
    });
    if let Err(error) | Ok(Err(error)) = renamed.await {
        log::warn!("host name: {error}");
    }
}
