//! A cut that failed, as a folder: the recording's files, the point, and the serial logs. `vm-tests --replay FOLDER` does it
//! again.

use super::record::releases;
use super::recording::Recording;
use super::{constants, cut, name};
use crate::cases::web_server::WebServer;
use crate::guest::Site;
use crate::power::outcomes::Outcome;
use crate::power::points::Point;
use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};
use std::path::Path;

/// `cut.json`: the point.
#[derive(Debug, Serialize, Deserialize)]
struct Kept {
    operation: String,
    at: usize,
    seed: u64,
}

const POINT: &str = "cut.json";
const LOGS: [&str; 3] = ["serial0.log", "serial1.log", "qemu.log"];

/// Keeps a cut below `<work>/failed`; `guest` is the folder of the VM that was booted.
pub(super) fn keep(site: &Site, recording: &Recording, point: &Point, guest: Option<&Path>) -> Result<()> {
    let folder = site.work.join("failed").join(name(recording, point));
    // A replay keeps nothing in the folder that it reads.
    if folder.exists() {
        return Ok(());
    }
    std::fs::create_dir_all(&folder)?;
    recording.link(&folder)?;
    let kept = Kept { operation: point.operation.clone(), at: point.at, seed: point.seed };
    std::fs::write(folder.join(POINT), serde_json::to_vec_pretty(&kept)?)?;
    for log in LOGS {
        if let Some(from) = guest.map(|guest| guest.join(log)).filter(|from| from.exists()) {
            std::fs::copy(from, folder.join(log))?;
        }
    }
    println!("       kept: {}", folder.display());
    Ok(())
}

/// Repeats a cut that was kept; true when it is well now.
pub fn replay(site: &Site, folder: &Path) -> Result<bool> {
    let text = std::fs::read(folder.join(POINT)).with_context(|| format!("{}", folder.join(POINT).display()))?;
    let Kept { operation, at, seed } = serde_json::from_slice(&text)?;
    let point = Point { operation, at, seed };
    let recording = Recording::open(folder, &site.image)?;
    let scratch = tempfile::tempdir_in(&site.work)?;
    let constants = constants(&recording, scratch.path())?;
    println!("{point}");
    let server = WebServer::start(&releases(site))?;
    let (outcome, detail) = cut(site, &recording, &point, &constants, &server)?;
    println!("{outcome:?} {detail}");
    Ok(matches!(outcome, Outcome::Old | Outcome::New))
}
