//! Versions that do not work: each is applied and tried, and the version before comes back by itself.

use super::story::Story;
use crate::faults::erofs::Image;
use crate::faults::program;
use crate::faults::release::{SPARE, Wrong};
use crate::faults::table::Row;
use crate::machine::Firmware;
use anyhow::Result;

/// What the old version says of one that could not say anything.
const SILENT: &str = "did not come up";
/// The slot the old version does not run from.
const OTHER_SLOT: &str = "/dev/vda4";
const DOCKERD: &str = "services/docker/rootfs/usr/sbin/dockerd";

/// How a fault is brought about and told.
struct Fault {
    wrong: Wrong,
    /// Part of the reason the old version shows.
    why: &'static str,
    /// What brings the machine back.
    how: &'static str,
    /// It cannot boot at all, so it is to cost no more than the target.
    is_timed: bool,
}

fn version(story: &mut Story, fault: Fault) -> Result<Row> {
    tried(story, fault, |_| Ok(()))
}

fn tried(story: &mut Story, fault: Fault, before: impl FnOnce(&mut Story) -> Result<()>) -> Result<Row> {
    let version = story.release(fault.wrong)?;
    story.apply(&version)?;
    before(story)?;
    let recovery = story.reboot()?;
    story.told(&version, fault.why)?;
    let how = format!("{}; {} starts", fault.how, recovery.starts);
    Ok(story.row(recovery.time, fault.is_timed, how))
}

pub(super) fn panic(story: &mut Story) -> Result<Row> {
    let how = "kernel: panic=2, boot loader's count";
    version(story, Fault { wrong: Wrong::Initrd, why: SILENT, how, is_timed: true })
}

pub(super) fn no_init(story: &mut Story) -> Result<Row> {
    let wrong = Wrong::Root(|image| image.hide("usr/bin/init"));
    let how = "PID 1 in the initrd reboots, boot loader's count";
    version(story, Fault { wrong, why: SILENT, how, is_timed: true })
}

/// Puts a program in place of one on the host's root: what names it names the spare file.
fn exchanged(image: &Image, path: &str, program: &[u8]) -> Result<()> {
    image.overwrite(SPARE, 0, program)?;
    image.redirect(path, SPARE)
}

pub(super) fn pid1_hang(story: &mut Story) -> Result<Row> {
    let wrong = Wrong::Root(|image| exchanged(image, "usr/bin/init", &program::hangs()));
    let how = "hardware watchdog, boot loader's count";
    version(story, Fault { wrong, why: SILENT, how, is_timed: true })
}

pub(super) fn daemon_crash_loop(story: &mut Story) -> Result<Row> {
    let wrong = Wrong::Root(|image| exchanged(image, "usr/bin/system-daemon", &program::ends()));
    let how = "PID 1 gives up after five failures, boot loader's count";
    version(story, Fault { wrong, why: SILENT, how, is_timed: true })
}

pub(super) fn engine_dead(story: &mut Story) -> Result<Row> {
    let wrong = Wrong::Root(|image| image.overwrite(DOCKERD, 0, &program::ends()));
    let how = "the gate: boot degraded for 30 s, marked bad";
    version(story, Fault { wrong, why: "docker", how, is_timed: false })
}

/// The application answers while the update is applied and not under the new version.
pub(super) fn gate(story: &mut Story) -> Result<Row> {
    let how = "the gate: the owner's check fails for 60 s, marked bad";
    let fault = Fault { wrong: Wrong::Nothing, why: "application", how, is_timed: false };
    let row = tried(story, fault, |story| {
        story.server.set_healthy(false);
        Ok(())
    });
    story.server.set_healthy(true);
    row
}

/// The first block of the other slot is overwritten behind everybody's back.
pub(super) fn root_block(story: &mut Story) -> Result<Row> {
    let how = "dm-verity, PID 1 in the initrd reboots, boot loader's count";
    let fault = Fault { wrong: Wrong::Nothing, why: SILENT, how, is_timed: true };
    tried(story, fault, |story| {
        story.guest.host(&format!("dd if=/dev/urandom of={OTHER_SLOT} bs=4096 count=1 conv=notrunc && sync")).map(drop)
    })
}

/// The firmware under systemd-boot 257 stops when the boot loader could not start the image: somebody has to reset the
/// machine, as it counts the try nevertheless.
pub(super) fn kernel_truncated(story: &mut Story) -> Result<Row> {
    let how = match story.firmware {
        Firmware::Uefi => "the firmware's shell restarts, boot loader's count",
        Firmware::Bios => "the boot loader's count or fallback",
    };
    tried(story, Fault { wrong: Wrong::Kernel, why: SILENT, how, is_timed: true }, |_| Ok(()))
}
