//! The initrd phase: find the root slot, verify and mount it, become its `/usr/bin/init`.

use super::cmdline::Verity;
use super::disk::{self, Found};
use super::handover::{Handover, VARIABLE};
use super::watchdog::Feeder;
use super::{carried, mounts, rescue, switch_root, trial, verity};
use crate::clock::{boottime_us, monotonic};
use crate::console::{self, Messages};
use crate::error::BootError;
use rustix::fs::{Mode, mkdir};
use rustix::mount::{MountFlags, mount};
use std::convert::Infallible;
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::time::Duration;

/// Slow enumeration (USB, SCSI behind a RAID controller) stays below this; an absent disk should not cost more.
const ROOT_DEADLINE: Duration = Duration::from_secs(10);
/// Between two looks at the disks: short at first, since virtual disks appear within milliseconds of each other.
const LOOK_FAST: Duration = Duration::from_millis(5);
const LOOK_SLOW: Duration = Duration::from_millis(100);
const FAST_PHASE: Duration = Duration::from_secs(1);

const INIT: &str = "/usr/bin/init";

/// Boots the root file system or ends in the rescue prompt.
pub(crate) fn run() -> ! {
    let init_us = boottime_us();
    let mut trial = false;
    match boot(init_us, &mut trial) {
        Ok(never) => match never {},
        Err(error) => rescue::end_boot(&error, trial),
    }
}

fn boot(init_us: u64, trial: &mut bool) -> Result<Infallible, BootError> {
    let mounted = mounts::INITRD.iter().try_for_each(mounts::mount_one);
    console::open(false);
    mounted?;
    let options = super::command_line()?;
    console::open(options.debug);
    let mut messages = Messages::default();
    *trial = trial::is_trial(&options);
    if *trial {
        messages.info("this version is on trial");
    }
    // From here on a hang ends in a reset.
    let mut feeder = Feeder::start(*trial);
    options.complaints.iter().for_each(|complaint| messages.warning(complaint));

    let parameters = options.verity.ok_or(BootError::NotNamed { option: "hull.verity=…" })?;
    let found = match carried::find()? {
        Some(found) => found,
        None => wait_for_root(&parameters, &mut messages, &mut || feeder.tick())?,
    };
    let device = found.partition.device();
    let mapped = verity::open(&found.partition, &parameters)?;
    mkdir(switch_root::NEW_ROOT, Mode::from(0o755)).ok();
    mount(&mapped, switch_root::NEW_ROOT, "erofs", MountFlags::RDONLY | MountFlags::NODEV, None)
        .map_err(|errno| BootError::RootMount { device: device.clone(), errno, finding: verity::finding() })?;
    let root_mounted_us = boottime_us();
    switch_root::switch(|error| messages.warning(error.to_string()))?;

    let Found { disk, number, slot, .. } = found;
    let handover = Handover {
        disk: disk.0,
        number,
        slot,
        device,
        trial: *trial,
        watchdog: feeder.hand_over(),
        init_us,
        root_mounted_us,
        messages: messages.0,
    };
    exec(&handover)
}

fn wait_for_root(verity: &Verity, messages: &mut Messages, tick: &mut dyn FnMut()) -> Result<Found, BootError> {
    let started = monotonic();
    loop {
        tick();
        let mut found = disk::find(verity).into_iter();
        if let Some(first) = found.next() {
            for other in found {
                messages.warning(format!(
                    "{} holds the same image as {}, which is used: detach a copied disk",
                    other.partition.device(),
                    first.partition.device()
                ));
            }
            return Ok(first);
        }
        let waited = monotonic().saturating_sub(started);
        if waited >= ROOT_DEADLINE {
            let names: Vec<_> = disk::disks().into_iter().map(|disk| format!("/dev/{}", disk.0)).collect();
            let disks = if names.is_empty() { "none".to_owned() } else { names.join(" ") };
            return Err(BootError::RootNotFound {
                root_hash: verity.root_hash.clone(),
                seconds: ROOT_DEADLINE.as_secs(),
                disks,
            });
        }
        std::thread::sleep(if waited < FAST_PHASE { LOOK_FAST } else { LOOK_SLOW });
    }
}

fn exec(handover: &Handover) -> Result<Infallible, BootError> {
    // Strings and numbers only: encoding cannot fail, and an empty value is taken as absent.
    let facts = serde_json::to_string(handover).unwrap_or_default();
    let source = Command::new(INIT).env_clear().env(VARIABLE, facts).exec();
    Err(BootError::Exec { program: INIT, device: handover.device.clone(), source, finding: verity::finding() })
}
