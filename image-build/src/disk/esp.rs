//! The EFI system partition: a FAT32 file system made inside the image by mkfs.vfat and mtools, whose times and
//! identifiers are given, so that the same files give the same bytes.

use super::partitions::{Partition, SECTOR};
use crate::tools::run;
use anyhow::{Context, Result};
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;

/// Volume label.
const LABEL: &str = "HULL ESP";
/// Sectors per cluster: 4 KiB, what UEFI firmware meets most.
const CLUSTER_SECTORS: u64 = 8;
/// A file system of fewer clusters is no FAT32, whatever it says of itself (Microsoft's FAT specification).
const FAT32_CLUSTERS: u64 = 65_525;

/// A file of the ESP: path with `/`, content.
pub(crate) type EspFile<'a> = (&'a str, Vec<u8>);

/// Makes the file system in its partition of `disk` and writes `files`, all stamped with `time`.
pub(crate) fn write(disk: &Path, partition: &Partition, files: &[EspFile<'_>], time: u64) -> Result<()> {
    let cluster = cluster_sectors(partition.size);
    let mut format = Command::new("/sbin/mkfs.vfat");
    format
        .args(["-F", "32", "-S", &SECTOR.to_string(), "-s", &cluster.to_string(), "--invariant", "-n", LABEL])
        .args(["-i", &format!("{:08x}", partition.id.short())])
        .args(["--offset", &(partition.start / SECTOR).to_string()])
        .arg(disk)
        .arg((partition.size / 1024).to_string());
    run(&mut format).context("cannot format the ESP")?;

    let image = format!("{}@@{}", disk.display(), partition.start);
    let mtool = |name: &str| {
        let mut command = Command::new(name);
        command.env("SOURCE_DATE_EPOCH", time.to_string()).env("TZ", "UTC").env("MTOOLS_SKIP_CHECK", "1");
        command.arg("-i").arg(&image);
        command
    };
    run(mtool("mmd").args(folders(files).iter().map(|folder| format!("::/{folder}"))))?;
    let work = tempfile::tempdir()?;
    let staged = work.path().join("file");
    for (path, content) in files {
        fs::write(&staged, content)?;
        run(mtool("mcopy").arg(&staged).arg(format!("::/{path}")))?;
    }
    Ok(())
}

/// Small file systems take small clusters, for there have to be enough of them; tables take up less than a hundredth.
fn cluster_sectors(size: u64) -> u64 {
    let enough = size / 100 * 99 / (SECTOR * CLUSTER_SECTORS) > FAT32_CLUSTERS;
    if enough { CLUSTER_SECTORS } else { 1 }
}

/// Every folder of `files`, outer ones first.
fn folders(files: &[EspFile<'_>]) -> BTreeSet<String> {
    let mut folders = BTreeSet::new();
    for (path, _) in files {
        folders.extend(path.match_indices('/').map(|(end, _)| path[..end].to_owned()));
    }
    folders
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::partitions::Disk;

    #[test]
    fn there_are_enough_clusters_for_fat32() {
        for (mib, sectors) in [(512, 8), (264, 8), (256, 1), (125, 1), (36, 1)] {
            assert_eq!(cluster_sectors(mib << 20), sectors, "{mib} MiB");
        }
    }

    #[test]
    fn fsck_accepts_it_and_twice_gives_the_same() {
        let dir = tempfile::tempdir().unwrap();
        let disk = Disk::new(&"cd".repeat(32));
        let esp = Partition { start: 0, ..disk.esp };
        let files =
            [("EFI/BOOT/BOOTX64.EFI", vec![1; 100_000]), ("EFI/Linux/hull-a.efi", vec![2; 5]), ("hull/a/x", vec![])];
        let images = ["a.img", "b.img"].map(|name| {
            let path = dir.path().join(name);
            fs::File::create(&path).unwrap().set_len(esp.size).unwrap();
            write(&path, &esp, &files, 1_700_000_000).unwrap();
            std::thread::sleep(std::time::Duration::from_millis(2100)); // FAT counts in two seconds
            path
        });
        let fsck = Command::new("/sbin/fsck.vfat").args(["-n", "-V"]).arg(&images[0]).output().unwrap();
        assert!(fsck.status.success(), "{}", String::from_utf8_lossy(&fsck.stdout));
        let typed = Command::new("mtype").arg("-i").arg(&images[0]).arg("::/EFI/Linux/hull-a.efi").output().unwrap();
        assert_eq!(typed.stdout, [2; 5]);
        assert!(Command::new("cmp").args(&images).status().unwrap().success());
    }
}
