//! One job of the update service: facts of the machine, the mounted ESP, request and answer.

use super::esp::Esp;
use crate::blocking::blocking;
use crate::job;
use crate::lifecycle::System;
use hull_update::job::{Done, Firmware, Machine, Request, SERVICE, Work};
use hull_update::settings::Settings;
use hull_update::slot::Slot;
use std::path::PathBuf;
use std::rc::Rc;

/// Name of the partition that holds boot loaders and kernels.
const ESP: &str = "esp";
/// Exists on machines that were started by UEFI.
const UEFI: &str = "/sys/firmware/efi";

/// Does a job; `tell` gets what is being done meanwhile. Jobs take turns.
///
/// # Errors
/// Why nothing was done, for people.
pub async fn run(system: &Rc<System>, work: Work, tell: &mut dyn FnMut(String)) -> Result<Done, String> {
    let _turn = system.updating.lock().await;
    let needs_esp = !matches!(work, Work::Check { .. });
    let request = Request { work, machine: machine(system)?, settings: settings(system) };
    let esp = if needs_esp { Some(mount(system).await?) } else { None };
    let done = job::done(system, SERVICE, &system.paths.updater(), &request, tell).await;
    if let Some(esp) = esp {
        // May wait for the container's end.
        blocking("unmount esp", move || drop(esp)).await.map_err(|error| error.to_string())?;
    }
    done
}

/// Settings as rendered last; the default where there are none yet.
pub fn settings(system: &System) -> Settings {
    crate::status::reports::read(&system.paths.update_settings())
}

async fn mount(system: &System) -> Result<Esp, String> {
    let device = partition(system, ESP)?;
    let place = system.paths.esp();
    let mounted = blocking("mount esp", move || Esp::mount(&device, &place)).await;
    mounted.map_err(|error| error.to_string())?.map_err(|error| error.to_string())
}

fn machine(system: &System) -> Result<Machine, String> {
    let report = &system.boot_report;
    let slot = Slot::from_letter(&report.slot).ok_or("the running slot is not known: nothing can be updated")?;
    let firmware = if system.paths.below_root(UEFI).exists() { Firmware::Uefi } else { Firmware::Bios };
    Ok(Machine {
        firmware,
        slot,
        version: report.version.clone(),
        root_hash: report.root_hash.clone(),
        data_blocks: report.data_blocks,
        running: partition(system, slot.partition())?,
        other: partition(system, slot.other().partition())?,
    })
}

fn partition(system: &System, name: &str) -> Result<PathBuf, String> {
    system.boot_report.partitions.get(name).map(PathBuf::from).ok_or_else(|| {
        format!("the system disk has no partition \"{name}\": it was partitioned by something else, or has no room")
    })
}
