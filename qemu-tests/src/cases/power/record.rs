//! The run that is recorded: one machine from its first boot to a rollback.

use super::counter::{ADDRESS, Counter, NAME, PROGRAM, VOLUME};
use super::recording::{self, DISK};
use crate::cases::first_boot::{REGISTRY, user_data};
use crate::cases::image::{busybox, push};
use crate::cases::registry::Registry;
use crate::cases::update::{NEW, RELEASES};
use crate::cases::web_server::WebServer;
use crate::fault_disk::{FaultDisk, Image};
use crate::guest::{Guest, Site};
use crate::machine::Firmware;
use crate::power::story::{CONFIGURATIONS, Step, fragment, word};
use anyhow::{Context, Result, ensure};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Seconds, for a machine that is not emulated.
const BOOT: u32 = 120;
const COUNT: Duration = Duration::from_secs(60);

struct Run {
    guest: Guest,
    disk: Arc<FaultDisk>,
    counter: Counter,
}

/// The folder that updates come from.
pub(super) fn releases(site: &Site) -> PathBuf {
    site.image.parent().map(|build| build.join("test-release")).unwrap_or_default()
}

/// Records a run into `folder`.
pub(super) fn record(site: &Site, firmware: Firmware, folder: &Path) -> Result<()> {
    let name = format!("power-{}", word(firmware));
    let settings = format!("  update:\n    url: 'http://{RELEASES}'\n    policy: 'off'\n");
    recording::prepare(site, folder, &(user_data(site)? + &settings))?;
    let registry = Registry::start(folder)?;
    push(&registry, folder, NAME, &[("bin/busybox", &busybox()?), ("bin/sh", &busybox()?)])?;
    let server = WebServer::start(&releases(site))?;
    let base = Image::of_file(&site.image, DISK)?;
    let disk = Arc::new(FaultDisk::serve(base, &folder.join("disk.sock"), &folder.join("trace"))?);
    let counter = Counter::listen(&disk)?;
    let services = [(REGISTRY, registry.port), (RELEASES, server.port), (ADDRESS, counter.port)];
    let services = services.map(|(guest, port)| (guest.to_owned(), port)).into();
    let boot = recording::boot(firmware, folder, disk.socket(), services)?;
    disk.mark(&format!("firmware {}", word(firmware)))?;
    let guest = Guest::prepare(site, &name, &boot)?;
    let mut run = Run { guest, disk, counter };
    run.story()?;
    run.guest.cut_power();
    let Run { disk, counter, .. } = run;
    drop(counter);
    let counts = Arc::into_inner(disk).context("the disk is still in use")?.stop()?;
    println!("       {name}: {counts:?}");
    std::fs::remove_dir_all(folder.join("registry")).map_err(Into::into)
}

impl Run {
    fn story(&mut self) -> Result<()> {
        self.step(Step::FirstBoot, |run| {
            run.guest.start()?;
            run.guest.wait_console("boot complete", BOOT)?;
            run.guest.retry(60, "docker version").map(drop)
        })?;
        let old = super::boot::status(&mut self.guest)?.version;
        self.disk.mark(&format!("old {old}"))?;
        let image = format!("{REGISTRY}/{NAME}:latest");
        self.step(Step::Pull, |run| run.guest.ssh(&format!("docker pull -q {image}")).map(drop))?;
        self.step(Step::Run, |run| {
            let start = format!(
                "docker run -d --name {NAME} --restart always --network host -v {VOLUME}:/v {image} /bin/sh -c"
            );
            run.guest.ssh(&format!("sudo mkdir -p {VOLUME} && {start} '{PROGRAM}'"))?;
            run.counted(3)
        })?;
        self.step(Step::Configuration, Self::configure)?;
        self.step(Step::Fetch, |run| {
            let text = run.guest.root("hull update fetch")?;
            ensure!(text.contains("in the other slot"), "{text}");
            run.counted(2)
        })?;
        self.step(Step::Apply, |run| run.leave("hull update apply"))?;
        self.step(Step::Trial, |run| {
            run.guest.wait_console(&format!("version {NEW} is good"), 2 * BOOT)?;
            run.counted(2)
        })?;
        self.step(Step::Rollback, |run| {
            let seen = run.guest.console()?.matches("boot complete").count();
            run.leave("hull update rollback")?;
            run.guest.wait_console_times("boot complete", seen + 1, 2 * BOOT)?;
            run.counted(2)
        })
    }

    fn step(&mut self, step: Step, body: impl FnOnce(&mut Self) -> Result<()>) -> Result<()> {
        let start = Instant::now();
        self.disk.mark(&step.begins())?;
        body(self).with_context(|| format!("{} is recorded", step.name()))?;
        self.disk.mark(&step.ends())?;
        println!("       {}: {:.0} s, {:?}", step.name(), start.elapsed().as_secs_f64(), self.disk.counts());
        Ok(())
    }

    fn counted(&self, more: u64) -> Result<()> {
        self.counter.wait(more, COUNT * self.guest.patience())
    }

    /// Replaces the fragment as programs do that mean it: written beside, synced, renamed, the folder synced.
    fn configure(&mut self) -> Result<()> {
        for number in 1..=CONFIGURATIONS {
            let line = format!(
                "cd /state/config && printf %s '{}' > .new && sync .new && mv .new 60-test.toml && sync .",
                fragment(number)
            );
            self.guest.root(&line)?;
            self.disk.mark(&format!("configuration {number}"))?;
        }
        Ok(())
    }

    /// A command that ends with the machine's restart.
    fn leave(&mut self, line: &str) -> Result<()> {
        let before = self.guest.console()?.matches(STARTED).count();
        // The connection ends with the machine, so the status of ssh says nothing.
        let said = self.guest.root(line);
        self.guest.close_ssh();
        self.guest.wait_console_times(STARTED, before + 1, BOOT).with_context(|| format!("{line}: {said:?}"))
    }
}

/// What PID 1 says first.
const STARTED: &str = "hull: hardware watchdog";
