//! A live system installed: which disks there are, the install service's job, user data for the first boot.

use crate::blocking::blocking;
use crate::job;
use crate::lifecycle::System;
use crate::mounts::{Ground, MountError, device, partitions};
use crate::update::esp::Esp;
use hull_update::install::job::{LEAST_BYTES, Request, SERVICE};
use rustix::fs::{Mode, OFlags, open};
use serde::Serialize;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::Duration;

/// Number of the ESP in the image's partition table.
const ESP: &str = "2";
/// What cloud-config reads there.
const USER_DATA: &str = "user-data";
/// udev looks at a disk that was written, and the kernel reads no table of a disk somebody looks at.
const RESCANS: u32 = 50;
const RESCAN_PAUSE: Duration = Duration::from_millis(200);
/// Sectors of sysfs, whatever the disk's own are.
const SECTOR: u64 = 512;

/// A disk of the machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Disk {
    /// Its node.
    pub path: PathBuf,
    /// Size.
    pub bytes: u64,
    /// As it calls itself.
    pub model: String,
    /// A stick, as it says.
    pub removable: bool,
    /// Its partitions.
    pub partitions: usize,
    /// Mounted, or a part of something else.
    pub in_use: bool,
}

/// Disks that can be written.
///
/// # Errors
/// The system is no live one.
pub async fn disks(system: &System) -> Result<Vec<Disk>, MountError> {
    is_live(system)?;
    let looked = blocking("disks", || {
        let mut disks = list(Path::new("/sys/block"));
        for disk in &mut disks {
            disk.in_use = open(&disk.path, OFlags::RDONLY | OFlags::EXCL | OFlags::CLOEXEC, Mode::empty()).is_err();
        }
        disks
    });
    looked.await.map_err(|error| MountError::Failed(error.to_string()))
}

/// Writes the running system to `disk`, and `user_data` where its first boot looks for it; `tell` gets what is being done.
///
/// # Errors
/// Why it is not installed.
pub async fn run(
    system: &Rc<System>,
    disk: &str,
    user_data: Option<String>,
    tell: &mut dyn FnMut(String),
) -> Result<(), MountError> {
    is_live(system)?;
    let ground = Ground::new(system)?;
    let found = device::find(disk, &ground.own)?;
    let folder = PathBuf::from(format!("/sys/dev/block/{}:{}", found.number.0, found.number.1));
    if folder.join("partition").exists() {
        return Err(MountError::Bad(format!("{disk} is a partition: name the whole disk; hull install lists them")));
    }
    let report = &system.boot_report;
    let root_hash = report.root_hash.parse();
    let root_hash = root_hash.map_err(|_| MountError::Failed("the running root is not verified".into()))?;
    let (root, data_blocks) = (PathBuf::from(&report.root_device), report.data_blocks);
    let request = Request { disk: found.path, root, root_hash, data_blocks };
    let _turn = system.updating.lock().await;
    let done: Result<(), String> = job::done(system, SERVICE, &system.paths.installer(), &request, tell).await;
    done.map_err(MountError::Failed)?;
    let (disk, place) = (disk.to_owned(), system.paths.installed_esp());
    let laid = blocking("install esp", move || {
        let esp = esp(&disk, &folder, &ground)?;
        user_data.map_or(Ok(()), |text| lay(&esp, &place, &text))
    });
    laid.await.map_err(|error| MountError::Failed(error.to_string()))?
}

fn is_live(system: &System) -> Result<(), MountError> {
    if system.boot_report.is_live() {
        return Ok(());
    }
    Err(MountError::Conflict(
        "this system runs from a disk: start the machine that is to be installed from the ISO image or the network; \
         hull update brings a newer version here"
            .into(),
    ))
}

/// Disks with hardware below them that can be written: no loop devices, no CD-ROMs, nothing stacked.
fn list(block: &Path) -> Vec<Disk> {
    let read = |path: PathBuf| fs::read_to_string(path).unwrap_or_default().trim().to_owned();
    let mut disks: Vec<Disk> = fs::read_dir(block)
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| {
            let (name, folder) = (entry.file_name().into_string().ok()?, entry.path());
            // SCSI's type 5 is a CD-ROM; paths of a multipath NVMe disk are hidden.
            let is_disk = folder.join("device").exists()
                && read(folder.join("device/type")) != "5"
                && read(folder.join("hidden")) != "1";
            let bytes = read(folder.join("size")).parse::<u64>().unwrap_or(0).saturating_mul(SECTOR);
            if !is_disk || bytes < LEAST_BYTES || read(folder.join("ro")) != "0" {
                return None;
            }
            let children = fs::read_dir(&folder).into_iter().flatten().flatten();
            Some(Disk {
                path: Path::new("/dev").join(&name),
                bytes,
                model: read(folder.join("device/model")),
                removable: read(folder.join("removable")) == "1",
                partitions: children.filter(|child| child.path().join("partition").exists()).count(),
                in_use: false,
            })
        })
        .collect();
    disks.sort_by(|a, b| a.path.cmp(&b.path));
    disks
}

/// Node of the new ESP, once the kernel knows it.
fn esp(disk: &str, folder: &Path, ground: &Ground) -> Result<PathBuf, MountError> {
    let mut last = None;
    for _ in 0..RESCANS {
        // Before the kernel has read the table, partition 2 is one of those that were there before.
        match partitions::rescan(disk, ground) {
            Ok(()) => {}
            Err(MountError::Conflict(text)) => {
                last = Some(text);
                std::thread::sleep(RESCAN_PAUSE);
                continue;
            }
            Err(error) => return Err(error),
        }
        let children = fs::read_dir(folder).into_iter().flatten().flatten();
        let is_esp = |path: &PathBuf| fs::read_to_string(path.join("partition")).is_ok_and(|text| text.trim() == ESP);
        let found = children.map(|entry| entry.path()).find(is_esp);
        let node = found.as_deref().and_then(Path::file_name).map(|name| Path::new("/dev").join(name));
        if let Some(node) = node.filter(|node| node.exists()) {
            return Ok(node);
        }
        std::thread::sleep(RESCAN_PAUSE);
    }
    let why = last.unwrap_or_else(|| "the kernel does not see its new partitions".into());
    Err(MountError::Conflict(format!("{disk} is written, but {why}; the user data is not on it")))
}

/// Writes user data to the ESP, which is unmounted when this returns.
fn lay(esp: &Path, place: &Path, text: &str) -> Result<(), MountError> {
    let failed = |error: String| MountError::Failed(format!("the disk is written, but not its user data: {error}"));
    let mounted = Esp::mount(esp, place).map_err(|error| failed(error.to_string()))?;
    let written = fs::File::create(place.join(USER_DATA)).and_then(|mut file| {
        file.write_all(text.as_bytes())?;
        file.sync_all()
    });
    drop(mounted);
    written.map_err(|error| failed(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn disks_are_what_can_be_written() {
        let folder = tempfile::tempdir().unwrap();
        let put = |path: &str, text: &str| {
            let path = folder.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        for (name, sectors, ro) in [
            ("vda", "20971520", "0"),
            ("sdb", "20971520", "1"),
            ("sdc", "100", "0"),
            ("sr0", "20971520", "0"),
            ("nvme0c0n1", "20971520", "0"),
        ] {
            put(&format!("{name}/size"), sectors);
            put(&format!("{name}/ro"), ro);
            put(&format!("{name}/removable"), "0\n");
            put(&format!("{name}/device/model"), "A disk  \n");
        }
        put("sr0/device/type", "5\n");
        put("nvme0c0n1/hidden", "1\n");
        put("loop0/size", "20971520");
        put("loop0/ro", "0");
        put("vda/vda1/partition", "1\n");
        put("vda/vda2/partition", "2\n");
        put("vda/queue/rotational", "0\n");
        let expected = Disk {
            path: "/dev/vda".into(),
            bytes: 10 << 30,
            model: "A disk".into(),
            removable: false,
            partitions: 2,
            in_use: false,
        };
        assert_eq!(list(folder.path()), [expected]);
    }
}
