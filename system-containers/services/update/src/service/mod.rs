//! Jobs carried out: releases looked for, the other slot written, the boot loader moved from one slot to the other.
//!
//! | module | what |
//! |---|---|
//! | `releases` | which release this machine may take |
//! | `write` | the other slot and its kernel files |
//! | `switch` | trial, blessing, giving up, rolling back |

mod releases;
mod switch;
mod write;

use crate::client::Client;
use crate::job::{Done, Firmware, Machine, Request, Work};
use crate::loader::{BootControl, LoaderError, boot_control};
use crate::record::{self, Image, Record};
use crate::settings::Settings;
use anyhow::{Context, Result};
use serde_json::Map;
use std::path::PathBuf;
use std::time::{SystemTime, UNIX_EPOCH};

/// Where things are in the service's container.
#[derive(Debug, Clone, Default)]
pub struct Places {
    /// Folder of the record and of downloads.
    pub state: PathBuf,
    /// The mounted ESP.
    pub esp: PathBuf,
    /// Folder of the root key set the image trusts.
    pub trust: PathBuf,
    /// Authorities for TLS.
    pub roots: PathBuf,
}

impl Places {
    fn record(&self) -> PathBuf {
        self.state.join("record.json")
    }
}

/// What a job works with.
struct Worker<'a> {
    places: &'a Places,
    machine: &'a Machine,
    settings: &'a Settings,
    record: Record,
    tell: &'a dyn Fn(String),
    /// Seconds since 1970.
    now: u64,
}

/// Carries out a job; `tell` hears what is being done. What happened is remembered, whatever it was.
///
/// # Errors
/// Why nothing of effect was done, for people.
pub fn run(places: &Places, request: &Request, tell: &dyn Fn(String)) -> Result<Done> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs());
    let loaded = record::load(&places.record(), now).context("the kernel gives no random numbers")?;
    if let Some(aside) = loaded.set_aside {
        tell(format!("what was remembered of updates cannot be used and was set aside: {}", aside.reason));
    }
    let Request { work, machine, settings } = request;
    let mut worker = Worker { places, machine, settings, record: loaded.record, tell, now };
    worker.know_running();
    let result = worker.work(work);
    let outcome = match &result {
        Ok(done) => words(done),
        Err(error) => format!("{error:#}"),
    };
    if *work != Work::Settle {
        worker.record.note(name(work), now, &outcome);
    }
    let saved = worker.remember();
    // Why the work failed counts more than that this cannot be remembered.
    result.and_then(|done| saved.map(|()| done))
}

impl Worker<'_> {
    /// What runs is known to be whole, wherever it came from: the first image came with the disk.
    fn know_running(&mut self) {
        let Machine { slot, version, root_hash, data_blocks, .. } = self.machine;
        if self.record.image(*slot).is_none_or(|image| image.root_hash != *root_hash) {
            let (version, root_hash, later) = (version.clone(), root_hash.clone(), Map::new());
            self.record.set_image(*slot, Some(Image { version, root_hash, data_blocks: *data_blocks, later }));
        }
    }

    fn remember(&mut self) -> Result<()> {
        let path = self.places.record();
        record::save(&path, &mut self.record).with_context(|| path.display().to_string())
    }

    fn work(&mut self, work: &Work) -> Result<Done> {
        match work {
            Work::Check { force } => self.check(*force),
            Work::Fetch { force } => self.fetch(*force),
            Work::Activate => self.activate(),
            Work::Bless => self.bless(),
            Work::Condemn { reason } => self.condemn(reason),
            Work::Rollback => self.rollback(),
            Work::Settle => self.settle(),
        }
    }

    fn client(&self) -> Result<Client> {
        let url = self.settings.url.as_deref();
        let url = url.context("no update.url in the configuration: it is not known where releases are")?;
        Ok(Client::new(url, self.places.roots.clone(), Client::limits())?)
    }

    /// The boot loader, after what it forgot was written anew: the version that runs is the one that is known to boot.
    fn loader(&self) -> Result<Box<dyn BootControl>> {
        let loader = boot_control(&self.places.esp, self.machine.firmware == Firmware::Uefi);
        match loader.read() {
            Err(LoaderError::Unknown { reason, .. }) => {
                (self.tell)(format!("the boot loader's memory is damaged ({reason}) and is written anew"));
                loader.restore(self.machine.slot, &self.machine.version)?;
            }
            other => drop(other?),
        }
        Ok(loader)
    }
}

fn name(work: &Work) -> &'static str {
    match work {
        Work::Check { .. } => "check",
        Work::Fetch { .. } => "fetch",
        Work::Activate => "apply",
        Work::Bless => "bless",
        Work::Condemn { .. } => "give up",
        Work::Rollback => "rollback",
        Work::Settle => "settle",
    }
}

fn words(done: &Done) -> String {
    match done {
        Done::UpToDate { .. } => "nothing newer".into(),
        Done::Available { version, .. } => format!("{version} is available"),
        Done::Written { version, fetched, copied } => {
            format!("{version} written: {fetched} bytes fetched, {copied} copied")
        }
        Done::Activated { version } => format!("{version} is tried at the next boot"),
        Done::Noted { failed: Some(failed) } => format!("{} failed: {}", failed.version, failed.reason),
        Done::Noted { failed: None } => "done".into(),
        Done::RolledBack { version } => format!("{version} is booted next"),
    }
}
