//! Inputs to a raw image. Same inputs, same bytes, in whatever folder.

use super::inputs::Inputs;
use crate::boot::{cmdline, grub, initrd, uki};
use crate::disk::partitions::{Disk, SECTOR};
use crate::disk::write::{self, Content};
use crate::erofs::{self, Recipe, Verity};
use crate::progress::step;
use crate::root::plan::RootPlan;
use crate::root::recipe::Sources;
use crate::root::{elf, image};
use anyhow::{Context, Result, anyhow};
use hull_update::loader::{
    Environment, FIRST_GENERATION, LOADER_CONF, STARTUP_NSH, entry_name, entry_text, environment_block, grub_boot_cfg,
    grub_configuration,
};
use hull_update::slot::Slot;
use std::fs;
use std::path::{Path, PathBuf};

/// What was made on the way.
#[derive(Debug)]
pub(crate) struct Assembled {
    /// The root as a plan.
    pub(crate) plan: RootPlan,
    /// The root as a folder.
    pub(crate) root_folder: PathBuf,
    /// The root as erofs.
    pub(crate) root_image: PathBuf,
    /// Verity superblock and hash tree.
    pub(crate) hash_tree: PathBuf,
    /// Parameters of the hash tree.
    pub(crate) verity: Verity,
    /// Compressed initrd.
    pub(crate) initrd: PathBuf,
}

/// Makes the image `raw`, with intermediate results in `folder`.
pub(crate) fn assemble(inputs: &Inputs, folder: &Path, raw: &Path) -> Result<Assembled> {
    let plan = step("root file system: plan", || plan(inputs))?;
    let root_folder = folder.join("root");
    step("root file system: files", || crate::root::write::write(&plan, &root_folder))?;
    let root_image = folder.join("root.erofs");
    step("erofs", || {
        let recipe =
            Recipe { plan: &plan, folder: &root_folder, time: inputs.time, effort: inputs.effort, without: &[] };
        erofs::make(&inputs.tools, &recipe, &root_image)
    })?;
    let hash_tree = folder.join("root.verity");
    let verity = step("hash tree", || erofs::make_verity(&inputs.tools, &root_image, &hash_tree))?;
    let initrd = folder.join("initrd");
    step("initrd", || initrd::make(&inputs.tools, &inputs.binaries["init"], &initrd))?;
    step("disk", || disk(inputs, folder, &verity, &initrd, [&root_image, &hash_tree], raw))?;
    Ok(Assembled { plan, root_folder, root_image, hash_tree, verity, initrd })
}

/// The root file system as its recipes and packages make it.
pub(super) fn plan(inputs: &Inputs) -> Result<RootPlan> {
    let sources = Sources { tree: &inputs.tree, needs: &elf::read, binaries: &inputs.binaries };
    image::assemble(&inputs.host, &inputs.services, &sources).map_err(|faults| {
        let lines: Vec<String> = faults.iter().map(ToString::to_string).collect();
        anyhow!("the recipes do not fit:\n{}", lines.join("\n"))
    })
}

fn disk(inputs: &Inputs, folder: &Path, verity: &Verity, initrd: &Path, root: [&Path; 2], raw: &Path) -> Result<()> {
    let disk = Disk::new(&verity.root_hash);
    let command_line = cmdline::command_line(verity, &inputs.version);
    let stub = inputs.tools.file("usr/lib/systemd/boot/efi/linuxx64.efi.stub");
    let uki = uki::make(&uki::Parts {
        stub: &stub,
        kernel: &inputs.kernel.bzimage,
        initrd,
        command_line: &command_line,
        os_release: &inputs.host.os_release,
        release: &inputs.kernel.release,
    })?;
    // What a release has of it.
    fs::write(folder.join("hull.efi"), &uki)?;
    fs::write(folder.join("cmdline"), &command_line)?;
    let (boot_code, core) = grub::make(&inputs.tools, disk.bios.start / SECTOR, folder)?;
    let read = |path: &Path| fs::read(path).with_context(|| format!("{}", path.display()));
    let entry = format!("loader/entries/{}", entry_name(Slot::A));
    let esp = [
        ("EFI/BOOT/BOOTX64.EFI", read(&inputs.tools.file("usr/lib/systemd/boot/efi/systemd-bootx64.efi"))?),
        ("grub/grub.cfg", grub_configuration().into_bytes()),
        ("grub/grubenv", environment_block(Environment { trial: None, left: 0, good: Slot::A })),
        ("hull/a/boot.cfg", grub_boot_cfg(&command_line)?.into_bytes()),
        ("hull/a/hull.efi", uki),
        ("hull/a/initrd", read(initrd)?),
        ("hull/a/vmlinuz", read(&inputs.kernel.bzimage)?),
        (&*entry, entry_text(&inputs.version, FIRST_GENERATION, Slot::A)?.into_bytes()),
        ("loader/loader.conf", LOADER_CONF.as_bytes().to_vec()),
        ("startup.nsh", STARTUP_NSH.as_bytes().to_vec()),
    ];
    let content = Content { boot_code: &boot_code, core: &core, esp: &esp, root, time: inputs.time };
    write::write(&disk, &content, raw)
}
