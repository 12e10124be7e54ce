//! create, start, kill, delete and run.

use crate::cli::Create;
use crate::console;
use crate::pid_file::PidFile;
use crate::status::{Identity, Status};
use crate::store::{Claim, Record, Store};
use crate::{cgroups, config, filter, journal, resources, wait};
use anyhow::{Context, Result, bail, ensure};
use hull_runtime::bundle::{self, Bundle, Ends};
use hull_runtime::{Started, Stdio, cgroup, hooks};
use oci_spec::runtime::{Hook, Hooks};
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, bind, listen, socket_with};
use rustix::process::{Pid, PidfdFlags, pidfd_open};
use serde_json::json;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::Path;
use std::time::Duration;

/// Longest wait for killed processes to be gone: they may have to finish writing to a slow disk.
const PATIENCE: Duration = Duration::from_secs(10);

/// Exit status of a process that ended by a signal begins here, as shells have it.
const SIGKILL: i32 = 9;

/// Creates a container whose terminal, if it has one, goes to `--console-socket`.
pub(crate) fn create(store: &Store, asked: &Create) -> Result<Started> {
    let socket = asked.console_socket.as_deref().map(console::connect).transpose()?;
    create_bundle(store, asked, &bundle_of(store, asked)?, socket.as_ref().map(AsFd::as_fd))
}

fn create_bundle(store: &Store, asked: &Create, bundle: &Bundle, console: Option<BorrowedFd<'_>>) -> Result<Started> {
    let terminal = wants_terminal(bundle);
    ensure!(terminal || console.is_none(), "--console-socket: process.terminal of the configuration is not set");
    ensure!(!terminal || console.is_some(), "process.terminal is set: --console-socket is needed to detach");
    let pid_file = asked.pid_file.as_deref().map(PidFile::new).transpose()?;
    let limits = bundle.spec.linux().as_ref().and_then(|linux| linux.resources().as_ref()).map(resources::files);
    let limits = limits.transpose()?.unwrap_or_default();

    let claim = store.make(&asked.id)?;
    let mut record = record_of(bundle);
    let made = (|| {
        claim.save(&record)?;
        let listener = listen_in(&claim)?;
        cgroup::create_with(&bundle.cgroup, &limits)?;
        let (stdin, stdout, stderr) = (io::stdin(), io::stdout(), io::stderr());
        let stdio = Stdio { stdin: stdin.as_fd(), stdout: stdout.as_fd(), stderr: stderr.as_fd() };
        let ends = Ends { stdio, listener: listener.as_fd(), console, preserved: asked.preserve };
        let started = bundle::create(bundle, ends, &mut |pid| run_hooks_at_creation(bundle, pid))?;
        record.init = Some(Identity::of(started.pid.as_raw_nonzero().get())?);
        claim.save(&record)?;
        if let Some(file) = pid_file {
            file.write(started.pid)?;
        }
        Ok(started)
    })();
    made.inspect_err(|_: &anyhow::Error| {
        if let Err(error) = destroy(claim, &record) {
            journal::warning(&format!("what was made of {}: {error:#}", record.id));
        }
    })
}

fn bundle_of(store: &Store, asked: &Create) -> Result<Bundle> {
    let directory = asked.bundle.as_deref().unwrap_or(Path::new("."));
    let directory = std::fs::canonicalize(directory).with_context(|| format!("--bundle {}", directory.display()))?;
    let config::Config { spec, rootfs } = config::load(&directory)?;
    let named = |error: anyhow::Error| error.context(directory.join(config::NAME).display().to_string());
    let linux = spec.linux().clone().unwrap_or_default();
    let seccomp = linux.seccomp().as_ref().map(|seccomp| filter::prepared(store.root(), seccomp)).transpose();
    Ok(Bundle {
        id: asked.id.clone(),
        rootfs,
        cgroup: cgroups::directory(linux.cgroups_path().as_deref(), &asked.id).map_err(named)?,
        seccomp: seccomp.map_err(named)?,
        devices: resources::device_rules(linux.resources().as_ref()).map_err(named)?,
        directory,
        own_keyring: !asked.callers_keyring,
        spec,
    })
}

fn record_of(bundle: &Bundle) -> Record {
    Record {
        id: bundle.id.clone(),
        version: bundle.spec.version().clone(),
        bundle: bundle.directory.clone(),
        rootfs: bundle.rootfs.clone(),
        cgroup: bundle.cgroup.clone(),
        created: journal::now(),
        init: None,
        seccomp: bundle.seccomp.clone(),
        shares_mounts: bundle.shares_mounts(),
        process: bundle.spec.process().clone().unwrap_or_default(),
        hooks: bundle.spec.hooks().clone(),
        annotations: bundle.spec.annotations().clone(),
    }
}

/// The socket the process will wait at. Bound below a descriptor: the path itself may be longer than a name may be.
fn listen_in(claim: &Claim) -> Result<OwnedFd> {
    let path = claim.start_socket();
    let listener = || {
        let directory = std::fs::File::open(path.parent().unwrap_or(Path::new("/")))?;
        let short = format!("/proc/self/fd/{}/start", directory.as_raw_fd());
        let socket = socket_with(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None)?;
        bind(&socket, &SocketAddrUnix::new(short)?)?;
        listen(&socket, 1)?;
        Ok::<_, io::Error>(socket)
    };
    listener().with_context(|| format!("listen at {}", path.display()))
}

fn run_hooks_at_creation(bundle: &Bundle, pid: Pid) -> Result<(), hull_runtime::StartError> {
    let Some(of) = bundle.spec.hooks() else { return Ok(()) };
    let mut state = bundle.state();
    (state["status"], state["pid"]) = (json!(Status::Creating.word()), json!(pid.as_raw_nonzero().get()));
    hooks::run_all("prestart", prestart(of), &state.to_string())?;
    hooks::run_all("createRuntime", of.create_runtime().as_deref().unwrap_or_default(), &state.to_string())
}

#[allow(deprecated, reason = "prestart hooks are deprecated in the specification, and used by dockerd")]
fn prestart(hooks: &Hooks) -> &[Hook] {
    hooks.prestart().as_deref().unwrap_or_default()
}

/// Lets a created container execute its program.
pub(crate) fn start(store: &Store, id: &str) -> Result<()> {
    let (claim, record) = store.claim(id)?;
    let status = store.status(&record);
    ensure!(status == Status::Created, "cannot start container {id}: it is {}", status.word());
    let socket = claim.start_socket();
    let directory = std::fs::File::open(socket.parent().unwrap_or(Path::new("/")))?;
    let listener = record.seccomp.as_ref().and_then(|seccomp| seccomp.listener.as_ref());
    bundle::start(Path::new(&format!("/proc/self/fd/{}/start", directory.as_raw_fd())), listener)?;
    std::fs::remove_file(&socket).with_context(|| format!("remove {}", socket.display()))?;
    let hooks = record.hooks.as_ref().and_then(|hooks| hooks.poststart().as_deref()).unwrap_or_default();
    run_hooks_without_consequence("poststart", hooks, &record, Status::Running);
    Ok(())
}

/// Hooks whose failure changes nothing (specification, "Lifecycle", steps 10 and 13).
fn run_hooks_without_consequence(kind: &str, hooks: &[Hook], record: &Record, status: Status) {
    for hook in hooks {
        if let Err(error) = hooks::run_all(kind, std::slice::from_ref(hook), &record.state(status).to_string()) {
            journal::warning(&error.to_string());
        }
    }
}

/// Sends a signal to the first process or, with `all`, to every process of the container.
pub(crate) fn kill(store: &Store, id: &str, signal: i32, all: bool) -> Result<()> {
    let record = store.load(id)?;
    if all {
        return kill_all(&record, signal);
    }
    let init = record.init.filter(|init| init.lives()).with_context(|| format!("container not running: {id}"))?;
    signal_process(Pid::from_raw(init.pid).context("no process")?, signal).context("send signal")
}

fn kill_all(record: &Record, signal: i32) -> Result<()> {
    if signal == SIGKILL {
        return Ok(cgroup::kill(&record.cgroup)?);
    }
    for pid in cgroup::pids(&record.cgroup)? {
        match signal_process(pid, signal) {
            // Ended since it was listed.
            Err(error) if error.raw_os_error() == Some(rustix::io::Errno::SRCH.raw_os_error()) => {}
            sent => sent.with_context(|| format!("send signal to {pid}"))?,
        }
    }
    Ok(())
}

fn signal_process(pid: Pid, signal: i32) -> io::Result<()> {
    hull_sys::signal::send(pidfd_open(pid, PidfdFlags::empty())?.as_fd(), signal)
}

/// Removes a stopped container, or any with `force`, in which case one that does not exist is no error.
pub(crate) fn delete(store: &Store, id: &str, force: bool) -> Result<()> {
    if force {
        match store.load(id) {
            // Also ends a creation that is under way, which then lets go of its claim.
            Ok(record) => cgroup::kill(&record.cgroup)?,
            Err(error) => return store.discard(id).with_context(|| format!("{error:#}")),
        }
    }
    let (claim, record) = match store.claim(id) {
        Err(_) if force => return Ok(()),
        claimed => claimed?,
    };
    let status = store.status(&record);
    if !force && status != Status::Stopped {
        bail!("cannot delete container {id}: it is {}, not stopped; use --force", status.word());
    }
    destroy(claim, &record)
}

/// Ends and removes everything of a container.
fn destroy(claim: Claim, record: &Record) -> Result<()> {
    cgroup::kill(&record.cgroup)?;
    cgroup::wait_empty(&record.cgroup, PATIENCE)?;
    cgroup::remove(&record.cgroup)?;
    let hooks = record.hooks.as_ref().and_then(|hooks| hooks.poststop().as_deref()).unwrap_or_default();
    run_hooks_without_consequence("poststop", hooks, record, Status::Stopped);
    claim.remove()
}

/// Creates, starts and, unless detached, waits for and deletes a container; returns its exit status.
pub(crate) fn run(store: &Store, asked: &Create, detach: bool, keep: bool) -> Result<u8> {
    if detach {
        create(store, asked)?;
        start_or_delete(store, &asked.id)?;
        return Ok(0);
    }
    ensure!(asked.console_socket.is_none(), "--console-socket: only with --detach; else the terminal is this one");
    // Before anything is made, so that no signal is lost.
    let signals = wait::Signals::block()?;
    let bundle = bundle_of(store, asked)?;
    let pair = if wants_terminal(&bundle) { Some(console::pair()?) } else { None };
    let started = create_bundle(store, asked, &bundle, pair.as_ref().map(|(_, theirs)| theirs.as_fd()))?;
    let terminal = pair.map(|(ours, _)| console::receive(ours.as_fd())).transpose();
    let ended = terminal.and_then(|terminal| {
        start_or_delete(store, &asked.id)?;
        wait::attend(&started, terminal.as_ref(), signals)
    });
    if !keep {
        match store.claim(&asked.id) {
            Ok((claim, record)) => destroy(claim, &record)?,
            // Somebody else has deleted it meanwhile, or what is left of it cannot be read.
            Err(_) => delete(store, &asked.id, true)?,
        }
    }
    ended
}

fn start_or_delete(store: &Store, id: &str) -> Result<()> {
    start(store, id).inspect_err(|_| {
        if let Err(error) = delete(store, id, true) {
            journal::warning(&format!("{error:#}"));
        }
    })
}

fn wants_terminal(bundle: &Bundle) -> bool {
    bundle.spec.process().as_ref().is_some_and(|process| process.terminal() == Some(true))
}
