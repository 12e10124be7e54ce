//! A machine on which an update cannot work: it is refused with the reason, and works when that is gone.

use super::story::Story;
use crate::faults::release::Wrong;
use crate::faults::table::Row;
use crate::machine::Firmware;
use anyhow::{Result, ensure};
use std::time::Instant;

const ESP: &str = "/dev/vda2";
/// Where it is mounted to be filled.
const PLACE: &str = "/run/fault";
const FILLER: &str = "/state/data/srv/filler";
/// Orderly end of everything.
const STOP: u32 = 60;

pub(super) fn esp_full(story: &mut Story) -> Result<Row> {
    let version = story.release(Wrong::Nothing)?;
    let mount = format!("mkdir -p {PLACE} && mount -t vfat {ESP} {PLACE}");
    // The files of the slot to be written would make room, as they do on a machine that was updated before.
    let fill = format!("rm -rf {PLACE}/hull/b; cat /dev/zero > {PLACE}/filler 2>/dev/null; df {PLACE}; umount {PLACE}");
    story.guest.host_within(&format!("{mount} && {{ {fill}; }}"), 60)?;
    let refused = story.refused("fetch", "No space");
    story.guest.host(&format!("{mount} && rm {PLACE}/filler && umount {PLACE}"))?;
    let row = refused?;
    fetched(story, &version, row)
}

pub(super) fn state_full(story: &mut Story) -> Result<Row> {
    let version = story.release(Wrong::Nothing)?;
    // What any user may take in one go, and then root's reserve.
    story.guest.host(&format!("fallocate -l $(df -k /state | awk 'END {{print $4}}')K {FILLER}"))?;
    story.guest.host_within("cat /dev/zero > /state/data/srv/reserve 2>/dev/null; sync", 60)?;
    let refused = story.refused("apply --no-reboot", "o space");
    story.guest.host("rm -f /state/data/srv/filler /state/data/srv/reserve; sync")?;
    let row = refused?;
    fetched(story, &version, row)
}

/// What was refused works now.
fn fetched(story: &mut Story, version: &str, row: Row) -> Result<Row> {
    let text = story.done("fetch")?;
    ensure!(text.contains(&format!("version {version} is in the other slot")), "{text}");
    Ok(Row { how: format!("{}; fetched after", row.how), ..row })
}

pub(super) fn network_dead(story: &mut Story) -> Result<Row> {
    let version = story.release(Wrong::Nothing)?;
    story.guest.close_ssh();
    story.guest.set_link("net0", false)?;
    let start = Instant::now();
    let refused = story.done("check").err().map(|error| format!("{error:#}"));
    let seconds = start.elapsed();
    story.guest.set_link("net0", true)?;
    ensure!(refused.as_deref().is_some_and(|text| text.contains("10.0.2.100")), "{refused:?}");
    // The cable is in again: an address comes back by itself.
    story.guest.retry(30, "docker version")?;
    let text = story.done("check")?;
    ensure!(text.contains(&version), "{text}");
    Ok(story.row(seconds, false, "refused: the server does not answer; checked after".into()))
}

/// A machine whose clock has lost the time, and that knows of none but the image's date and the newest signature's.
pub(super) fn clock(story: &mut Story) -> Result<Row> {
    let version = story.release(Wrong::Nothing)?;
    story.done("check")?;
    // This UEFI firmware takes no year before 1998, and makes 2070 of 1970.
    let lost = match story.firmware {
        Firmware::Uefi => "1999-01-01T00:00:00",
        Firmware::Bios => "1970-01-01T00:00:00",
    };
    restart(story, Some(lost))?;
    let year = story.guest.host("date +%Y")?;
    let start = Instant::now();
    let text = story.done("check");
    let row = story.row(start.elapsed(), false, format!("PID 1: the clock is in {}; checked", year.trim()));
    let held = story.holds();
    restart(story, None)?;
    held?;
    ensure!(text?.contains(&version) && year.trim().parse::<u32>().is_ok_and(|year| year >= 2024), "it is {year}");
    Ok(row)
}

fn restart(story: &mut Story, clock: Option<&str>) -> Result<()> {
    story.guest.close_ssh();
    story.guest.monitor("system_powerdown")?;
    story.guest.wait_off(STOP)?;
    story.guest.set_clock(clock);
    story.guest.start()?;
    story.guest.wait_complete()
}
