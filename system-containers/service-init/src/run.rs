//! The loop: signals, children and timers to the [`Supervisor`], its actions to the system.

use crate::launch::{self, Tty};
use crate::notify::Notifier;
use crate::supervise::{Action, Outcome, Supervisor};
use crate::{delegate, probe};
use anyhow::{Context, Result};
use hull_service::{Probe, Service};
use nix::errno::Errno;
use nix::sys::signal::{self, SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::collections::BTreeMap;
use std::path::Path;
use std::process::ExitCode;
use std::str::FromStr;
use std::time::{Duration, Instant};

/// An `exec` probe that takes longer has failed.
const EXEC_PROBE: Duration = Duration::from_secs(10);
/// What still runs at the end (login shells, for instance) gets this long after each of two signals to save its state;
/// then the kernel kills it with PID 1.
const LEFTOVERS: Duration = Duration::from_secs(2);

struct ExecProbe {
    index: usize,
    deadline: Duration,
}

struct Loop<'a> {
    service: &'a Service,
    supervisor: Supervisor,
    notifier: Notifier,
    signals: SignalFd,
    stop_signal: Signal,
    started: Instant,
    probes: BTreeMap<i32, ExecProbe>,
}

/// Supervises the service until it is stopped or has nothing left to run.
pub(crate) fn run(service: Service) -> Result<ExitCode> {
    let stop_signal = Signal::from_str(&service.run.stop_signal)
        .with_context(|| format!("run.stop-signal: \"{}\" is no signal name", service.run.stop_signal))?;
    let mut mask = SigSet::empty();
    for signal in [Signal::SIGCHLD, Signal::SIGTERM, Signal::SIGINT, stop_signal] {
        mask.add(signal);
    }
    mask.thread_block().context("cannot block signals")?;
    // As PID 1 orphans come by themselves; elsewhere only like this, so that the loop is the same.
    rustix::process::set_child_subreaper(Some(rustix::process::getpid())).context("cannot adopt orphans")?;
    if service.security.delegate {
        delegate::set_up(Path::new(delegate::ROOT))?;
    }
    let mut supervision = Loop {
        supervisor: Supervisor::new(service.processes.clone()),
        notifier: Notifier::new(std::env::var_os("NOTIFY_SOCKET")).context("$NOTIFY_SOCKET")?,
        signals: SignalFd::with_flags(&mask, SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC)
            .context("cannot make a signalfd")?,
        stop_signal,
        started: Instant::now(),
        probes: BTreeMap::new(),
        service: &service,
    };
    let status = supervision.supervise()?;
    if rustix::process::getpid().is_init() {
        end_leftovers();
    }
    Ok(ExitCode::from(status))
}

impl Loop<'_> {
    fn now(&self) -> Duration {
        self.started.elapsed()
    }

    fn supervise(&mut self) -> Result<u8> {
        loop {
            let now = self.now();
            self.kill_late_probes(now);
            let actions = self.supervisor.due(now);
            if actions.is_empty() {
                self.wait(self.next_deadline())?;
                self.handle_signals()?;
            }
            for action in actions {
                match action {
                    Action::Start(index) => self.start(index),
                    Action::Probe(index, probe) => self.probe(index, &probe),
                    Action::Stop(pid) => kill(pid, self.stop_signal),
                    Action::Ready => self.notifier.send("READY=1\nSTATUS="),
                    Action::Exit(status) => return Ok(status),
                }
            }
            self.reap();
        }
    }

    fn start(&mut self, index: usize) {
        let process = self.supervisor.process(index);
        if let Some(device) = process.tty.as_deref() {
            if launch::look_at_tty(device) == Tty::Missing {
                let (name, device) = (process.name.clone(), device.to_owned());
                if self.supervisor.tty_missing(index, self.now()) {
                    eprintln!("<6>service-init: {name} waits for the terminal {device}");
                }
                return;
            }
        }
        match self.launch(index) {
            Ok(pid) => self.supervisor.started(index, pid, self.now()),
            Err(error) => {
                let delay = self.supervisor.start_failed(index, self.now());
                self.report(index, &format!("cannot be started: {error:#}"), delay);
            }
        }
    }

    fn launch(&self, index: usize) -> Result<i32> {
        let process = self.supervisor.process(index);
        let cgroup = match self.service.security.delegate {
            true => Some(delegate::process_cgroup(Path::new(delegate::ROOT), &process.name)?),
            false => None,
        };
        Ok(launch::start(process, &self.service.run.environment, cgroup.as_deref())?)
    }

    fn probe(&mut self, index: usize, probe: &Probe) {
        let Probe::Exec(command) = probe else {
            let passed = probe::passes(probe);
            self.supervisor.probed(index, passed, self.now());
            return;
        };
        match launch::start_probe(command, &self.service.run.environment) {
            Ok(pid) => {
                let deadline = self.now() + EXEC_PROBE;
                self.probes.insert(pid, ExecProbe { index, deadline });
            }
            Err(error) => {
                eprintln!("<4>service-init: {}: probe: {error}", self.supervisor.process(index).name);
                self.supervisor.probed(index, false, self.now());
            }
        }
    }

    fn kill_late_probes(&mut self, now: Duration) {
        for (&pid, probe) in &mut self.probes {
            if probe.deadline <= now {
                probe.deadline = Duration::MAX;
                kill(pid, Signal::SIGKILL);
            }
        }
    }

    fn next_deadline(&self) -> Option<Duration> {
        let probes = self.probes.values().map(|probe| probe.deadline).filter(|deadline| *deadline != Duration::MAX);
        self.supervisor.deadline().into_iter().chain(probes).min()
    }

    /// Until a signal or the deadline.
    fn wait(&self, deadline: Option<Duration>) -> Result<()> {
        // A whole millisecond more: waking up early would only poll again.
        let timeout = deadline.map(|at| at.saturating_sub(self.now()) + Duration::from_millis(1));
        let timeout = timeout.map(Timespec::try_from).transpose().context("timeout")?;
        match poll(&mut [PollFd::new(&self.signals, PollFlags::IN)], timeout.as_ref()) {
            Ok(_) | Err(rustix::io::Errno::INTR) => Ok(()),
            Err(error) => Err(error).context("poll"),
        }
    }

    fn handle_signals(&mut self) -> Result<()> {
        while let Some(info) = self.signals.read_signal().context("signalfd")? {
            if info.ssi_signo != Signal::SIGCHLD as u32 {
                self.notifier.send("STOPPING=1");
                self.supervisor.stop();
            }
        }
        Ok(())
    }

    /// Takes the exit status of every child that ended, ours or adopted.
    fn reap(&mut self) {
        loop {
            let (pid, outcome) = match waitpid(None::<Pid>, Some(WaitPidFlag::WNOHANG)) {
                Ok(WaitStatus::Exited(pid, status)) => (pid.as_raw(), Outcome::Status(status)),
                Ok(WaitStatus::Signaled(pid, signal, _)) => (pid.as_raw(), Outcome::Signal(signal as i32)),
                Ok(WaitStatus::StillAlive) | Err(Errno::ECHILD) => return,
                Ok(_) | Err(Errno::EINTR) => continue,
                Err(error) => {
                    eprintln!("<3>service-init: waitpid: {error}");
                    return;
                }
            };
            let now = self.now();
            if let Some(probe) = self.probes.remove(&pid) {
                self.supervisor.probed(probe.index, outcome == Outcome::Status(0), now);
            } else if let Some((index, delay)) = self.supervisor.exited(pid, outcome, now) {
                if outcome != Outcome::Status(0) {
                    self.report(index, &outcome.to_string(), delay);
                }
            }
        }
    }

    /// A failure, to the log and as the service's status.
    fn report(&self, index: usize, what: &str, delay: Option<Duration>) {
        let next = delay.map(|delay| format!(", restart in {:.1} s", delay.as_secs_f32())).unwrap_or_default();
        let text = format!("{} {what}{next}", self.supervisor.process(index).name);
        eprintln!("<4>service-init: {text}");
        self.notifier.send(&format!("STATUS={text}"));
    }
}

/// As PID 1: asks everything left in the container to end, shells and what else listens to SIGHUP first.
fn end_leftovers() {
    for signal in [Signal::SIGHUP, Signal::SIGTERM] {
        kill(-1, signal);
        // A stopped process takes no signal before it goes on.
        kill(-1, Signal::SIGCONT);
        let end = Instant::now() + LEFTOVERS;
        while Instant::now() < end {
            match waitpid(None::<Pid>, Some(WaitPidFlag::WNOHANG)) {
                Err(Errno::ECHILD) => return,
                Ok(WaitStatus::StillAlive) => std::thread::sleep(Duration::from_millis(10)),
                _ => {}
            }
        }
    }
}

/// A process that has just ended by itself is no error.
fn kill(pid: i32, signal: Signal) {
    match signal::kill(Pid::from_raw(pid), signal) {
        Ok(()) | Err(Errno::ESRCH) => {}
        Err(error) => eprintln!("<4>service-init: cannot signal process {pid}: {error}"),
    }
}
