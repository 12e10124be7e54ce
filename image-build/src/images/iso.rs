//! Live medium: ISO 9660 that boots from a CD-ROM and from a stick, by BIOS and by UEFI.
//!
//! ```text
//! sector 0                MBR: GRUB's code for sticks; one entry of type EF, efi.img
//! boot/grub/eltorito.img  El Torito, BIOS: GRUB, which reads the files in efi.img
//! boot/efi.img            El Torito, UEFI: FAT with systemd-boot, vmlinuz and the initrd that carries the root
//! ```
//!
//! The kernel needs the medium only until it is started.

use super::live::Live;
use super::{MIB, Source};
use crate::disk::esp;
use crate::disk::partitions::{Disk, Partition};
use crate::tools::run;
use anyhow::{Context, Result, ensure};
use hull_update::loader::grub_boot_cfg;
use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::process::Command;

const LABEL: &str = "HULL_LIVE";
const EFI_IMAGE: &str = "boot/efi.img";
const CORE: &str = "boot/grub/eltorito.img";
/// Disk, file systems, menu. No module is loaded from the medium.
const MODULES: [&str; 14] = [
    "biosdisk",
    "iso9660",
    "part_gpt",
    "part_msdos",
    "fat",
    "loopback",
    "search",
    "search_fs_file",
    "normal",
    "configfile",
    "linux",
    "serial",
    "terminal",
    "echo",
];
const EARLY: &str = "search --file --set=root /boot/efi.img\nset prefix=($root)/boot/grub\nnormal\n";
/// Sectors of a CD-ROM.
const SECTOR: u64 = 2048;
/// El Torito: sector of the boot record, offset in it of the catalogue's sector; offset in the catalogue of the second
/// system's entry, in which the image's sector is at 8.
const BOOT_RECORD: u64 = 17;
const CATALOGUE: u64 = 0x47;
const SECOND_ENTRY: u64 = 96;
/// Partition entries of the MBR, and the type of an EFI system partition.
const MBR_ENTRIES: u64 = 446;
const MBR_TYPE_EFI: u8 = 0xef;

/// Makes and checks the medium.
pub(super) fn make(source: &Source, live: &Live, target: &Path, work: &Path) -> Result<()> {
    let folder = tempfile::tempdir_in(work)?;
    fs::create_dir_all(folder.path().join("boot/grub"))?;
    let size = efi_image(source, live, &folder.path().join(EFI_IMAGE))?;
    grub(source, live, folder.path(), work)?;
    let mut make = Command::new("xorriso");
    make.env("SOURCE_DATE_EPOCH", source.facts.time.to_string());
    make.args(["-as", "mkisofs", "-quiet", "-V", LABEL, "-J", "-r", "-o"]).arg(target);
    make.arg("--grub2-mbr").arg(source.tools.file("usr/lib/grub/i386-pc/boot_hybrid.img"));
    make.args(["-b", CORE, "-no-emul-boot", "-boot-load-size", "4", "-boot-info-table", "--grub2-boot-info"]);
    run(make.args(["-eltorito-alt-boot", "-e", EFI_IMAGE, "-no-emul-boot"]).arg(folder.path()))?;
    let file = File::options().read(true).write(true).open(target)?;
    name_partition(&file, size)?;
    check(target, &folder.path().join(EFI_IMAGE), work)
}

/// FAT with systemd-boot, kernel and initrd; returns its size.
fn efi_image(source: &Source, live: &Live, target: &Path) -> Result<u64> {
    let read = |path: &Path| fs::read(path).with_context(|| format!("{}", path.display()));
    let entry = format!("title Hull\nlinux /vmlinuz\ninitrd /initrd\noptions {}\n", live.command_line);
    let files = [
        ("EFI/BOOT/BOOTX64.EFI", read(&source.tools.file("usr/lib/systemd/boot/efi/systemd-bootx64.efi"))?),
        ("initrd", read(&live.initrd)?),
        ("loader/entries/hull.conf", entry.into_bytes()),
        ("loader/loader.conf", b"timeout 3\n".to_vec()),
        ("vmlinuz", read(&live.kernel)?),
    ];
    let content: usize = files.iter().map(|(_, content)| content.len()).sum();
    // Tables and ends of clusters.
    let size = (content as u64 + 4 * MIB).next_multiple_of(MIB);
    File::create(target)?.set_len(size)?;
    let partition = Partition { start: 0, size, ..Disk::new(&source.facts.root_hash).esp };
    esp::write(target, &partition, &files, source.facts.time)?;
    Ok(size)
}

/// Core image and menu for BIOS.
fn grub(source: &Source, live: &Live, folder: &Path, work: &Path) -> Result<()> {
    let menu = format!(
        "{}serial --unit=0 --speed=115200\nterminal_input console serial\nterminal_output console serial\nset timeout=3\n\
         menuentry \"Hull\" {{\n  loopback efi /{EFI_IMAGE}\n  linux (efi)/vmlinuz $hull_options\n  initrd (efi)/initrd\n}}\n",
        grub_boot_cfg(&live.command_line)?
    );
    fs::write(folder.join("boot/grub/grub.cfg"), menu)?;
    let early = work.join("early.cfg");
    fs::write(&early, EARLY)?;
    let mut make = source.tools.command("usr/bin/grub-mkimage");
    make.args(["--format=i386-pc-eltorito", "--compression=xz", "--prefix=/boot/grub", "--directory"]);
    make.arg(source.tools.file("usr/lib/grub/i386-pc")).arg("--config").arg(&early);
    run(make.arg("--output").arg(folder.join(CORE)).args(MODULES)).map(drop)
}

/// The one partition of the MBR is efi.img: firmware that starts a stick looks for it there. (What xorriso writes there is the
/// whole medium, which would overlap.)
fn name_partition(file: &File, size: u64) -> Result<()> {
    let number = |at: u64| {
        let mut bytes = [0; 4];
        file.read_exact_at(&mut bytes, at).map(|()| u64::from(u32::from_le_bytes(bytes)))
    };
    let catalogue = number(BOOT_RECORD * SECTOR + CATALOGUE)? * SECTOR;
    let start = number(catalogue + SECOND_ENTRY + 8)? * SECTOR;
    let [first, count] = [start, size].map(|bytes| u32::try_from(bytes / 512));
    let mut entries = [0; 64];
    // Active: some BIOSes start nothing else. Addresses by cylinder are out of use: the largest.
    entries[..8].copy_from_slice(&[0x80, 0xfe, 0xff, 0xff, MBR_TYPE_EFI, 0xfe, 0xff, 0xff]);
    entries[8..12].copy_from_slice(&first?.to_le_bytes());
    entries[12..16].copy_from_slice(&count?.to_le_bytes());
    Ok(file.write_all_at(&entries, MBR_ENTRIES)?)
}

/// Reads the medium back: two boot images, and efi.img where the MBR and the file system say.
fn check(medium: &Path, efi_image: &Path, work: &Path) -> Result<()> {
    let report = run(Command::new("xorriso").arg("-indev").arg(medium).args(["-report_el_torito", "plain"]))?;
    let report = String::from_utf8_lossy(&report).into_owned();
    for wanted in ["BIOS  y", "UEFI  y"] {
        ensure!(report.contains(wanted), "{}: no boot image for {wanted}:\n{report}", medium.display());
    }
    let copy = work.join("efi.img");
    let mut extract = Command::new("xorriso");
    extract.args(["-osirrox", "on", "-indev"]).arg(medium).args(["-extract", EFI_IMAGE]);
    run(extract.arg(&copy))?;
    let mut entry = [0; 4];
    let file = File::open(medium)?;
    file.read_exact_at(&mut entry, MBR_ENTRIES + 8)?;
    let mut start = [0; 512];
    file.read_exact_at(&mut start, u64::from(u32::from_le_bytes(entry)) * 512)?;
    let content = fs::read(efi_image)?;
    ensure!(fs::read(&copy)? == content, "{}: {EFI_IMAGE} is not what was put there", medium.display());
    ensure!(content.starts_with(&start), "{}: the partition is not {EFI_IMAGE}", medium.display());
    Ok(fs::remove_file(copy)?)
}
