//! The checks on disks made here, sound and damaged, without privileges.

use super::check::check;
use super::esp::Esp;
use super::partitions::Table;
use super::{said, state, tool};
use crate::fault_disk::Image;
use crate::seed::run;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use tempfile::TempDir;

const MIB: u64 = 1 << 20;
const ESP_SIZE: u64 = 48 * MIB;
const STATE_SIZE: u64 = 16 * MIB;

fn folder() -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().to_owned();
    (folder, path)
}

fn blank(path: &Path, size: u64) {
    File::create(path).unwrap().set_len(size).unwrap();
}

fn patch(path: &Path, at: u64, bytes: &[u8]) {
    File::options().write(true).open(path).unwrap().write_all_at(bytes, at).unwrap();
}

fn kernel() -> Vec<u8> {
    (0..20_000_u32).flat_map(u32::to_le_bytes).collect()
}

/// A FAT32 file system with one sector a cluster; clusters 3 to 6 are the folders, the kernel begins with 7.
fn esp(path: &Path) {
    blank(path, ESP_SIZE);
    run(Command::new("mkfs.fat").args(["-F", "32", "-s", "1"]).arg(path)).unwrap();
    let kernel_file = path.with_extension("kernel");
    std::fs::write(&kernel_file, kernel()).unwrap();
    run(Command::new("mmd").arg("-i").arg(path).args(["::/loader", "::/grub", "::/hull", "::/hull/a"])).unwrap();
    for name in ["::/hull/a/vmlinuz", "::/loader/a-long-name.conf", "::/other"] {
        run(Command::new("mcopy").arg("-i").arg(path).arg(&kernel_file).arg(name)).unwrap();
    }
}

/// Sets an entry in both tables: one sector of 32 reserved ones after the other.
fn set_cluster(path: &Path, cluster: u64, next: u32) {
    let mut sector = [0; 512];
    File::open(path).unwrap().read_exact_at(&mut sector, 0).unwrap();
    let reserved = u64::from(u16::from_le_bytes([sector[14], sector[15]]));
    let length = u64::from(u32::from_le_bytes([sector[36], sector[37], sector[38], sector[39]]));
    for table in [reserved, reserved + length] {
        patch(path, table * 512 + cluster * 4, &next.to_le_bytes());
    }
}

const LAST: u32 = 0x0fff_ffff;

#[test]
fn boot_files_of_a_sound_esp_are_read() {
    let (_keep, folder) = folder();
    let file = folder.join("esp");
    esp(&file);
    let esp = Esp::read(&file).unwrap();
    assert_eq!(esp.findings, "");
    assert_eq!(esp.files.keys().collect::<Vec<_>>(), ["hull/a/vmlinuz", "loader/a-long-name.conf"]);
    assert!(esp.files.values().all(|content| *content == kernel()));
}

#[test]
fn lost_clusters_are_findings_and_unreadable_files_are_errors() {
    let (_keep, folder) = folder();
    let file = folder.join("esp");
    esp(&file);
    set_cluster(&file, 50_000, LAST);
    let lost = Esp::read(&file).unwrap();
    assert!(lost.findings.contains("unused cluster"), "{}", lost.findings);
    assert_eq!(lost.files.len(), 2);
    for (cluster, next, want) in [
        (10, LAST, "hull/a/vmlinuz has 2048 bytes of 80000"),
        (10, 0, "hull/a/vmlinuz cannot be read"),
        (10, 8, "hull/a/vmlinuz cannot be read"),
    ] {
        esp(&file);
        set_cluster(&file, cluster, next);
        let error = format!("{:#}", Esp::read(&file).unwrap_err());
        assert!(error.contains(want), "{error}");
    }
    patch(&file, 0, &[0; 512]);
    let error = format!("{:#}", Esp::read(&file).unwrap_err());
    assert!(error.contains("directories cannot be read"), "{error}");
}

fn ext4(path: &Path) {
    blank(path, STATE_SIZE);
    run(Command::new("mkfs.ext4").args(["-q", "-F"]).arg(path)).unwrap();
}

#[test]
fn a_journal_is_replayed_and_faults_are_found() {
    let (_keep, folder) = folder();
    let file = folder.join("state");
    ext4(&file);
    state::check(&file).unwrap();
    std::fs::write(folder.join("content"), "kept\n").unwrap();
    let write = format!("write {} kept", folder.join("content").display());
    run(Command::new("debugfs").args(["-w", "-R", &write]).arg(&file)).unwrap();
    assert_eq!(state::read(&file, "/kept").unwrap().unwrap(), b"kept\n");
    assert_eq!(state::read(&file, "/no/such").unwrap(), None);
    // A transaction that was committed and not written back: block 8000 is free, so only the replay is seen.
    std::fs::write(folder.join("block"), vec![0x77; 1024]).unwrap();
    let script = format!("jo\njw -b 8000 {}\njc\n", folder.join("block").display());
    std::fs::write(folder.join("script"), script).unwrap();
    run(Command::new("debugfs").arg("-w").arg("-f").arg(folder.join("script")).arg(&file)).unwrap();
    let header = run(Command::new("dumpe2fs").arg("-h").arg(&file)).unwrap();
    assert!(header.contains("needs_recovery"), "{header}");
    let text = state::check(&file).unwrap();
    assert!(text.contains("recovering journal"), "{text}");
    let content = std::fs::read(&file).unwrap();
    assert!(content[8000 * 1024..8001 * 1024].iter().all(|byte| *byte == 0x77));
    // No superblock at all, and junk over the first inodes.
    for (at, bytes) in [(1024, vec![0; 1024]), (0, vec![0xa5; 2 << 20])] {
        ext4(&file);
        patch(&file, at, &bytes);
        let error = state::check(&file).unwrap_err().to_string();
        assert!(error.contains("leaves faults"), "{error}");
    }
}

fn disk(folder: &Path) -> PathBuf {
    let [disk, esp_file, state_file] = ["disk", "esp", "state"].map(|name| folder.join(name));
    esp(&esp_file);
    ext4(&state_file);
    blank(&disk, ESP_SIZE + STATE_SIZE + 2 * MIB);
    let table = "label: gpt\nstart=1MiB, size=48MiB, name=esp\nstart=49MiB, size=16MiB, name=state\n";
    std::fs::write(folder.join("table"), table).unwrap();
    let mut sfdisk = Command::new("sfdisk");
    sfdisk.arg("-q").arg(&disk).stdin(Stdio::from(File::open(folder.join("table")).unwrap()));
    run(&mut sfdisk).unwrap();
    patch(&disk, MIB, &std::fs::read(esp_file).unwrap());
    patch(&disk, MIB + ESP_SIZE, &std::fs::read(state_file).unwrap());
    disk
}

#[test]
fn a_whole_disk() {
    let (_keep, folder) = folder();
    let disk = disk(&folder);
    let size = disk.metadata().unwrap().len();
    let image = Image::of_file(&disk, size).unwrap();
    let checked = check(&image, &folder, &["/none"]).unwrap();
    assert_eq!(checked.table.remarks, "");
    assert_eq!(checked.table.named("state").unwrap().range, 49 * MIB..65 * MIB);
    assert_eq!(checked.esp.unwrap().unwrap().files.len(), 2);
    checked.state.unwrap().unwrap();
    // The first table is torn: the backup is read.
    patch(&disk, 512, &[0; 4096]);
    let checked = check(&image, &folder, &["/none"]).unwrap();
    assert!(!checked.table.remarks.is_empty() && checked.table.named("esp").is_some(), "{:?}", checked.table);
    // Both are.
    patch(&disk, size - 512, &[0; 512]);
    let error = format!("{:#}", Table::read(&image, &folder).unwrap_err());
    assert!(error.contains("table"), "{error}");
}

#[test]
fn tools_have_a_deadline_and_a_missing_one_is_an_error() {
    let output = tool("no-such-tool", &[]).unwrap();
    assert_eq!(output.status.code(), Some(127));
    assert!(said(&output).contains("no-such-tool"));
}
