//! Network boot: an archive of what a server hands out.
//!
//! ```text
//! vmlinuz, initrd   kernel, and an initrd with the root: iPXE, GRUB, PXELINUX
//! boot.ipxe         script that starts them
//! hull.efi          both as one program: UEFI's own PXE and HTTP boot
//! ```

use super::live::Live;
use super::{Source, archive};
use crate::boot::uki;
use crate::tools::run;
use anyhow::{Result, ensure};
use std::fs;
use std::path::Path;

const MEMBERS: [&str; 4] = ["boot.ipxe", "hull.efi", "initrd", "vmlinuz"];

/// Makes and checks the archive.
pub(super) fn make(source: &Source, live: &Live, target: &Path, work: &Path) -> Result<()> {
    let folder = tempfile::tempdir_in(work)?;
    let file = |name: &str| folder.path().join(name);
    let uki = uki::make(&uki::Parts {
        stub: &source.tools.file("usr/lib/systemd/boot/efi/linuxx64.efi.stub"),
        kernel: &live.kernel,
        initrd: &live.initrd,
        command_line: &live.command_line,
        os_release: &live.os_release,
        release: &live.release,
    })?;
    fs::write(file("hull.efi"), uki)?;
    fs::write(file("boot.ipxe"), script(&live.command_line))?;
    fs::hard_link(&live.kernel, file("vmlinuz"))?;
    fs::hard_link(&live.initrd, file("initrd"))?;
    let mut pack = archive::tar(source.facts.time);
    pack.args(["--format=ustar", "--create", "--file"]).arg(target);
    run(pack.arg("--directory").arg(folder.path()).args(MEMBERS))?;
    ensure!(archive::members(target)? == MEMBERS, "{}: other files in it", target.display());
    Ok(())
}

/// File names are relative to the script's own address. `initrd=` is for UEFI, where the kernel asks for it by name.
fn script(command_line: &str) -> String {
    format!("#!ipxe\nkernel vmlinuz initrd=initrd {command_line}\ninitrd initrd\nboot\n")
}
