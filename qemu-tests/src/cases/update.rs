//! Updates: a release is made, fetched from a static web server, tried, found good; rolled back; and bad ones are left.
//!
//! The release is `build/test-release`, made beside the image with another version and the same keys.

use super::first_boot::user_data;
use super::web_server::WebServer;
use crate::guest::{Boot, Guest, Site};
use crate::machine::Firmware;
use crate::report::Report;
use crate::seed::Seed;
use anyhow::{Context, Result, ensure};

/// Where the guest finds the web server.
pub const RELEASES: &str = "10.0.2.100:8080";
/// The version of the release.
pub const NEW: &str = "0.2.0";

/// UEFI: the whole story.
pub fn run(site: &Site, report: &mut Report) {
    story(site, report, Firmware::Uefi);
}

/// BIOS: the same.
pub fn bios(site: &Site, report: &mut Report) {
    story(site, report, Firmware::Bios);
}

fn story(site: &Site, report: &mut Report, firmware: Firmware) {
    let name = match firmware {
        Firmware::Uefi => "update_uefi",
        Firmware::Bios => "update_bios",
    };
    let case = |text: &str| format!("{name}_{text}");
    let releases = site.image.parent().map(|build| build.join("test-release")).unwrap_or_default();
    let Some(server) = report.value(&case("release_is_served"), || WebServer::start(&releases)) else { return };
    let booted = report.value(&case("machine_boots"), || {
        let settings = format!("  update:\n    url: 'http://{RELEASES}'\n");
        let boot = Boot {
            firmware,
            seed: Some(Seed::vfat(user_data(site)? + &settings, name)),
            services: vec![(RELEASES.into(), server.port)],
            ..Boot::default()
        };
        let mut guest = Guest::boot(site, name, &boot)?;
        guest.wait_complete()?;
        guest.retry(30, "true")?;
        Ok(guest)
    });
    let Some(mut guest) = booted else { return };
    report.case(&case("a_release_is_found_and_written_to_the_other_slot"), || fetch(&guest));
    if !report.case(&case("the_new_version_is_tried_and_found_good"), || apply(&mut guest)) {
        return;
    }
    report.case(&case("rollback_boots_the_version_before"), || rollback(&mut guest));
}

fn fetch(guest: &Guest) -> Result<()> {
    let text = guest.root("hull update check")?;
    ensure!(text.contains(NEW), "{text}");
    let text = guest.root("hull update fetch")?;
    ensure!(text.contains("in the other slot"), "{text}");
    let text = guest.root("hull update status")?;
    ensure!(text.contains(NEW) && text.contains("written"), "{text}");
    let text = guest.root("hull update fetch")?;
    ensure!(text.contains("0.0 MiB fetched"), "{text}");
    Ok(())
}

fn apply(guest: &mut Guest) -> Result<()> {
    guest.root("docker run -d --name kept --restart always --network host busybox true 2>/dev/null; echo before > /var/lib/kept")?;
    let text = guest.root("hull update apply --no-reboot")?;
    ensure!(text.contains(&format!("the next boot tries version {NEW}")), "{text}");
    guest.reboot_by_ssh()?;
    guest.wait_console(&format!("version {NEW} is good"), 120)?;
    let text = guest.retry(60, "sudo hull status")?;
    ensure!(text.contains(&format!("{NEW}, slot b")), "{text}");
    let text = guest.root("hull update status; cat /var/lib/kept")?;
    ensure!(text.contains("good") && text.contains("before"), "{text}");
    Ok(())
}

fn rollback(guest: &mut Guest) -> Result<()> {
    let seen = guest.console()?.matches("boot complete").count();
    let text = guest.root("hull update rollback --no-reboot")?;
    ensure!(text.contains("the next boot is version"), "{text}");
    guest.reboot_by_ssh()?;
    guest.wait_console_times("boot complete", seen + 1, 120)?;
    let text = guest.retry(60, "sudo hull status")?;
    ensure!(text.contains("slot a") && !text.contains(&format!("version   {NEW}")), "{text}");
    let text = guest.root("hull update status")?;
    ensure!(text.contains("slot b    0.2.0, given up"), "{text}");
    let text =
        guest.root("hull update apply").err().map(|error| format!("{error:#}")).context("it was applied again")?;
    ensure!(text.contains("failed here before"), "{text}");
    Ok(())
}
