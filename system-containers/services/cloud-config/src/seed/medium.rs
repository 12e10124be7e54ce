//! The medium that user data comes from: a block device with a label that says which files are on it.
//!
//! | form | label | files |
//! |---|---|---|
//! | NoCloud | `cidata` | in the root directory, read here |
//! | configuration drive | `config-2` | below `openstack/`, read by [`configdrive`] |
//! | EFI system partition of the system disk | `HULL ESP` | NoCloud's, if there are any |
//!
//! Of several the first is used: NoCloud before configuration drives, as in cloud-init, these before the ESP, and then by
//! name of the device.

use super::configdrive;
use super::exchange::Includes;
use super::platform::Origin;
use super::superblock::{self, Superblock};
use super::volume::{self, Volume};
use crate::report::{Messages, Place};
use anyhow::Context;
use serde::{Deserialize, Serialize};
use std::fs::{File, OpenOptions};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// Limit for each file of the medium; clouds allow 16 to 64 KiB of user data.
pub const MAX_FILE: usize = 1 << 20;
/// File systems of such media; [`Volume`] reads these.
const KINDS: [&str; 3] = ["vfat", "iso9660", "udf"];
/// Label of the EFI system partition, as the image has it.
const ESP_LABEL: &str = "HULL ESP";
/// Devices that never are a medium, and a floppy drive takes seconds to say that it is empty.
const SKIPPED_DEVICES: [&str; 5] = ["loop", "ram", "zram", "fd", "md"];

/// Which files a medium has, in order of precedence.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Form {
    /// NoCloud.
    #[default]
    NoCloud,
    /// OpenStack's configuration drive.
    ConfigDrive,
    /// VMware's settings, which are on no medium: [`super::guestinfo`].
    GuestInfo,
}

impl Form {
    /// In messages and in the name of the datasource.
    pub fn name(self) -> &'static str {
        match self {
            Self::NoCloud => "nocloud",
            Self::ConfigDrive => "configdrive",
            Self::GuestInfo => "vmware",
        }
    }

    /// Its label, if it is on a medium; cloud-init looks for it in lower and in upper case, and not mixed.
    pub fn label(self) -> &'static str {
        match self {
            Self::NoCloud => "cidata",
            Self::ConfigDrive => "config-2",
            Self::GuestInfo => "",
        }
    }

    /// The file that [`Medium::user_data`] is.
    pub fn user_file(self) -> &'static str {
        match self {
            Self::NoCloud => "user-data",
            Self::ConfigDrive => "user_data",
            Self::GuestInfo => "guestinfo.userdata",
        }
    }

    /// The file that [`Medium::network_config`] is.
    pub fn network_file(self) -> &'static str {
        match self {
            Self::NoCloud => "network-config",
            Self::ConfigDrive => "network_data.json",
            Self::GuestInfo => "network of guestinfo.metadata",
        }
    }

    fn of(labels: &[String]) -> Option<Self> {
        let has = |name: &str| labels.iter().any(|label| label == name);
        [Self::NoCloud, Self::ConfigDrive]
            .into_iter()
            .find(|form| has(form.label()) || has(&form.label().to_ascii_uppercase()))
    }
}

/// The files of a medium, by the names that NoCloud gives them. A configuration drive is brought into this form, so that
/// the cache and the later stages know one only, those of an earlier version of the OS too.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Medium {
    /// Device it was read from.
    pub device: String,
    /// What it was; copies kept by earlier versions are NoCloud's.
    #[serde(default)]
    pub form: Form,
    /// Where it was fetched from; `device` is then the URL of the server.
    #[serde(default)]
    pub origin: Option<Origin>,
    /// `user-data`.
    pub user_data: Option<Vec<u8>>,
    /// `meta-data`.
    pub meta_data: Option<Vec<u8>>,
    /// `network-config`, or `network_data.json` as it is.
    pub network_config: Option<Vec<u8>>,
    /// `vendor-data`; copies kept by earlier versions have none.
    #[serde(default)]
    pub vendor_data: Option<Vec<u8>>,
    /// A second layer of vendor data, which only configuration drives have.
    #[serde(default)]
    pub vendor_data2: Option<Vec<u8>>,
    /// What include lists in the above name, as far as it was fetched.
    #[serde(default)]
    pub includes: Includes,
}

impl Medium {
    /// As reports show it.
    pub fn datasource(&self) -> String {
        self.origin.as_ref().map_or_else(|| format!("{}:{}", self.form.name(), self.device), Origin::datasource)
    }
}

/// All block devices with a readable file system, sorted by name. Devices that cannot be opened are left out: the
/// system disk is denied to this service on purpose, and an empty drive has no medium.
pub fn file_systems() -> Vec<(PathBuf, Superblock)> {
    let Ok(entries) = std::fs::read_dir("/sys/class/block") else { return Vec::new() };
    let mut names: Vec<String> =
        entries.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
        .into_iter()
        .filter(|name| !SKIPPED_DEVICES.iter().any(|skipped| name.starts_with(skipped)))
        .filter_map(|name| {
            let path = Path::new("/dev").join(name);
            let block = superblock::probe(&open(&path).ok()?)?;
            Some((path, block))
        })
        .collect()
}

/// A file system that may be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Candidate {
    pub(super) device: PathBuf,
    pub(super) kind: &'static str,
    pub(super) form: Form,
    /// The EFI system partition, which needs no user data.
    pub(super) esp: bool,
}

/// Finds and reads the medium; `None` when there is none. What cannot be read is reported.
pub fn read(messages: &mut Messages) -> Option<Medium> {
    read_first(&candidates(file_systems()), messages)
}

/// The file systems with a label, the one to be used first.
fn candidates(file_systems: Vec<(PathBuf, Superblock)>) -> Vec<Candidate> {
    let readable = file_systems.into_iter().filter(|(_, block)| KINDS.contains(&block.kind));
    let mut found: Vec<Candidate> = readable
        .filter_map(|(device, block)| {
            let esp = block.labels.iter().any(|label| label == ESP_LABEL);
            let form = if esp { Form::NoCloud } else { Form::of(&block.labels)? };
            Some(Candidate { device, kind: block.kind, form, esp })
        })
        .collect();
    found.sort_by_key(|candidate| (candidate.esp, candidate.form));
    found
}

pub(super) fn read_first(candidates: &[Candidate], messages: &mut Messages) -> Option<Medium> {
    for (number, candidate) in candidates.iter().enumerate() {
        messages.turn_to(candidate.form.name());
        match read_device(candidate, messages) {
            Ok(medium) if candidate.esp && medium.user_data.is_none() && medium.meta_data.is_none() => {}
            Ok(medium) => {
                warn_of_emptiness(candidate, &medium, messages);
                for other in candidates[number + 1..].iter().filter(|other| !other.esp) {
                    let (device, label) = (other.device.display(), other.form.label());
                    let text = format!("{device}, labelled {label}, is ignored; {} is used", medium.device);
                    messages.warning(Place::default(), "", text);
                }
                return Some(medium);
            }
            Err(error) => messages.error(Place::default(), "", format!("{error:#}")),
        }
    }
    None
}

/// For messages.
fn name(candidate: &Candidate) -> String {
    let Candidate { device, kind, form, esp } = candidate;
    let label = if *esp { ESP_LABEL } else { form.label() };
    format!("{} ({kind}) with the label {label}", device.display())
}

fn read_device(candidate: &Candidate, messages: &mut Messages) -> anyhow::Result<Medium> {
    let (what, form) = (name(candidate), candidate.form);
    let (device, kind) = (candidate.device.as_path(), candidate.kind);
    let file = open(device).with_context(|| format!("open {what}"))?;
    let volume = Volume::open(&file, kind).with_context(|| format!("read {what}"))?;
    let get = |path: &str| volume.read(path, MAX_FILE);
    let medium = match form {
        // Guestinfo has no label and so is no candidate.
        Form::NoCloud | Form::GuestInfo => read_nocloud(get, &what, messages),
        Form::ConfigDrive => configdrive::read(get, &what, messages),
    };
    Ok(Medium { device: device.display().to_string(), form, ..medium })
}

fn warn_of_emptiness(candidate: &Candidate, medium: &Medium, messages: &mut Messages) {
    if medium.user_data.is_none() && medium.meta_data.is_none() {
        let what = name(candidate);
        let place = match candidate.form {
            Form::NoCloud | Form::GuestInfo => "neither user-data nor meta-data in its root directory",
            Form::ConfigDrive => "no file that is used below openstack/, such as openstack/latest/meta_data.json",
        };
        let hint = match candidate.kind {
            "iso9660" => "; on iso9660 it takes Rock Ridge or Joliet to name them (mkisofs -J -r)",
            _ => "",
        };
        messages.warning(Place::default(), "", format!("{what} has {place}{hint}"));
    }
}

fn read_nocloud(
    get: impl Fn(&str) -> Result<Option<Vec<u8>>, volume::Error>,
    what: &str,
    messages: &mut Messages,
) -> Medium {
    let mut get = |name: &str| readable(name, get(name), what, messages);
    Medium {
        user_data: get("user-data"),
        meta_data: get("meta-data"),
        network_config: get("network-config"),
        vendor_data: get("vendor-data"),
        ..Medium::default()
    }
}

/// A file's content; an error is reported with the file's name and costs that file.
pub(super) fn readable(
    name: &str,
    content: Result<Option<Vec<u8>>, volume::Error>,
    what: &str,
    messages: &mut Messages,
) -> Option<Vec<u8>> {
    content.unwrap_or_else(|error| {
        let error = anyhow::Error::new(error).context(format!("{name} of {what}"));
        messages.error(Place::default(), name, format!("not used: {error:#}"));
        None
    })
}

/// Opens a device.
pub(super) fn open(device: &Path) -> std::io::Result<File> {
    // Without waiting for a medium in an empty drive.
    let flags = i32::try_from(rustix::fs::OFlags::NONBLOCK.bits()).map_err(std::io::Error::other)?;
    OpenOptions::new().read(true).custom_flags(flags).open(device)
}

#[cfg(test)]
mod tests;
