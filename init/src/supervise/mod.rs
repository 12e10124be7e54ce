//! PID 1 at work: one thread, one epoll. It reaps every orphan, keeps the daemon running and its descriptors safe, feeds
//! the watchdog, and ends the machine when asked to.
//!
//! | module | what |
//! |---|---|
//! | [`machine`] | what to do about the daemon (pure) |
//! | [`message`] | packets of the control channel (pure) |
//! | [`channel`], [`fd_store`] | the channel and the descriptors left with PID 1 |
//! | [`daemon`], [`debug_shell`] | starting them |

mod channel;
mod daemon;
mod debug_shell;
mod fd_store;
mod machine;
mod message;

use crate::boot::cgroup::Group;
use crate::boot::rescue;
use crate::boot::watchdog::Feeder;
use crate::clock::{boottime_us, monotonic};
use crate::power::Power;
use channel::Channel;
use daemon::Daemon;
use debug_shell::DebugShell;
use fd_store::FdStore;
use machine::{Action, Event, Machine};
use message::Request;
use nix::sys::signal::SigSet;
use nix::sys::signalfd::{SfdFlags, SignalFd};
use rustix::event::epoll;
use rustix::io::Errno;
use rustix::process::{WaitOptions, WaitStatus, wait};
use rustix::time::Timespec;
use std::os::fd::OwnedFd;
use std::time::Duration;
use thiserror::Error;

const SIGNALS: u64 = 0;
const CONTROL: u64 = 1;

/// Why supervision cannot begin.
#[derive(Debug, Error)]
pub(crate) enum SuperviseError {
    #[error("cannot take signals: {0}")]
    Signals(nix::errno::Errno),
    #[error("cannot make the control channel: {0}")]
    Channel(Errno),
    #[error("cannot wait for events: {0}")]
    Epoll(Errno),
}

struct Supervisor {
    machine: Machine,
    channel: Channel,
    store: FdStore<OwnedFd>,
    daemon: Option<Daemon>,
    epoll: OwnedFd,
    signals: SignalFd,
    ending: Option<Power>,
    debug_shell: Option<DebugShell>,
}

/// Runs until the machine is to end, and says how.
pub(crate) fn run(feeder: &mut Feeder, debug_shell: Option<String>, trial: bool) -> Result<Power, SuperviseError> {
    // All of them, real-time signals included: each arrives through the descriptor or not at all.
    let all = SigSet::all();
    all.thread_block().map_err(SuperviseError::Signals)?;
    let flags = SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC;
    let signals = SignalFd::with_flags(&all, flags).map_err(SuperviseError::Signals)?;
    let channel = Channel::new().map_err(SuperviseError::Channel)?;
    let epoll = epoll::create(epoll::CreateFlags::CLOEXEC).map_err(SuperviseError::Epoll)?;
    let data = epoll::EventData::new_u64;
    epoll::add(&epoll, &signals, data(SIGNALS), epoll::EventFlags::IN)
        .and_then(|()| epoll::add(&epoll, channel.ours(), data(CONTROL), epoll::EventFlags::IN))
        .map_err(SuperviseError::Epoll)?;
    let machine = Machine::new(monotonic(), trial);
    let debug_shell = debug_shell.as_deref().map(DebugShell::new);
    let store = FdStore::new();
    let mut supervisor =
        Supervisor { machine, channel, store, daemon: None, epoll, signals, ending: None, debug_shell };
    supervisor.event_loop(feeder)
}

impl Supervisor {
    fn event_loop(&mut self, feeder: &mut Feeder) -> Result<Power, SuperviseError> {
        loop {
            feeder.tick();
            self.debug_shell.iter_mut().for_each(DebugShell::tick);
            self.happen(Event::Tick);
            self.flush().map_err(SuperviseError::Epoll)?;
            if let Some(power) = self.ending {
                return Ok(power);
            }
            let due = [self.machine.due(), feeder.due(), self.debug_shell.as_ref().and_then(DebugShell::due)]
                .into_iter()
                .flatten()
                .min();
            let timeout = due.map(|due| due.saturating_sub(monotonic()) + Duration::from_millis(1));
            let timeout = timeout.and_then(|timeout| Timespec::try_from(timeout).ok());
            let mut events = Vec::with_capacity(2);
            let spare = rustix::buffer::spare_capacity(&mut events);
            match epoll::wait(&self.epoll, spare, timeout.as_ref()) {
                Ok(_) | Err(Errno::INTR) => {}
                Err(errno) => return Err(SuperviseError::Epoll(errno)),
            }
            for event in events {
                match event.data.u64() {
                    SIGNALS => self.signals(),
                    _ => self.packets(),
                }
            }
        }
    }

    /// Lets the machine decide about an event and acts on it.
    fn happen(&mut self, event: Event) {
        for action in self.machine.on(monotonic(), event) {
            match action {
                Action::Start => self.start(),
                Action::Kill => self.daemon.iter().for_each(Daemon::kill),
                Action::Clear => self.clear(),
                Action::Stop(power) => {
                    log::info!("{power}: stopping services");
                    self.channel.say(message::stop(power));
                }
                Action::Shell => {
                    if let Err(error) = rescue::shell() {
                        log::error!("cannot start the rescue shell: {error}");
                    }
                }
                Action::TearDown(power) => self.ending = Some(power),
                Action::Warn(text) => log::warn!("{text}"),
            }
        }
    }

    fn start(&mut self) {
        match Daemon::start(self.channel.theirs()) {
            Ok(daemon) => {
                log::debug!("system daemon: pid {}", daemon.pid);
                self.daemon = Some(daemon);
                self.happen(Event::Started);
            }
            Err(errno) => self.happen(Event::Ended(format!("cannot be started: {}", errno.desc()))),
        }
    }

    /// Helpers the daemon left behind must not work beside the next one's; containers are in their own cgroups.
    fn clear(&mut self) {
        if let Err(error) = Group::Daemon.kill() {
            log::debug!("cannot kill what is left of the daemon: {error}");
        }
        self.channel.rewind();
    }

    fn signals(&mut self) {
        while let Ok(Some(signal)) = self.signals.read_signal() {
            if let Some(power) = Power::from_signal(signal.ssi_signo) {
                log::info!("{power} asked for by signal {} from pid {}", signal.ssi_signo, signal.ssi_pid);
                self.happen(Event::Power(power));
            }
        }
        // Signals of the same kind merge: reap whenever one came.
        while let Ok(Some((pid, status))) = wait(WaitOptions::NOHANG) {
            if self.daemon.as_ref().is_some_and(|daemon| daemon.pid == pid) {
                // What it said last counts: it may have been the answer to STOP.
                self.packets();
                self.daemon = None;
                self.happen(Event::Ended(describe(status)));
            } else {
                self.debug_shell.iter_mut().for_each(|shell| shell.ended(pid.as_raw_pid()));
                self.channel.report_exit(pid.as_raw_pid(), status.as_raw(), boottime_us());
            }
        }
    }

    fn packets(&mut self) {
        while let Some((packet, mut fd)) = self.channel.receive() {
            match message::parse(&packet) {
                Ok(requests) => requests.into_iter().for_each(|request| self.request(request, &mut fd)),
                Err(error) => log::warn!("a packet of the system daemon is dropped: {error}"),
            }
        }
    }

    fn request(&mut self, request: Request, fd: &mut Option<OwnedFd>) {
        match request {
            Request::Ready => self.happen(Event::Ready),
            Request::Status(text) => log::debug!("system daemon: {text}"),
            Request::Watchdog => self.happen(Event::Watchdog),
            Request::Store(name) => match fd.take() {
                Some(fd) => {
                    if let Err(full) = self.store.put(name.clone(), fd) {
                        log::error!("descriptor {name} is not kept: {full}");
                    }
                }
                None => log::warn!("the system daemon asked to keep {name} without a descriptor"),
            },
            Request::Remove(name) => {
                if !self.store.remove(&name) {
                    log::debug!("no descriptor {name} to remove");
                }
            }
            Request::List => self.channel.list(&self.store),
            Request::Shutdown(power) => {
                log::info!("{power} asked for through the system API");
                self.happen(Event::Power(power));
            }
            Request::Trial(time) => self.happen(Event::Trial(time)),
            Request::Stopped => self.happen(Event::Stopped),
        }
    }

    /// Sends what waits, and asks to be woken for what does not fit.
    fn flush(&mut self) -> Result<(), Errno> {
        // Without a daemon the packets wait here, where they are bounded, and not in the socket.
        let left = self.daemon.is_some() && self.channel.flush(&self.store);
        let wanted = if left { epoll::EventFlags::IN | epoll::EventFlags::OUT } else { epoll::EventFlags::IN };
        epoll::modify(&self.epoll, self.channel.ours(), epoll::EventData::new_u64(CONTROL), wanted)
    }
}

fn describe(status: WaitStatus) -> String {
    match (status.exit_status(), status.terminating_signal()) {
        (Some(code), _) => format!("exited with status {code}"),
        (_, Some(signal)) => format!("was ended by signal {signal}"),
        _ => "ended".to_owned(),
    }
}
