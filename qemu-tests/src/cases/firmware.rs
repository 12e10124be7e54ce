//! BIOS with little memory and a CD-ROM seed; orderly poweroff leaves clean file systems; a grown disk is used, and user
//! data on the EFI system partition.

use super::esp;
use super::first_boot::{off_within_budget, user_data};
use crate::guest::{Boot, Guest, Site};
use crate::machine::Firmware;
use crate::report::Report;
use crate::seed::{Seed, run as command};
use anyhow::{Context, Result, ensure};
use std::process::Command;

const MEMORY: u32 = 512;
const GROWTH: u64 = 4 << 30;
/// The grown state partition may lose this much to tables and alignment.
const GROWTH_SLACK: u64 = 200 << 20;

/// Runs the scenario.
pub fn run(site: &Site, report: &mut Report) {
    let booted = report.value("boots_on_bios_with_512_mib_to_boot_complete", || {
        let boot = Boot {
            firmware: Firmware::Bios,
            memory: MEMORY,
            seed: Some(Seed::iso(user_data(site)?, "bios")),
            ..Boot::default()
        };
        let mut guest = Guest::boot(site, "firmware", &boot)?;
        guest.wait_complete()?;
        guest.retry(30, "true")?;
        Ok(guest)
    });
    let Some(mut guest) = booted else { return };
    report.case("iso9660_seed_is_read", || {
        ensure!(guest.ssh("hostname")?.trim() == "hulltest", "the hostname is not the user data's");
        Ok(())
    });
    let mut size = 0;
    report.case("state_partition_takes_the_rest_of_the_disk", || {
        size = state_size(&mut guest)?;
        ensure!(size > 4 << 30, "the state file system has {size} bytes on a disk of 8 GiB");
        Ok(())
    });
    report.case("user_data_is_laid_on_the_efi_system_partition", || esp::lay(&mut guest));
    let off = report.case("hull_poweroff_stops_in_order", || {
        // The connection ends with the machine, so the status of ssh says nothing.
        drop(guest.root("hull poweroff"));
        off_within_budget(&mut guest)
    });
    if !off {
        return;
    }
    report.case("file_systems_are_clean_after_poweroff", || clean(&guest));
    report.case("a_grown_disk_is_used", || {
        let disk = guest.disk().to_owned();
        command(Command::new("qemu-img").args(["resize", "-q"]).arg(disk).arg(format!("+{GROWTH}")))?;
        guest.set_seed(None)?;
        guest.start()?;
        guest.wait_complete()?;
        let grown = state_size(&mut guest)?;
        ensure!(grown + GROWTH_SLACK > size + GROWTH, "the state file system had {size} bytes and has {grown}");
        // Not by ssh: the user data of this boot makes no users.
        guest.hull("exec console grep -q written /etc/hulltest").map(drop)
    });
    report.case("user_data_on_the_efi_system_partition_is_read_on_bios", || esp::is_read(&mut guest));
}

fn state_size(guest: &mut Guest) -> Result<u64> {
    let text = guest.host("df -k /state | tail -1")?;
    let blocks = text.split_whitespace().nth(1).with_context(|| text.clone())?;
    Ok(blocks.parse::<u64>().with_context(|| text.clone())? << 10)
}

/// Reads the state partition out of the powered-off disk and has e2fsck look at it without repairing.
fn clean(guest: &Guest) -> Result<()> {
    let raw = guest.directory.join("clean.raw");
    command(Command::new("qemu-img").args(["convert", "-O", "raw"]).arg(guest.disk()).arg(&raw))?;
    let table = command(Command::new("sfdisk").args(["--json"]).arg(&raw))?;
    let table: serde_json::Value = serde_json::from_str(&table)?;
    let partitions = table["partitiontable"]["partitions"].as_array().context("no partitions")?;
    let state = partitions.iter().find(|partition| partition["name"] == "state").context("no state partition")?;
    let offset = state["start"].as_u64().context("start")? * 512;
    let target = format!("{}?offset={offset}", raw.display());
    let answer = command(Command::new("e2fsck").args(["-f", "-n"]).arg(target));
    let header = command(Command::new("dumpe2fs").arg("-h").arg(format!("{}?offset={offset}", raw.display())));
    std::fs::remove_file(&raw)?;
    answer.context("e2fsck finds faults")?;
    let header = header?;
    ensure!(!header.contains("needs_recovery"), "the journal was not written back: not unmounted");
    Ok(())
}
