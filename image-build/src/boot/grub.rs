//! GRUB for BIOS without grub-install: core image for the BIOS boot partition, boot sector that loads it. Its configuration
//! is `hull_update::loader`'s, for updates work by it.

use crate::tools::{Tools, run};
use anyhow::{Context, Result, ensure};
use hull_update::loader::GRUB_MODULES;
use std::fs;
use std::path::Path;

const SECTOR: usize = 512;
/// Where the ESP is, seen from the disk the BIOS booted.
const PREFIX: &str = "(,gpt2)/grub";
/// Disk and file system, beside what `grub.cfg` uses; no module is loaded from disk.
const MODULES: [&str; 4] = ["biosdisk", "part_gpt", "fat", "search"];
/// Offset in `boot.img` of the 64-bit sector number of the core image.
const BOOT_CORE_SECTOR: usize = 0x5c;
/// Offset in `boot.img` of the jump around the drive number's correction; two NOPs let buggy firmware be corrected.
const BOOT_DRIVE_CHECK: usize = 0x66;
const NOPS: [u8; 2] = [0x90, 0x90];
/// Bytes of the boot sector that are code; disk signature and partition table follow.
pub(crate) const BOOT_CODE: usize = 440;
/// Offsets in the first sector of the core image: sector number and count of what it loads.
const CORE_REST_SECTOR: usize = 0x1f4;
const CORE_REST_COUNT: usize = 0x1fc;

/// Boot code and core image for a core that starts at sector `core_sector` of the disk.
pub(crate) fn make(tools: &Tools, core_sector: u64, work: &Path) -> Result<(Vec<u8>, Vec<u8>)> {
    let modules = tools.file("usr/lib/grub/i386-pc");
    let output = work.join("core.img");
    let mut command = tools.command("usr/bin/grub-mkimage");
    command.args(["--format=i386-pc", "--compression=xz"]).arg("--directory").arg(&modules);
    run(command.arg("--prefix").arg(PREFIX).arg("--output").arg(&output).args(MODULES).args(GRUB_MODULES))?;
    let read = |path: &Path| fs::read(path).with_context(|| format!("{}", path.display()));
    let parts = embed(read(&modules.join("boot.img"))?, read(&output)?, core_sector)?;
    fs::remove_file(&output)?;
    Ok(parts)
}

/// Puts the disk addresses into both.
fn embed(mut boot: Vec<u8>, mut core: Vec<u8>, core_sector: u64) -> Result<(Vec<u8>, Vec<u8>)> {
    ensure!(boot.len() == SECTOR && core.len() > SECTOR, "boot.img or core.img has an unexpected size");
    core.resize(core.len().next_multiple_of(SECTOR), 0);
    boot[BOOT_CORE_SECTOR..BOOT_CORE_SECTOR + 8].copy_from_slice(&core_sector.to_le_bytes());
    boot[BOOT_DRIVE_CHECK..BOOT_DRIVE_CHECK + 2].copy_from_slice(&NOPS);
    boot.truncate(BOOT_CODE);
    let rest =
        u16::try_from(core.len() / SECTOR - 1).context("the core image is too large for one block list entry")?;
    core[CORE_REST_SECTOR..CORE_REST_SECTOR + 8].copy_from_slice(&(core_sector + 1).to_le_bytes());
    core[CORE_REST_COUNT..CORE_REST_COUNT + 2].copy_from_slice(&rest.to_le_bytes());
    Ok((boot, core))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_embedded() {
        let (boot, core) = embed(vec![1; SECTOR], vec![2; 3 * SECTOR + 1], 2048).unwrap();
        assert_eq!(boot.len(), BOOT_CODE);
        assert_eq!(boot[0x5c..0x64], 2048u64.to_le_bytes());
        assert_eq!(boot[0x66..0x68], NOPS);
        assert_eq!(core.len(), 4 * SECTOR);
        assert_eq!(core[0x1f4..0x1fc], 2049u64.to_le_bytes());
        assert_eq!(core[0x1fc..0x1fe], 3u16.to_le_bytes());
        assert!(embed(vec![0; 100], vec![0; 1024], 2048).is_err());
    }
}
