//! Boots image and floor in turns; the argument is the number of rounds.

use anyhow::{Context, Result};
use hull_qemu_tests::bench::{floor::Floor, hull::Hull, table};
use hull_qemu_tests::site;
use std::path::Path;
use std::process::ExitCode;

const ROUNDS: usize = 5;

fn main() -> ExitCode {
    match bench() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("vm-bench: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn bench() -> Result<()> {
    let rounds = match std::env::args().nth(1) {
        Some(text) => text.parse().with_context(|| format!("rounds {text:?}"))?,
        None => ROUNDS,
    };
    let build = Path::new("build");
    let site = site::open(&build.join("hull-x86_64.raw"), "bench")?;
    println!("first boot of both");
    let mut hull = Hull::prepare(&site)?;
    let floor = Floor::prepare(build, &site.work, site.accel, &hull.daemon_json)?;
    let (mut hulls, mut floors, mut memory) = (Vec::new(), Vec::new(), None);
    for round in 1..=rounds {
        println!("round {round} of {rounds}");
        let (times, sizes) = hull.boot()?;
        hulls.push(times);
        memory = Some(sizes);
        floors.push(floor.boot()?);
    }
    table::print(build, &hulls, &floors, &memory.context("no rounds")?)
}
