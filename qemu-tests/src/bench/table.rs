//! Medians over all rounds, the ratio to the floor, and `bench.json`.

use super::{CONTAINER, DOCKER, Times, hull::Memory};
use anyhow::{Context, Result};
use serde_json::{Value, json};
use std::path::Path;

/// The budget: time to a ready engine as a ratio to the floor's.
pub const RATIO_BUDGET: f64 = 1.10;
/// The budget for everything but the engine, in KiB.
const MEMORY_BUDGET: u64 = 40 << 10;

/// Minimum, median and maximum of one mark.
fn spread(rounds: &[Times], name: &str) -> Option<(f64, f64, f64)> {
    let mut values: Vec<f64> = rounds.iter().filter_map(|times| times.get(name).copied()).collect();
    values.sort_by(f64::total_cmp);
    Some((*values.first()?, values[values.len() / 2], *values.last()?))
}

/// Prints the table and writes `<build>/bench.json`.
pub fn print(build: &Path, hull: &[Times], floor: &[Times], memory: &Memory) -> Result<()> {
    let mut names: Vec<&String> = hull.iter().flat_map(Times::keys).collect();
    names.sort();
    names.dedup();
    let mut rows: Vec<(&String, (f64, f64, f64))> =
        names.into_iter().filter_map(|name| Some((name, spread(hull, name)?))).collect();
    rows.sort_by(|a, b| a.1.1.total_cmp(&b.1.1));
    println!("seconds from kernel entry, {} rounds     min  median     max", hull.len());
    for (name, (min, median, max)) in &rows {
        println!("  hull   {name:<28} {min:>7.2} {median:>7.2} {max:>7.2}");
    }
    let mut ratios = serde_json::Map::new();
    for name in ["init", DOCKER, CONTAINER] {
        let (min, median, max) = spread(floor, name).with_context(|| format!("floor: no {name}"))?;
        println!("  floor  {name:<28} {min:>7.2} {median:>7.2} {max:>7.2}");
        if let Some((_, own, _)) = spread(hull, name) {
            ratios.insert(name.into(), json!(own / median));
        }
    }
    for (name, ratio) in &ratios {
        println!("  ratio  {name:<28}         {:>7.2}", ratio.as_f64().unwrap_or_default());
    }
    println!("  budget {DOCKER:<28}         {RATIO_BUDGET:>7.2}");
    println!("memory at idle, PSS in MiB");
    for (owner, size) in memory {
        println!("  {owner:<35} {:>8.1}", mebibytes(*size));
    }
    let system: u64 = memory.iter().filter(|(owner, _)| *owner != "docker").map(|(_, size)| size).sum();
    println!("  {:<35} {:>8.1} of {:.0}", "everything but the engine", mebibytes(system), mebibytes(MEMORY_BUDGET));
    let image: Value = serde_json::from_str(&std::fs::read_to_string(build.join("image.json"))?)?;
    let sizes = image["sizes"].clone();
    println!("sizes {}", serde_json::to_string_pretty(&sizes)?);
    let all = json!({"hull": hull, "floor": floor, "ratios": ratios, "memory_kib": memory, "memory_but_engine_kib": system, "sizes": sizes});
    std::fs::write(build.join("bench.json"), serde_json::to_string_pretty(&all)?)?;
    Ok(())
}

#[allow(clippy::cast_precision_loss, reason = "memory sizes in KiB are far below 2^52")]
fn mebibytes(kibibytes: u64) -> f64 {
    kibibytes as f64 / 1024.0
}
