//! exec: a further process in a container.

use crate::cli::Exec;
use crate::console;
use crate::pid_file::PidFile;
use crate::status::Status;
use crate::store::{Record, Store};
use crate::{cgroups, config, wait};
use anyhow::{Context, Result, bail, ensure};
use hull_runtime::Stdio;
use hull_runtime::bundle::{self, Running};
use oci_spec::runtime::{Capabilities, Capability, LinuxCapabilities, Process, UserBuilder};
use rustix::process::Pid;
use serde_json::json;
use std::io;
use std::os::fd::AsFd;

/// Starts the process; returns its exit status, or 0 when detached.
pub(crate) fn exec(store: &Store, asked: &Exec) -> Result<u8> {
    let record = store.load(&asked.id)?;
    let status = store.status(&record);
    let open = matches!(status, Status::Created | Status::Running);
    ensure!(open, "cannot exec in container {}: container not running, but {}", asked.id, status.word());
    let init = record.init.context("container not running")?;
    let process = match &asked.process {
        Some(file) => config::load_process(file)?,
        None => of_options(&record, asked)?,
    };
    let terminal = process.terminal() == Some(true);
    let socket = asked.console_socket.as_deref();
    ensure!(terminal || socket.is_none(), "--console-socket: the process has no terminal (process.terminal, --tty)");
    ensure!(socket.is_none() || asked.detach, "--console-socket: only with --detach; else the terminal is this one");
    ensure!(!terminal || !asked.detach || socket.is_some(), "a terminal and --detach: --console-socket is needed");

    // Everything of the host is opened before the container's mount namespace is joined.
    hull_sys::clone::close_on_exec_from(3 + asked.preserve).context("--preserve-fds")?;
    let socket = socket.map(console::connect).transpose()?;
    let pid_file = asked.pid_file.as_deref().map(PidFile::new).transpose()?;
    let signals = if asked.detach { None } else { Some(wait::Signals::block()?) };
    let now_in = cgroups::of_process(init.pid)?;
    let cgroup = if now_in.starts_with(&record.cgroup) { now_in } else { record.cgroup.clone() };
    let (stdin, stdout, stderr) = (io::stdin(), io::stdout(), io::stderr());
    let stdio = Stdio { stdin: stdin.as_fd(), stdout: stdout.as_fd(), stderr: stderr.as_fd() };
    let container = Running {
        init: Pid::from_raw(init.pid).context("container not running")?,
        cgroup: &cgroup,
        seccomp: record.seccomp.as_ref(),
        state: record.state(status),
        shares_mounts: record.shares_mounts,
    };
    let mut started = bundle::exec(&container, &process, stdio)?;
    let master = started.terminal.take();
    if let Some(file) = pid_file {
        file.write(started.pid)?;
    }
    match (signals, socket, master) {
        (None, Some(socket), Some(master)) => {
            bundle::send_console(socket.as_fd(), master.as_fd()).map(|()| 0).map_err(Into::into)
        }
        (None, ..) => Ok(0),
        (Some(signals), _, master) => wait::attend(&started, master.as_ref(), signals),
    }
}

/// The configuration's process with what the options say otherwise.
fn of_options(record: &Record, asked: &Exec) -> Result<Process> {
    if asked.command.is_empty() {
        bail!("no command: name one, or --process");
    }
    let mut process = record.process.clone();
    process.set_args(Some(asked.command.clone()));
    process.set_terminal(Some(asked.tty));
    if let Some(cwd) = &asked.cwd {
        ensure!(cwd.is_absolute(), "--cwd {} is not absolute", cwd.display());
        process.set_cwd(cwd.clone());
    }
    let mut env = process.env().clone().unwrap_or_default();
    env.extend(asked.env.iter().cloned());
    process.set_env(Some(env));
    if let Some((uid, gid)) = asked.user {
        process.set_user(UserBuilder::default().uid(uid).gid(gid.unwrap_or(0)).build()?);
    }
    if !asked.groups.is_empty() {
        let mut user = process.user().clone();
        user.set_additional_gids(Some(asked.groups.clone()));
        process.set_user(user);
    }
    if asked.no_new_privs {
        process.set_no_new_privileges(Some(true));
    }
    if !asked.capabilities.is_empty() {
        // Not the type's default, which holds some.
        let none = serde_json::from_value(json!({}))?;
        let sets = process.capabilities().clone().unwrap_or(none);
        process.set_capabilities(Some(with(sets, &asked.capabilities)?));
    }
    Ok(process)
}

/// Adds capabilities to the sets execve(2) of a program makes effective.
fn with(mut sets: LinuxCapabilities, names: &[String]) -> Result<LinuxCapabilities> {
    let mut more = Capabilities::new();
    for name in names {
        let capability: Capability = serde_json::from_value(json!(name)).with_context(|| format!("--cap {name}"))?;
        more.insert(capability);
    }
    let joined = |set: &Option<Capabilities>| Some(set.iter().flatten().chain(&more).copied().collect());
    sets.set_bounding(joined(sets.bounding()));
    sets.set_permitted(joined(sets.permitted()));
    sets.set_effective(joined(sets.effective()));
    Ok(sets)
}
