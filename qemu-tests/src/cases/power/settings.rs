//! How much is cut, from the environment.

use crate::guest::Site;
use crate::machine::Firmware;
use crate::power::story::firmware;
use anyhow::{Context, Result, ensure};
use std::path::PathBuf;
use std::time::{SystemTime, UNIX_EPOCH};

const CUTS: usize = 25;
const FLUSHES: usize = 300;
const JOBS: usize = 2;

/// See the table in [`super`].
#[derive(Debug, Clone)]
pub(super) struct Settings {
    pub(super) cuts: usize,
    pub(super) flushes: usize,
    pub(super) seed: u64,
    pub(super) jobs: usize,
    pub(super) recordings: PathBuf,
    pub(super) firmwares: Vec<Firmware>,
}

impl Settings {
    pub(super) fn read(site: &Site) -> Result<Self> {
        let variable = |name: &str| std::env::var(name).ok().filter(|text| !text.is_empty());
        let number = |name: &str, default: usize| match variable(name) {
            Some(text) => text.parse().with_context(|| format!("{name}={text:?} is no number")),
            None => Ok(default),
        };
        let seed = match variable("SEED") {
            Some(text) => text.parse().with_context(|| format!("SEED={text:?} is no number"))?,
            None => SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs(),
        };
        let jobs = number("JOBS", JOBS)?;
        ensure!(jobs > 0, "JOBS=0 does nothing");
        Ok(Self {
            cuts: number("CUTS", CUTS)?,
            flushes: number("FLUSHES", FLUSHES)?,
            seed,
            jobs,
            firmwares: firmwares(variable("FIRMWARES").as_deref().unwrap_or("uefi bios"))?,
            recordings: variable("RECORDINGS").map_or_else(|| site.work.join("power"), PathBuf::from),
        })
    }
}

fn firmwares(words: &str) -> Result<Vec<Firmware>> {
    words.split_whitespace().map(|word| firmware(word).with_context(|| format!("FIRMWARES: {word:?}"))).collect()
}
