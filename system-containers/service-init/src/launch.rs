//! Starts a process of the service.
//!
//! Between fork and exec no Rust code may safely run, and some things have to happen there: leave the supervisor's
//! signal mask, own session, controlling terminal, own cgroup. So the child is this same program as
//! `service-init enter [--tty DEVICE] [--cgroup DIRECTORY] -- PROGRAM ARGUMENT…`, which does them and becomes the program.

use anyhow::{Context, Result, bail};
use hull_service::Process;
use nix::sys::signal::SigSet;
use rustix::fs::{Mode, OFlags};
use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, ExitCode};

/// First argument of the child.
pub(crate) const ENTER: &str = "enter";
/// This program, also where its own file is not visible.
const SELF: &str = "/proc/self/exe";
/// The daemon's socket is for the supervisor: sshd and dockerd would announce readiness of the whole service on it.
const NOTIFY_VARIABLE: &str = "NOTIFY_SOCKET";

/// Where a terminal stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tty {
    /// It can be opened and is a terminal.
    Usable,
    /// No such device, no hardware behind it (a serial port's node exists without one), or not allowed.
    Missing,
}

/// Looks whether a terminal could be used, without taking it.
pub(crate) fn look_at_tty(device: &str) -> Tty {
    let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::NONBLOCK | OFlags::CLOEXEC;
    match rustix::fs::open(device, flags, Mode::empty()) {
        Ok(tty) if rustix::termios::tcgetattr(&tty).is_ok() => Tty::Usable,
        _ => Tty::Missing,
    }
}

/// Starts `command` with the service's and its own environment; gives the process id, to be reaped by the caller.
pub(crate) fn start(
    process: &Process,
    service_environment: &BTreeMap<String, String>,
    cgroup: Option<&Path>,
) -> io::Result<i32> {
    let mut command = entering(cgroup, process.tty.as_deref(), &process.command);
    command.envs(service_environment).envs(&process.environment);
    spawn(command)
}

/// Starts a probe command; output is the service's log.
pub(crate) fn start_probe(probe: &[String], environment: &BTreeMap<String, String>) -> io::Result<i32> {
    let mut command = entering(None, None, probe);
    command.envs(environment);
    spawn(command)
}

fn entering(cgroup: Option<&Path>, tty: Option<&str>, program: &[String]) -> Command {
    let mut command = Command::new(SELF);
    command.arg0("service-init").arg(ENTER).env_remove(NOTIFY_VARIABLE);
    if let Some(directory) = cgroup {
        command.arg("--cgroup").arg(directory);
    }
    if let Some(device) = tty {
        command.arg("--tty").arg(device);
    }
    command.arg("--").args(program);
    command
}

fn spawn(mut command: Command) -> io::Result<i32> {
    // Dropping a `Child` neither waits nor kills; the loop reaps every child by id.
    let child = command.spawn()?;
    i32::try_from(child.id()).map_err(io::Error::other)
}

/// The child's side: prepares itself and becomes the program. Comes back only with an error.
pub(crate) fn enter(arguments: &[OsString]) -> Result<ExitCode> {
    let mut rest = arguments;
    let mut tty = None;
    let mut cgroup = None;
    let program = loop {
        match rest {
            [separator, program @ ..] if separator == "--" => break program,
            [option, value, more @ ..] if option == "--tty" => {
                tty = Some(value);
                rest = more;
            }
            [option, value, more @ ..] if option == "--cgroup" => {
                cgroup = Some(value);
                rest = more;
            }
            _ => bail!("{ENTER}: expected [--tty DEVICE] [--cgroup DIRECTORY] -- PROGRAM ARGUMENT…"),
        }
    };
    let Some((program, arguments)) = program.split_first() else { bail!("{ENTER}: no program") };
    SigSet::empty().thread_set_mask().context("cannot unblock signals")?;
    if let Some(directory) = cgroup {
        let file = Path::new(directory).join("cgroup.procs");
        fs::write(&file, "0").with_context(|| format!("cannot enter cgroup {}", file.display()))?;
    }
    // Fails only for a process group leader, which a fresh child is not.
    rustix::process::setsid().context("cannot start a session")?;
    let mut command = Command::new(program);
    if let Some(device) = tty {
        let tty = take_tty(device).with_context(|| format!("cannot use terminal {}", Path::new(device).display()))?;
        command.stdin(tty.try_clone()?).stdout(tty.try_clone()?).stderr(tty);
    }
    let error = command.args(arguments).exec();
    Err(error).with_context(|| format!("cannot execute {}", Path::new(program).display()))
}

/// Makes the terminal the session's own.
fn take_tty(device: &OsStr) -> io::Result<OwnedFd> {
    // NONBLOCK: a serial line without carrier would block the open; taken off again for the program.
    let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let tty = rustix::fs::open(device, flags, Mode::empty())?;
    rustix::fs::fcntl_setfl(&tty, OFlags::empty())?;
    rustix::process::ioctl_tiocsctty(&tty)?;
    Ok(tty)
}
