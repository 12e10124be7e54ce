//! The machine, its releases, and what holds after every fault.

use crate::cases::first_boot::user_data;
use crate::cases::update::RELEASES;
use crate::faults::release::{Good, Wrong};
use crate::faults::server::{HEALTH, Server};
use crate::faults::table::Row;
use crate::guest::{Boot, Guest, Site};
use crate::machine::Firmware;
use crate::seed::Seed;
use anyhow::{Context, Result, bail, ensure};
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// Seconds of work of an update, at most, on a machine that is not emulated: both slots are read and hashed, and under
/// emulation beside other machines that takes minutes.
const WORK: u32 = 150;
/// Seconds from a reboot until the old version runs, at most: two tries with their deadlines, and a boot.
const RECOVERY: u32 = 150;
const POLL: Duration = Duration::from_millis(200);

/// One machine and its server.
#[derive(Debug)]
pub(super) struct Story {
    pub(super) guest: Guest,
    pub(super) server: Server,
    pub(super) good: Good,
    pub(super) firmware: Firmware,
    /// Of the release that is handed out.
    pub(super) folder: PathBuf,
    /// Releases so far.
    number: u64,
    /// The version that has to survive.
    old: String,
}

/// A recovery that was seen.
#[derive(Debug)]
pub(super) struct Recovery {
    /// From the reboot to the end of the old version's boot.
    pub(super) time: Duration,
    /// Starts of the machine, the last one included.
    pub(super) starts: usize,
}

impl Story {
    /// Boots the machine.
    pub(super) fn begin(site: &Site, name: &str, firmware: Firmware) -> Result<Self> {
        let good = Good::open(site.image.parent().context("the image has no folder")?)?;
        let server = Server::start()?;
        let settings = format!(
            "  update:\n    url: 'http://{RELEASES}'\n    policy: 'off'\n    gate-timeout: 60\n    gate:\n      \
             - {{name: application, url: 'http://{RELEASES}/{HEALTH}', timeout: 20}}\n"
        );
        let boot = Boot {
            firmware,
            seed: Some(Seed::vfat(user_data(site)? + &settings, name)),
            services: vec![(RELEASES.into(), server.port)],
            ..Boot::default()
        };
        let mut guest = Guest::boot(site, name, &boot)?;
        let folder = guest.directory.join("release");
        guest.wait_complete()?;
        let status = guest.hull("update status")?;
        let old = status.lines().find_map(|line| line.strip_prefix("version")).and_then(|text| text.split(',').next());
        let old = old.with_context(|| status.clone())?.trim().to_owned();
        Ok(Self { guest, server, good, firmware, folder, number: 0, old })
    }

    /// Starts the machine anew, however it is.
    pub(super) fn again(&mut self) -> Result<()> {
        self.server.set_healthy(true);
        self.guest.cut_power();
        self.guest.set_clock(None);
        self.guest.start()?;
        self.guest.wait_complete()?;
        self.holds()
    }

    /// A release that is newer than all before, handed out; returns its version.
    pub(super) fn release(&mut self, wrong: Wrong) -> Result<String> {
        self.number += 1;
        let version = self.good.spoil(self.number, wrong, &self.folder)?.to_string();
        self.server.serve(&self.folder);
        Ok(version)
    }

    /// Writes the release to the other slot and has it tried at the next boot.
    pub(super) fn apply(&mut self, version: &str) -> Result<()> {
        let text = self.guest.hull_within("update apply --no-reboot", WORK)?;
        ensure!(text.contains(&format!("the next boot tries version {version}")), "{text}");
        Ok(())
    }

    /// A verb of `hull update` that is done.
    pub(super) fn done(&mut self, verb: &str) -> Result<String> {
        self.guest.hull_within(&format!("update {verb}"), WORK)
    }

    /// A verb of `hull update` that is refused for a reason with this word in it; nothing else happens. Returns the time
    /// that took.
    pub(super) fn refused(&mut self, verb: &str, word: &str) -> Result<Row> {
        let start = Instant::now();
        let Err(error) = self.guest.hull_within(&format!("update {verb}"), WORK) else { bail!("it was not refused") };
        let text = format!("{error:#}");
        let reason = text.rsplit_once("hull: ").map_or(&*text, |(_, reason)| reason);
        ensure!(reason.contains(word), "refused, but not for {word:?}: {text}");
        let seconds = start.elapsed();
        self.holds()?;
        Ok(self.row(seconds, false, format!("refused: {}", shortened(reason))))
    }

    /// Reboots, and waits until the old version runs.
    pub(super) fn reboot(&mut self) -> Result<Recovery> {
        let before = self.guest.boots()?.len();
        self.guest.close_ssh();
        self.guest.hull_reboot()?;
        self.recover(before)
    }

    fn recover(&mut self, before: usize) -> Result<Recovery> {
        let start = Instant::now();
        let deadline = start + Duration::from_secs(u64::from(RECOVERY * self.guest.patience()));
        loop {
            let boots = self.guest.boots()?;
            let last = boots.last().map(String::as_str).unwrap_or_default();
            if boots.len() > before && last.contains("boot complete") && !last.contains("is on trial") {
                return Ok(Recovery { time: start.elapsed(), starts: boots.len() - before });
            }
            let tail =
                || last.lines().rev().take(25).collect::<Vec<_>>().into_iter().rev().collect::<Vec<_>>().join("\n");
            ensure!(
                Instant::now() < deadline,
                "the old version does not run; the machine was started {} times, the last time it showed:\n{}",
                boots.len() - before,
                tail()
            );
            std::thread::sleep(POLL);
        }
    }

    /// The old version runs, and so does Docker.
    pub(super) fn holds(&mut self) -> Result<()> {
        let status = self.done("status")?;
        ensure!(status.contains(&format!("{}, slot a", self.old)), "another version runs: {status}");
        self.guest.retry(30, "docker version").map(drop)
    }

    /// The old version runs and says that `version` failed, and why.
    pub(super) fn told(&mut self, version: &str, why: &str) -> Result<()> {
        self.holds()?;
        let deadline = Instant::now() + Duration::from_secs(u64::from(30 * self.guest.patience()));
        loop {
            let status = self.done("status")?;
            let failed = status.lines().find(|line| line.starts_with("failed") && line.contains(version));
            match failed {
                Some(line) if line.contains(why) => return Ok(()),
                Some(line) => bail!("the reason does not have {why:?}: {line}"),
                None => ensure!(Instant::now() < deadline, "{version} is not said to have failed:\n{status}"),
            }
            std::thread::sleep(POLL * 5);
        }
    }

    /// A row of the table; its name is filled in by the caller.
    pub(super) fn row(&self, time: Duration, is_timed: bool, how: String) -> Row {
        Row { fault: "", firmware: self.firmware, seconds: time.as_secs_f64(), is_timed, how }
    }
}

/// A reason without its advice.
fn shortened(text: &str) -> String {
    /// What fits in a line behind the other columns.
    const LENGTH: usize = 90;
    text.trim().chars().take(LENGTH).collect()
}
