//! Runs the VM scenarios; arguments are scenario names, none means all. `--replay FOLDER` repeats a power cut that failed.

use anyhow::{Result, bail};
use hull_qemu_tests::attempts::inside;
use hull_qemu_tests::cases::{ALONE, SCENARIOS, Scenario, power};
use hull_qemu_tests::guest::Site;
use hull_qemu_tests::report::Report;
use hull_qemu_tests::site;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Mutex;
use std::time::Instant;

/// Two VMs at a time: while one waits for a timer or a disk, the other computes.
const JOBS: usize = 2;
const IMAGE: &str = "build/hull-x86_64.raw";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let Some(answer) = inside::run(&arguments) {
        return match answer {
            Ok(text) => {
                println!("{}", text.trim_end());
                ExitCode::SUCCESS
            }
            Err(error) => failed(&error),
        };
    }
    let result = match &arguments[..] {
        [option, folder] if option == "--replay" => replay(Path::new(folder)),
        names => tests(names),
    };
    match result {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => failed(&error),
    }
}

fn failed(error: &anyhow::Error) -> ExitCode {
    eprintln!("vm-tests: {error:#}");
    ExitCode::FAILURE
}

fn replay(folder: &Path) -> Result<bool> {
    power::replay(&site::open(Path::new(IMAGE), "vm-replay")?, folder)
}

fn tests(names: &[String]) -> Result<bool> {
    for name in names {
        if !SCENARIOS.iter().any(|(known, _)| known == name) {
            bail!("no scenario {name}; there are {}", SCENARIOS.map(|(name, _)| name).join(", "));
        }
    }
    let site = site::open(Path::new(IMAGE), "vm-tests")?;
    let chosen =
        SCENARIOS.into_iter().filter(|(name, _)| names.is_empty() || names.iter().any(|wanted| wanted == name));
    let (alone, mut queue): (Vec<_>, Vec<_>) = chosen.partition(|(name, _)| *name == ALONE);
    queue.reverse();
    let queue = Mutex::new(queue);
    let total = Mutex::new(Report::default());
    std::thread::scope(|scope| {
        for _ in 0..JOBS {
            scope.spawn(|| {
                while let Some((name, scenario)) = queue.lock().ok().and_then(|mut queue| queue.pop()) {
                    let report = told(&site, name, scenario);
                    if let Ok(mut total) = total.lock() {
                        total.merge(report);
                    }
                }
            });
        }
    });
    let mut total = total.into_inner().map_err(|_| anyhow::anyhow!("a scenario panicked"))?;
    for (name, scenario) in alone {
        total.merge(told(&site, name, scenario));
    }
    let passed = total.close();
    if passed {
        std::fs::remove_dir_all(&site.work)?;
    } else {
        println!("serial logs and disks: {}", site.work.display());
    }
    Ok(passed)
}

fn told(site: &Site, name: &str, scenario: Scenario) -> Report {
    println!("scenario {name}");
    let start = Instant::now();
    let mut report = Report::default();
    scenario(site, &mut report);
    println!("scenario {name}: {} failed, {:.0} s", report.failures(), start.elapsed().as_secs_f64());
    report
}
