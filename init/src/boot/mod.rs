//! From the kernel's first exec to the running supervisor.
//!
//! | module | what |
//! |---|---|
//! | [`initrd`] | first phase: find, verify, mount the root; the rest of this page is the second phase |
//! | [`cmdline`] | options of PID 1 on the kernel command line |
//! | [`carried`] | a root that came with the initrd |
//! | [`disk`], [`table`] | block devices, their partition tables, which image a slot holds |
//! | [`trial`] | whether the boot loader counts this boot |
//! | [`verity`], [`switch_root`], [`handover`] | the way from initrd to root |
//! | [`mounts`], [`cgroup`], [`settings`], [`identity`], [`watchdog`] | the system around the daemon |
//! | [`state`] | the state partition |
//! | [`report`] | `boot.json` |
//! | [`rescue`] | when it cannot go on |

mod carried;
pub(crate) mod cgroup;
pub(crate) mod cmdline;
mod disk;
mod handover;
pub(crate) mod identity;
pub(crate) mod initrd;
mod mounts;
mod report;
pub(crate) mod rescue;
mod settings;
mod state;
mod switch_root;
mod table;
mod trial;
mod verity;
pub(crate) mod watchdog;

use crate::clock;
use crate::console::{self, Messages};
use crate::error::BootError;
use cmdline::{Options, StateWish};
use handover::Handover;
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use report::{Report, Times};
use state::{Slot, State};
use std::path::Path;
use watchdog::Feeder;

/// Built with the image: the clock cannot be earlier than this file.
const CLOCK_FLOOR: &str = "/usr/share/hull/os-release";

/// What the running phase goes on with.
#[derive(Debug)]
pub(crate) struct Prepared {
    /// The fed watchdog.
    pub(crate) feeder: Feeder,
    /// Terminal of the debug shell.
    pub(crate) debug_shell: Option<String>,
    /// The boot loader counts this boot.
    pub(crate) trial: bool,
}

fn command_line() -> Result<Options, BootError> {
    let path = "/proc/cmdline";
    let line = std::fs::read_to_string(path).map_err(|source| BootError::Read { path, source })?;
    Ok(cmdline::parse(&line))
}

/// Second phase: everything between the exec on the verified root and the daemon's start. Never fails: what is missing
/// is said in the report and the boot goes on.
pub(crate) fn prepare() -> Prepared {
    let handover = handover::receive();
    // Hull's initrd moved these here already; a root started without it has none.
    let missing = if handover.is_some() { &[] } else { &mounts::INITRD[..] };
    let mut failed: Vec<_> = missing.iter().filter_map(|api| mounts::mount_one(api).err()).collect();
    console::open(false);
    let options = command_line().unwrap_or_default();
    console::open(options.debug);
    failed.extend(mounts::SYSTEM.iter().filter_map(|api| mounts::mount_one(api).err()));
    let mut messages = Messages(handover.as_ref().map(|facts| facts.messages.clone()).unwrap_or_default());
    failed.iter().for_each(|error| messages.error(error.to_string()));
    if let Err(errno) = mounts::share_all() {
        messages.error(format!("cannot make mounts shared: {errno}"));
    }
    if let Err(error) = std::fs::create_dir_all(report::DIRECTORY) {
        messages.error(format!("cannot make {}: {error}", report::DIRECTORY));
    }
    if let Err(errno) = hull_sys::loopback::bring_up() {
        messages.error(format!("cannot bring up the loopback interface: {errno}"));
    }
    let trial = handover.as_ref().is_some_and(|facts| facts.trial);
    let inherited = handover.as_ref().and_then(|facts| facts.watchdog).map(Feeder::take_over);
    let mut feeder = match inherited {
        Some(Ok(feeder)) => feeder,
        Some(Err(errno)) => {
            messages.error(format!("the hardware watchdog of the initrd cannot be fed: {errno}"));
            Feeder::start(trial)
        }
        None => Feeder::start(trial),
    };
    cgroup::prepare(&mut messages);
    settings::apply(&mut messages);
    match clock::raise_to(Path::new(CLOCK_FLOOR)) {
        Ok(Some(seconds)) => {
            messages.info(format!("the clock was {seconds} s before the image's build date; set to it"))
        }
        Ok(None) => {}
        Err(error) => messages.warning(format!("cannot compare the clock with {CLOCK_FLOOR}: {error}")),
    }
    log::debug!("settings done at {} us", clock::boottime_us());
    let state = prepare_state(&options, handover.as_ref(), &mut messages, &mut || feeder.tick());
    let state_ready = clock::boottime_us();
    identity::prepare(&mut messages);
    if options.rescue {
        rescue_shell(&mut feeder);
    }
    let times = Times { state_ready, daemon_started: clock::boottime_us(), ..Times::default() };
    write_report(&options, handover.as_ref(), &state, &mut messages, times);
    Prepared { feeder, debug_shell: options.debug_shell, trial }
}

fn prepare_state(
    options: &Options,
    handover: Option<&Handover>,
    messages: &mut Messages,
    tick: &mut dyn FnMut(),
) -> State {
    match handover {
        _ if options.state == StateWish::None => {
            state::tmpfs("hull.state=none on the kernel command line".to_owned(), messages)
        }
        None => {
            let reason = "the root was not started by Hull's initrd: the system disk is not known";
            messages.error(reason);
            state::tmpfs(reason.to_owned(), messages)
        }
        Some(facts) if facts.disk.is_empty() => {
            state::tmpfs("this is a live system; hull install writes it to a disk".to_owned(), messages)
        }
        Some(facts) => {
            let disk = disk::Disk(facts.disk.clone());
            let start_over = options.state == StateWish::Format;
            state::prepare(Slot { disk: &disk, number: facts.number, start_over }, messages, tick)
        }
    }
}

fn write_report(options: &Options, handover: Option<&Handover>, state: &State, messages: &mut Messages, times: Times) {
    let on_disk = handover.filter(|facts| !facts.disk.is_empty());
    let report = Report {
        version: &options.version,
        slot: handover.map_or("", |facts| &facts.slot),
        trial: handover.is_some_and(|facts| facts.trial),
        root_hash: options.verity.as_ref().map_or("", |verity| &verity.root_hash),
        data_blocks: options.verity.as_ref().map_or(0, |verity| verity.data_blocks),
        root_device: handover.map_or("", |facts| &facts.device),
        system_disk: &on_disk.map_or(String::new(), |facts| format!("/dev/{}", facts.disk)),
        partitions: &on_disk.map(|facts| disk::Disk(facts.disk.clone()).named()).unwrap_or_default(),
        state,
        messages: &messages.0,
        times_us: Times {
            init: handover.map_or(0, |facts| facts.init_us),
            root_mounted: handover.map_or(0, |facts| facts.root_mounted_us),
            ..times
        },
    };
    if let Err(error) = report.write() {
        messages.error(format!("cannot write {}/boot.json: {error}", report::DIRECTORY));
    }
}

/// `hull.rescue`: a shell before anything else runs; the boot goes on when it ends.
fn rescue_shell(feeder: &mut Feeder) {
    let shell = match rescue::shell() {
        Ok(shell) => shell,
        Err(error) => {
            log::error!("cannot start the rescue shell: {error}");
            return;
        }
    };
    while let Ok(WaitStatus::StillAlive) = waitpid(shell, Some(WaitPidFlag::WNOHANG)) {
        feeder.tick();
        std::thread::sleep(std::time::Duration::from_millis(200));
    }
}
