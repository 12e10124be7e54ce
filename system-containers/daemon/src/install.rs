//! A live system installed: which disks there are, the install service's job, the kernel told of the new partitions.

use crate::blocking::blocking;
use crate::job;
use crate::lifecycle::System;
use crate::mounts::{Ground, MountError, device, partitions};
use hull_update::install::job::{LEAST_BYTES, Request, SERVICE};
use rustix::fs::{Mode, OFlags, open};
use serde::Serialize;
use std::fs;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::Duration;

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

/// Writes the running system to `disk`, with `user_data` where its first boot looks for it; `tell` gets what is being done.
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
    // The label or identifier by which it was named is overwritten.
    let path = found.path.to_string_lossy().into_owned();
    let request = Request { disk: found.path, root, root_hash, data_blocks, user_data };
    let _turn = system.updating.lock().await;
    let done: Result<(), String> = job::done(system, SERVICE, &system.paths.installer(), &request, tell).await;
    done.map_err(MountError::Failed)?;
    let node = path.clone();
    let seen = blocking("rescan", move || rescan(&node, &ground)).await;
    let seen = seen.map_err(|error| MountError::Failed(error.to_string())).and_then(|seen| seen);
    if let Err(error) = seen {
        // The disk is whole all the same.
        tell(format!("until hull rescan {path} or the next boot its old partitions are shown: {error}"));
    }
    Ok(())
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

/// Has the kernel read the new partition table: udev, which would notice, may not have it done.
fn rescan(disk: &str, ground: &Ground) -> Result<(), MountError> {
    for _ in 1..RESCANS {
        match partitions::rescan(disk, ground) {
            Err(MountError::Conflict(_)) => std::thread::sleep(RESCAN_PAUSE),
            read => return read,
        }
    }
    partitions::rescan(disk, ground)
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
