//! A recorded run as files, enough to cut it again later.
//!
//! ```text
//! <folder>/trace            what the disk was asked, and the story's marks
//!          id_ed25519 .pub  the key that the run's user has
//!          user-data        the seed is made of it again
//!          image.sha256     the image that the trace was begun on
//! ```

use super::counter;
use crate::fault_disk::trace::Record;
use crate::fault_disk::{Image, Trace};
use crate::guest::{Boot, Site};
use crate::machine::Firmware;
use crate::power::points::Operation;
use crate::power::story::{self, Step};
use crate::seed::Seed;
use anyhow::{Context, Result, bail, ensure};
use sha2::{Digest, Sha256};
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

/// Size of the disk in bytes.
pub(super) const DISK: u64 = 8 << 30;
/// All boots are of one instance.
const INSTANCE: &str = "power";
const FILES: [&str; 5] = ["trace", "id_ed25519", "id_ed25519.pub", "user-data", "image.sha256"];

/// A run that can be cut.
#[derive(Debug)]
pub(super) struct Recording {
    pub(super) firmware: Firmware,
    pub(super) folder: PathBuf,
    pub(super) trace: Trace,
    /// The disk as it was when the trace was begun.
    pub(super) base: Image,
    /// Version of the image.
    pub(super) old: String,
}

impl Recording {
    /// Reads a folder; `image` has to be the one the run began with.
    pub(super) fn open(folder: &Path, image: &Path) -> Result<Self> {
        let read = |name: &str| {
            let path = folder.join(name);
            std::fs::read_to_string(&path).with_context(|| format!("{}", path.display()))
        };
        let digest = read("image.sha256")?;
        ensure!(
            digest == sha256(image)?,
            "{} was recorded on another image than {}",
            folder.display(),
            image.display()
        );
        let trace = Trace::open(&folder.join("trace"))?;
        let value = |mark: &str| story::value(&trace.records, mark).with_context(|| format!("no mark {mark:?}"));
        let firmware = value("firmware")?;
        let firmware = story::firmware(firmware).with_context(|| format!("a mark of firmware {firmware:?}"))?;
        let old = value("old")?.to_owned();
        let base = Image::of_file(image, DISK)?;
        let recording = Self { firmware, folder: folder.into(), trace, base, old };
        ensure!(!recording.steps().is_empty(), "{}: the first boot did not end", folder.display());
        Ok(recording)
    }

    /// An error when the run ended before the story did.
    pub(super) fn whole(&self) -> Result<()> {
        let ended = self.steps();
        let missing = Step::ALL.into_iter().find(|step| !ended.contains(step));
        missing.map_or(Ok(()), |step| bail!("{}: the step {} did not end", self.folder.display(), step.name()))
    }

    /// The steps that were recorded from beginning to end.
    pub(super) fn steps(&self) -> Vec<Step> {
        let ended = |step: &Step| step.operation(self.firmware).span(self.records()).is_ok();
        Step::ALL.into_iter().filter(ended).collect()
    }

    pub(super) fn records(&self) -> &[Record] {
        &self.trace.records
    }

    /// For the choice of points.
    pub(super) fn operations(&self) -> Vec<Operation> {
        self.steps().into_iter().map(|step| step.operation(self.firmware)).collect()
    }

    /// The step that a point cuts.
    pub(super) fn step(&self, operation: &str) -> Result<Step> {
        let found = Step::ALL.into_iter().find(|step| step.operation(self.firmware).name == operation);
        found.with_context(|| format!("no operation {operation}"))
    }

    /// The site with the run's own key.
    pub(super) fn site(&self, site: &Site) -> Site {
        Site { key: self.folder.join("id_ed25519"), ..site.clone() }
    }

    /// What a VM of this run is given; `services` are guest addresses and loopback ports.
    pub(super) fn boot(&self, served: &Path, services: Vec<(String, u16)>) -> Result<Boot> {
        boot(self.firmware, &self.folder, served, services)
    }

    /// The files once more, in another folder; only on another file system they take space again.
    pub(super) fn link(&self, folder: &Path) -> Result<()> {
        for name in FILES {
            let (from, to) = (self.folder.join(name), folder.join(name));
            let linked = std::fs::hard_link(&from, &to).or_else(|_| std::fs::copy(&from, &to).map(drop));
            linked.with_context(|| format!("{}", to.display()))?;
        }
        Ok(())
    }
}

/// Writes what a folder holds besides the trace.
pub(super) fn prepare(site: &Site, folder: &Path, user_data: &str) -> Result<()> {
    std::fs::create_dir_all(folder)?;
    for name in FILES {
        match std::fs::remove_file(folder.join(name)) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error)?,
            _ => {}
        }
    }
    std::fs::copy(&site.key, folder.join("id_ed25519"))?;
    std::fs::copy(site.key.with_extension("pub"), folder.join("id_ed25519.pub"))?;
    std::fs::write(folder.join("user-data"), user_data)?;
    std::fs::write(folder.join("image.sha256"), sha256(&site.image)?)?;
    Ok(())
}

pub(super) fn boot(firmware: Firmware, folder: &Path, served: &Path, services: Vec<(String, u16)>) -> Result<Boot> {
    let user_data = std::fs::read_to_string(folder.join("user-data"))?;
    Ok(Boot {
        firmware,
        seed: Some(Seed::vfat(user_data, INSTANCE)),
        services,
        served: Some(served.into()),
        ..Boot::default()
    })
}

/// Files of the state file system that are looked at without booting.
pub(super) const LOOKED_AT: [&str; 4] =
    [counter::FILE, "/config/60-test.toml", "/etc/console/upper/passwd", "/etc/console/upper/shadow"];

fn sha256(path: &Path) -> Result<String> {
    const CHUNK: usize = 1 << 20;
    let mut file = File::open(path).with_context(|| format!("image {}", path.display()))?;
    let mut hash = Sha256::new();
    let mut buffer = vec![0; CHUNK];
    loop {
        let count = file.read(&mut buffer)?;
        if count == 0 {
            return Ok(hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect());
        }
        hash.update(&buffer[..count]);
    }
}
