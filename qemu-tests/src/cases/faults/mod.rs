//! Updates that go wrong: one machine for each firmware, one fault after another on it, and how long it takes until the
//! version before runs again. `FAULTS` chooses: names with commas, `all`; unset, those of `usual`.
//!
//! | module | what |
//! |---|---|
//! | `story` | the machine, its releases, what holds after every fault |
//! | `versions` | versions that do not work |
//! | `surroundings` | a machine on which updates cannot work |
//! | `lies` | a server that lies |

mod lies;
mod story;
mod surroundings;
mod versions;

use crate::faults::table::{Row, Table};
use crate::guest::Site;
use crate::machine::Firmware;
use crate::report::Report;
use anyhow::{Result, ensure};
use story::Story;

/// Runs one fault on a machine that works, and leaves it working.
type Run = fn(&mut Story) -> Result<Row>;

/// Those of every run: each stands for the others of its layer. What is found in user space is the same on both.
fn usual(firmware: Firmware) -> [&'static str; 3] {
    match firmware {
        Firmware::Uefi => ["panic", "gate", "server-corrupt"],
        Firmware::Bios => ["panic", "daemon-crash-loop", "root-block"],
    }
}
/// All of them.
const FAULTS: [(&str, Run); 23] = [
    ("panic", versions::panic),
    ("no-init", versions::no_init),
    ("pid1-hang", versions::pid1_hang),
    ("daemon-crash-loop", versions::daemon_crash_loop),
    ("engine-dead", versions::engine_dead),
    ("gate", versions::gate),
    ("root-block", versions::root_block),
    ("kernel-truncated", versions::kernel_truncated),
    ("server-signature", lies::signature),
    ("server-expired", lies::expired),
    ("server-replayed", lies::replayed),
    ("server-downgrade", lies::downgrade),
    ("server-mixed", lies::mixed),
    ("server-oversized", lies::oversized),
    ("server-redirect", lies::redirect),
    ("server-drip", lies::drip),
    ("server-truncated", lies::truncated),
    ("server-corrupt", lies::corrupt),
    ("server-no-ranges", lies::no_ranges),
    ("esp-full", surroundings::esp_full),
    ("state-full", surroundings::state_full),
    ("network-dead", surroundings::network_dead),
    ("clock-1970", surroundings::clock),
];

/// UEFI and systemd-boot.
pub fn uefi(site: &Site, report: &mut Report) {
    run(site, report, Firmware::Uefi);
}

/// BIOS and GRUB.
pub fn bios(site: &Site, report: &mut Report) {
    run(site, report, Firmware::Bios);
}

fn run(site: &Site, report: &mut Report, firmware: Firmware) {
    let scenario = match firmware {
        Firmware::Uefi => "faults_uefi",
        Firmware::Bios => "faults_bios",
    };
    let wanted = std::env::var("FAULTS").ok();
    let Some(chosen) = report.value(&format!("{scenario}_are_chosen"), || choose(wanted.as_deref(), firmware)) else {
        return;
    };
    let begun = report.value(&format!("{scenario}_machine_boots"), || Story::begin(site, scenario, firmware));
    let Some(mut story) = begun else { return };
    let mut table = Table::default();
    for (name, fault) in chosen {
        let case = format!("{scenario}_{}_is_survived", name.replace('-', "_"));
        let row = report.value(&case, || fault(&mut story));
        let is_lost = row.is_none();
        let row = row.map(|row| Row { fault: name, ..row });
        row.iter().for_each(|row| println!("       {row}"));
        table.0.extend(row);
        // What one fault left does not fail the next.
        if is_lost && report.value(&format!("{scenario}_machine_boots_again"), || story.again()).is_none() {
            break;
        }
    }
    println!("{table}");
}

fn choose(wanted: Option<&str>, firmware: Firmware) -> Result<Vec<(&'static str, Run)>> {
    let names: Vec<&str> = match wanted.map(str::trim).filter(|text| !text.is_empty()) {
        None => usual(firmware).into(),
        Some("all") => return Ok(FAULTS.into()),
        Some(text) => text.split(',').map(str::trim).collect(),
    };
    for name in &names {
        let known = FAULTS.map(|(known, _)| known);
        ensure!(known.contains(name), "FAULTS: there is no {name}; there are {}, and all", known.join(", "));
    }
    Ok(FAULTS.into_iter().filter(|(name, _)| names.contains(name)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_are_chosen_by_name() {
        let names = |wanted| {
            choose(wanted, Firmware::Bios).map(|chosen| chosen.iter().map(|(name, _)| *name).collect::<Vec<_>>()).ok()
        };
        assert_eq!(names(None).unwrap().len(), 3);
        assert_eq!(names(Some("all")).unwrap().len(), FAULTS.len());
        assert_eq!(names(Some("gate, panic")).unwrap(), ["panic", "gate"]);
        assert_eq!(names(Some("gat")), None);
    }
}
