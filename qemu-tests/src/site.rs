//! The image under test and the folder beside it where VMs live.

use crate::accel;
use crate::guest::Site;
use crate::seed::run;
use anyhow::{Context, Result};
use std::path::Path;
use std::process::Command;

/// Looks for the image, makes `<build>/<folder>` with an ssh key in it, and asks which accelerator works.
pub fn open(image: &Path, folder: &str) -> Result<Site> {
    let build =
        image.parent().context("the image has no folder")?.canonicalize().context("build folder; try make image")?;
    let work = build.join(folder);
    std::fs::create_dir_all(&work)?;
    let key = work.join("id_ed25519");
    if !key.exists() {
        run(Command::new("ssh-keygen").args(["-q", "-t", "ed25519", "-N", "", "-C", folder, "-f"]).arg(&key))?;
    }
    let accel = accel::probe(&build.join("vmlinuz"));
    println!("accelerator: {accel:?}");
    Ok(Site { image: image.into(), work, key, accel })
}
