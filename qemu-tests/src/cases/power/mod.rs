//! Power is cut at any instant. Per firmware one run is recorded; then the disk after a cut is made from the trace, looked
//! at, and booted: see [`crate::power`].
//!
//! | variable | default | |
//! |---|---|---|
//! | `CUTS` | 25 | cuts that are booted, spread over both firmwares |
//! | `FLUSHES` | 300 | flush boundaries of each firmware that are looked at without booting |
//! | `SEED` | by the clock | decides where, and what survives; printed |
//! | `JOBS` | 2 | VMs at a time |
//! | `FIRMWARES` | `uefi bios` | which of them |
//! | `RECORDINGS` | below the scenario's folder | where recordings are kept; one that is there already is used again |
//!
//! A cut that fails leaves a folder from which [`replay`] repeats it.

mod boot;
mod counter;
mod failed;
mod host;
mod record;
mod recording;
mod settings;

use crate::cases::update::RELEASES;
use crate::cases::web_server::WebServer;
use crate::fault_disk::FaultDisk;
use crate::fault_disk::cut::plan;
use crate::guest::{Guest, Site};
use crate::machine::Firmware;
use crate::power::outcomes::{Outcome, Table};
use crate::power::points::{self, Point};
use crate::power::story::{Step, word};
use crate::report::Report;
use anyhow::{Context, Result, ensure};
use recording::Recording;
use settings::Settings;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

pub use failed::replay;

/// Runs the scenario.
pub fn run(site: &Site, report: &mut Report) {
    let Some(settings) = report.value("power_settings", || Settings::read(site)) else { return };
    println!("       {settings:?}");
    let results = parallel(&settings, settings.firmwares.clone(), |firmware| recorded(site, &settings, firmware));
    let mut recordings = Vec::new();
    for (firmware, (recording, whole)) in results {
        // What a run has recorded before it failed is cut all the same.
        recordings.extend(recording);
        report.case(&format!("power_{}_is_recorded", word(firmware)), || whole);
    }
    for recording in &recordings {
        let name = format!("power_{}_flush_boundaries_hold", word(recording.firmware));
        report.case(&name, || flushes(site, &settings, recording));
    }
    report.case("power_cuts_leave_a_machine_that_boots", || cuts(site, &settings, &recordings));
}

fn recorded(site: &Site, settings: &Settings, firmware: Firmware) -> (Option<Recording>, Result<()>) {
    let folder = settings.recordings.join(word(firmware));
    if folder.join("trace").exists() {
        match Recording::open(&folder, &site.image) {
            Ok(recording) => {
                let whole = recording.whole();
                return (Some(recording), whole);
            }
            Err(error) => println!("       recorded anew: {error:#}"),
        }
    }
    let recorded = record::record(site, firmware, &folder);
    match Recording::open(&folder, &site.image) {
        Ok(recording) => {
            let whole = recorded.and_then(|()| recording.whole());
            (Some(recording), whole)
        }
        Err(error) => (None, recorded.and(Err(error))),
    }
}

/// Every flush boundary, or so many evenly spread, without booting.
fn flushes(site: &Site, settings: &Settings, recording: &Recording) -> Result<()> {
    let folder = tempfile::tempdir_in(&site.work)?;
    let constant = constants(recording, folder.path())?;
    let mut all = Vec::new();
    for operation in recording.operations() {
        all.extend(points::at_flushes(recording.records(), &operation, settings.seed)?);
    }
    let chosen = spread(&all, settings.flushes);
    let table = Mutex::new(Table::default());
    let count = chosen.len();
    let looked = parallel(settings, chosen, |point| -> Result<()> {
        let folder = tempfile::tempdir_in(&site.work)?;
        let image = recording.base.after(&recording.trace, &plan(recording.records(), point.at, point.seed))?;
        host::look(recording, &point, &image, &constant[&recording.step(&point.operation)?], folder.path())
    });
    let mut table = table.into_inner().unwrap_or_else(PoisonError::into_inner);
    let mut damaged = 0;
    for (point, result) in looked {
        if let Err(error) = result {
            damaged += 1;
            table.add(&point, Outcome::Damaged, &format!("{error:#}"));
            failed::keep(site, recording, &point, None)?;
        }
    }
    println!("       {count} of {} flush boundaries looked at, {damaged} damaged", all.len());
    ensure!(count > 0, "no flush boundary was looked at");
    ensure!(damaged == 0, "{table}");
    Ok(())
}

/// At most `limit` of all, evenly spread.
fn spread(all: &[Point], limit: usize) -> Vec<Point> {
    let count = all.len().min(limit);
    (0..count).map(|index| all[index * all.len() / count].clone()).collect()
}

type Constants = BTreeMap<Step, host::Constant>;

fn constants(recording: &Recording, folder: &Path) -> Result<Constants> {
    recording.steps().into_iter().map(|step| Ok((step, host::constant(recording, step, folder)?))).collect()
}

/// Random cuts of all recordings, booted.
fn cuts(site: &Site, settings: &Settings, recordings: &[Recording]) -> Result<()> {
    let mut queue = Vec::new();
    let server = WebServer::start(&record::releases(site))?;
    let folder = tempfile::tempdir_in(&site.work)?;
    let mut all_constants = Vec::new();
    for (index, recording) in recordings.iter().enumerate() {
        let share = (settings.cuts + index) / recordings.len();
        let points = points::at_random(recording.records(), &recording.operations(), share, settings.seed)?;
        queue.extend(points.into_iter().map(|point| (index, point)));
        all_constants.push(constants(recording, folder.path())?);
    }
    let tried = parallel(settings, queue, |(index, point)| {
        let recording = &recordings[index];
        let start = Instant::now();
        let outcome = cut(site, recording, &point, &all_constants[index], &server)
            .unwrap_or_else(|error| (Outcome::Damaged, format!("{error:#}")));
        println!("       {point}: {:?} ({:.0} s) {}", outcome.0, start.elapsed().as_secs_f64(), outcome.1);
        outcome
    });
    let mut table = Table::default();
    for ((_, point), (outcome, detail)) in tried {
        table.add(&point, outcome, &detail);
    }
    println!("{table}");
    ensure!(table.passed(), "{table}");
    Ok(())
}

fn name(recording: &Recording, point: &Point) -> String {
    format!("cut-{}-{}-{:016x}", word(recording.firmware), point.at, point.seed)
}

/// One cut: looked at, booted, judged. What it leaves stays in the guest's folder and the failed one when it is not well.
fn cut(
    site: &Site,
    recording: &Recording,
    point: &Point,
    constants: &Constants,
    server: &WebServer,
) -> Result<(Outcome, String)> {
    let image = recording.base.after(&recording.trace, &plan(recording.records(), point.at, point.seed))?;
    let folder = tempfile::tempdir_in(&site.work)?;
    let looked = host::look(recording, point, &image, &constants[&recording.step(&point.operation)?], folder.path());
    let disk = FaultDisk::serve(image, &folder.path().join("disk.sock"), &folder.path().join("writes"))?;
    let boot = recording.boot(disk.socket(), vec![(RELEASES.into(), server.port)])?;
    let mut guest = Guest::prepare(&recording.site(site), &name(recording, point), &boot)?;
    let booted = boot::outcome(&mut guest, recording, point);
    guest.cut_power();
    disk.stop()?;
    let result = match (booted, looked) {
        ((Outcome::Unbootable, detail), Err(error)) => (Outcome::Unbootable, format!("{error:#}; {detail}")),
        ((Outcome::Old | Outcome::New | Outcome::Damaged, detail), Err(error)) => {
            (Outcome::Damaged, format!("without booting: {error:#}; {detail}"))
        }
        (booted, Ok(())) => booted,
    };
    if matches!(result.0, Outcome::Unbootable | Outcome::Damaged) {
        failed::keep(site, recording, point, Some(&guest.directory)).context("keep what failed")?;
    }
    std::fs::remove_dir_all(&guest.directory)?;
    Ok(result)
}

/// Does all of `queue`, so many at a time; the answers are in no particular order.
fn parallel<T: Send + Clone, R: Send>(settings: &Settings, queue: Vec<T>, work: impl Fn(T) -> R + Sync) -> Vec<(T, R)> {
    let queue = Mutex::new(queue.into_iter());
    let answers = Mutex::new(Vec::new());
    let next = || queue.lock().unwrap_or_else(PoisonError::into_inner).next();
    std::thread::scope(|scope| {
        for _ in 0..settings.jobs {
            scope.spawn(|| {
                while let Some(item) = next() {
                    let answer = work(item.clone());
                    answers.lock().unwrap_or_else(PoisonError::into_inner).push((item, answer));
                }
            });
        }
    });
    answers.into_inner().unwrap_or_else(PoisonError::into_inner)
}
