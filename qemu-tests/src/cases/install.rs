//! A live system from the ISO image writes itself to the machine's disk, which then boots by UEFI and by BIOS with the user
//! data it was given.

use super::images::LIVE_MEMORY;
use crate::guest::{Boot, Guest, Site, USER};
use crate::hardware::Hardware;
use crate::machine::{Disk, Firmware};
use crate::report::Report;
use crate::seed::Seed;
use anyhow::{Context, Result, ensure};

const DISK: &str = "/dev/vda";
const DISK_SIZE: u64 = 8 << 30;

/// Runs the scenario.
pub fn run(site: &Site, report: &mut Report) {
    let Some(mut live) = report.value("install_live_system_boots", || boot_live(site)) else { return };
    report.case("install_lists_disks", || {
        let text = live.root("hull install")?;
        let is_it = |line: &str| line.split_whitespace().eq([DISK, "8.6", "GB", "no", "partitions"]);
        ensure!(text.lines().any(is_it), "{text}");
        ensure!(!text.contains("/dev/sr") && !text.contains("/dev/loop"), "{text}");
        Ok(())
    });
    report.case("install_refuses_before_it_writes", || refusals(&live));
    let installed = report.value("install_writes_the_disk", || install(site, &mut live));
    let Some(()) = installed else { return };
    let Some(mut guest) = report.value("installed_disk_boots_by_uefi", || boot_installed(site, &live, Firmware::Uefi))
    else {
        return;
    };
    report.case("installed_machine_has_its_user_data", || {
        let text = guest.root("hull status; hostname; docker version --format {{.Server.Os}}")?;
        for want in ["nocloud:/dev/vda2", "/dev/vda5", "\ninstalled\n", "linux"] {
            ensure!(text.contains(want), "{want} is not in {text}");
        }
        Ok(())
    });
    report.case("installed_machine_does_not_install", || {
        let text = guest.root("hull install 2>&1 || true")?;
        ensure!(text.contains("runs from a disk"), "{text}");
        guest.hull("poweroff").ok();
        guest.wait_off(60).map(drop)
    });
    report.case("installed_disk_boots_by_bios", || boot_installed(site, &live, Firmware::Bios).map(drop));
}

fn user_data(site: &Site, hostname: &str) -> Result<String> {
    let key = site.public_key()?;
    Ok(format!(
        "#cloud-config\nhostname: {hostname}\n\
         users: [{{name: {USER}, sudo: 'ALL=(ALL) NOPASSWD:ALL', ssh_authorized_keys: ['{key}']}}]\n"
    ))
}

fn boot_live(site: &Site) -> Result<Guest> {
    let medium = site.image.with_extension("iso");
    ensure!(medium.exists(), "{} is not there: make images", medium.display());
    let boot = Boot {
        hardware: Hardware::CdRom,
        memory: LIVE_MEMORY,
        diskless: Some(Disk::Medium(medium)),
        data_size: Some(DISK_SIZE),
        seed: Some(Seed::iso(user_data(site, "live")?, "live")),
        ..Boot::default()
    };
    let mut guest = Guest::boot(site, "install", &boot)?;
    guest.wait_complete()?;
    guest.retry(30, "true")?;
    Ok(guest)
}

fn refusals(live: &Guest) -> Result<()> {
    live.ssh("echo 'users: [' > broken.yaml; sed -i '1i#cloud-config' broken.yaml")?;
    for (line, part) in [
        (format!("hull install {DISK}"), "--yes says that this is meant"),
        (format!("hull install {DISK} --yes --user-data broken.yaml"), "nothing was written"),
        (format!("hull install {DISK} --yes --user-data none.yaml"), "none.yaml"),
        ("hull install /dev/loop0 --yes".into(), "system disk"),
        ("hull install /dev/vdz --yes".into(), "no such device"),
        ("hull install /dev/null --yes".into(), "no block device"),
    ] {
        let text = live.root(&format!("cd /home/{USER} && {line} 2>&1 < /dev/null && echo installed || true"))?;
        ensure!(text.contains(part) && !text.contains("\ninstalled"), "{line}: {text}");
    }
    let text = live.root(&format!("busybox od -N 512 {DISK}"))?;
    ensure!(text.lines().count() == 3, "the disk is not blank any more: {text}");
    Ok(())
}

fn install(site: &Site, live: &mut Guest) -> Result<()> {
    let text = user_data(site, "installed")?;
    live.ssh(&format!("cat > web.yaml <<'END'\n{text}\nEND\n"))?;
    let text = live.root(&format!("hull install {DISK} --yes --user-data /home/{USER}/web.yaml 2>&1"))?;
    for want in ["is lost from here on", "100 % of", "installed on /dev/vda", "hull reboot"] {
        ensure!(text.contains(want), "{want} is not in {text}");
    }
    let text = live.root("hull install")?;
    ensure!(text.contains("3 partitions") && !text.contains("in use"), "{text}");
    live.root("(sleep 1; hull poweroff) > /dev/null 2>&1 &")?;
    live.close_ssh();
    live.wait_off(60).map(drop)
}

fn boot_installed(site: &Site, live: &Guest, firmware: Firmware) -> Result<Guest> {
    let disk = live.directory.join("data.qcow2");
    let boot = Boot { firmware, diskless: Some(Disk::File(disk)), ..Boot::default() };
    let mut guest = Guest::boot(site, &format!("installed-{firmware:?}").to_lowercase(), &boot)?;
    guest.wait_complete()?;
    guest.retry(30, "true").context("ssh with the key of the user data")?;
    Ok(guest)
}
