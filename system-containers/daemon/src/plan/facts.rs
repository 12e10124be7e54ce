//! Facts about the machine that plans depend on.

use crate::status::BootReport;
use hull_update::slot::Slot;
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// Name of the EFI system partition.
const ESP: &str = "esp";

/// What a plan has to know.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Facts {
    /// UTS host name.
    pub hostname: String,
    /// Numbers of the system disk, its partitions and the devices stacked on them.
    pub system_disk: BTreeSet<(u32, u32)>,
    /// Numbers of the slots' partitions; none where one of them is missing. Of a root that came with the initrd there is the
    /// running one alone.
    pub slots: Option<Slots>,
    /// Number of the EFI system partition.
    pub esp: Option<(u32, u32)>,
    /// Major number of `/dev/watchdogN`; `/dev/watchdog` itself is 10:130.
    pub watchdog_major: Option<u32>,
    /// Memory of the machine in bytes.
    pub memory: u64,
    /// What of it the kernel keeps free, in bytes: nobody can have it.
    pub kept_free: u64,
    /// Processes and threads the kernel allows in all.
    pub threads_max: u64,
}

/// Partitions of the two slots.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Slots {
    /// The one with the running root.
    pub running: (u32, u32),
    /// The one beside it.
    pub other: Option<(u32, u32)>,
}

fn slots(report: &BootReport) -> Option<Slots> {
    if report.is_live() {
        return Some(Slots { running: node_number(&report.root_device)?, other: None });
    }
    let running = Slot::from_letter(&report.slot)?;
    let number = |slot: Slot| number(report, slot.partition());
    Some(Slots { running: number(running)?, other: Some(number(running.other())?) })
}

/// Number of a partition of the system disk.
fn number(report: &BootReport, partition: &str) -> Option<(u32, u32)> {
    node_number(report.partitions.get(partition)?)
}

fn node_number(node: &str) -> Option<(u32, u32)> {
    let status = rustix::fs::stat(node).ok()?;
    Some((rustix::fs::major(status.st_rdev), rustix::fs::minor(status.st_rdev)))
}

impl Facts {
    /// Reads sysfs and procfs; `report` is PID 1's.
    pub fn read(hostname: String, report: &BootReport) -> Self {
        // A root that came with the initrd is on a loop device.
        let disk = report.system_disk.as_deref().filter(|disk| !disk.is_empty()).or(Some(&report.root_device));
        let (slots, esp) = (slots(report), number(report, ESP));
        let disk = disk.and_then(|path| path.strip_prefix("/dev/"));
        let system_disk = disk.map(|name| disk_numbers(&Path::new("/sys/class/block").join(name))).unwrap_or_default();
        let majors = fs::read_to_string("/proc/devices").unwrap_or_default();
        let threads = fs::read_to_string("/proc/sys/kernel/threads-max").ok().and_then(|text| text.trim().parse().ok());
        Self {
            hostname,
            system_disk,
            slots,
            esp,
            watchdog_major: character_major(&majors, "watchdog"),
            memory: memory(),
            kept_free: kept_free(&fs::read_to_string("/proc/zoneinfo").unwrap_or_default()),
            threads_max: threads.unwrap_or(u64::MAX),
        }
    }
}

/// Memory of the machine in bytes; sysinfo(2).
pub fn memory() -> u64 {
    let info = rustix::system::sysinfo();
    info.totalram.saturating_mul(u64::from(info.mem_unit))
}

/// Bytes below which the kernel begins to reclaim: the sum of the zones' high watermarks in `/proc/zoneinfo`, proc(5). It grows
/// with the machine, and with the kernel's wish for huge pages.
fn kept_free(zones: &str) -> u64 {
    // Only the watermark has one word and one number; lists of pages per processor have `high:`.
    let pages = zones.lines().filter_map(|line| line.trim().strip_prefix("high ")?.trim().parse::<u64>().ok());
    pages.sum::<u64>() * rustix::param::page_size() as u64
}

/// Numbers of everything the OS itself lives on: the disks of the file systems at `paths`, however they are stacked, with
/// all partitions of those disks and all that is stacked on them. File systems without a device are in it by the number
/// stat(2) shows.
pub fn devices_of(paths: &[PathBuf]) -> BTreeSet<(u32, u32)> {
    let stats = paths.iter().filter_map(|path| rustix::fs::stat(path).ok());
    let numbers = stats.map(|status| (rustix::fs::major(status.st_dev), rustix::fs::minor(status.st_dev)));
    numbers.flat_map(|number| family(Path::new("/sys/dev/block"), number)).collect()
}

fn family(devices: &Path, number: (u32, u32)) -> BTreeSet<(u32, u32)> {
    let mut numbers = BTreeSet::from([number]);
    let mut work = vec![devices.join(format!("{}:{}", number.0, number.1))];
    while let Some(device) = work.pop() {
        let Ok(folder) = device.canonicalize() else { continue };
        let disk = if folder.join("partition").exists() { folder.parent().unwrap_or(&folder) } else { &folder };
        numbers.extend(disk_numbers(disk));
        work.extend(fs::read_dir(folder.join("slaves")).into_iter().flatten().flatten().map(|entry| entry.path()));
    }
    numbers
}

fn disk_numbers(folder: &Path) -> BTreeSet<(u32, u32)> {
    let mut numbers = BTreeSet::new();
    let mut work = vec![folder.to_owned()];
    while let Some(folder) = work.pop() {
        let number = fs::read_to_string(folder.join("dev")).ok().and_then(|text| device_number(&text));
        if !number.is_some_and(|number| numbers.insert(number)) {
            continue;
        }
        let children =
            fs::read_dir(&folder).into_iter().chain(fs::read_dir(folder.join("holders"))).flatten().flatten();
        work.extend(children.map(|entry| entry.path()).filter(|path| path.join("dev").exists()));
    }
    numbers
}

fn device_number(text: &str) -> Option<(u32, u32)> {
    let (major, minor) = text.trim().split_once(':')?;
    Some((major.parse().ok()?, minor.parse().ok()?))
}

/// Looks up a driver in the character section of `/proc/devices`.
fn character_major(devices: &str, driver: &str) -> Option<u32> {
    let characters = devices.split("Block devices:").next()?;
    characters.lines().find_map(|line| {
        let (major, name) = line.trim().split_once(' ')?;
        (name == driver).then(|| major.parse().ok())?
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn majors_are_looked_up_among_character_devices() {
        let text = "Character devices:\n  1 mem\n247 watchdog\n\nBlock devices:\n  7 loop\n";
        assert_eq!(character_major(text, "watchdog"), Some(247));
        assert_eq!(character_major(text, "loop"), None);
    }

    #[test]
    fn what_the_kernel_keeps_free_is_the_zones_high_watermarks() {
        let text = "Node 0, zone    DMA32\n  pages free     3\n        boost    0\n        min      1408\n        low      1760\n        high     2112\n\
                    \x20 pagesets\n    cpu: 0\n              count:    1\n              high:  1206\n              high_min: 12\n\
                    Node 0, zone   Normal\n        high     8\nNode 0, zone  Movable\n        high     0\n";
        assert_eq!(kept_free(text), (2112 + 8) * rustix::param::page_size() as u64);
        assert_eq!(kept_free(""), 0);
    }

    #[test]
    fn the_family_of_a_stacked_device_is_the_whole_disk_below_it() {
        let folder = tempfile::tempdir().unwrap();
        let at = |path: &str| folder.path().join(path);
        for (path, number) in
            [("vda", "254:0"), ("vda/vda1", "254:1"), ("vda/vda3", "254:3"), ("dm-0", "252:0"), ("vdb", "254:16")]
        {
            fs::create_dir_all(at(path)).unwrap();
            fs::write(at(path).join("dev"), number).unwrap();
        }
        for partition in ["vda/vda1", "vda/vda3"] {
            fs::write(at(partition).join("partition"), "").unwrap();
        }
        fs::create_dir_all(at("dm-0/slaves")).unwrap();
        fs::create_dir_all(at("numbers")).unwrap();
        std::os::unix::fs::symlink(at("vda/vda3"), at("dm-0/slaves/vda3")).unwrap();
        std::os::unix::fs::symlink(at("dm-0"), at("numbers/252:0")).unwrap();
        let numbers: Vec<_> = family(&at("numbers"), (252, 0)).into_iter().collect();
        assert_eq!(numbers, [(252, 0), (254, 0), (254, 1), (254, 3)]);
        assert_eq!(family(&at("numbers"), (0, 40)).len(), 1);
    }

    #[test]
    fn disk_partitions_and_holders_are_found() {
        let folder = tempfile::tempdir().unwrap();
        for (path, number) in [("vda", "254:0"), ("vda/vda1", "254:1"), ("vda/vda1/holders/dm-0", "252:0")] {
            fs::create_dir_all(folder.path().join(path)).unwrap();
            fs::write(folder.path().join(path).join("dev"), format!("{number}\n")).unwrap();
        }
        let numbers: Vec<_> = disk_numbers(&folder.path().join("vda")).into_iter().collect();
        assert_eq!(numbers, [(252, 0), (254, 0), (254, 1)]);
    }
}
