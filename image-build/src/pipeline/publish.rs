//! The image as a release.

use super::inputs::Inputs;
use super::{NAME, assemble, packages_of};
use crate::keys;
use crate::layout::Layout;
use crate::options::Options;
use crate::progress::step;
use crate::release::{Publication, publish};
use crate::sbom;
use anyhow::{Context, Result};
use hull_update::trust::{Release, SBOM};
use hull_update::verity::Geometry;
use std::fs;
use std::time::{SystemTime, UNIX_EPOCH};

/// Carries out the verb. The raw image is made too: what is published and what is installed anew are the same.
pub(super) fn release(layout: &Layout, options: &Options) -> Result<()> {
    let folder = options.keys.as_ref().context("release needs --keys: who signs it")?;
    let version = options.version.clone().context("release needs --version")?;
    let wanted = &options.release;
    let signed = SystemTime::now().duration_since(UNIX_EPOCH).context("the clock is before 1970")?.as_secs();
    let keys = keys::signing(folder)?;
    let out = wanted.folder.clone().unwrap_or_else(|| layout.output("release"));
    let notes = wanted.notes.as_ref().map(|file| fs::read_to_string(file).with_context(|| file.display().to_string()));
    let mut publication = Publication {
        folder: &out,
        channel: &wanted.channel,
        signed,
        expires: signed.saturating_add(wanted.expires_days.saturating_mul(86_400)),
        version,
        minimum_from: wanted.minimum_from.clone(),
        waves: wanted.waves.clone(),
        notes: notes.transpose()?.unwrap_or_default(),
        root: None,
        files: Vec::new(),
    };
    // Before minutes go into an image.
    publication.check()?;
    let inputs = Inputs::gather(layout, options)?;
    let assembled = assemble::assemble(&inputs, &layout.build, &layout.output(&format!("{NAME}.raw")))?;
    let sbom = layout.output(SBOM);
    let document =
        sbom::document(&inputs.version, &assembled.verity.root_hash, inputs.time, &packages_of(&inputs, &assembled));
    fs::write(&sbom, serde_json::to_vec_pretty(&document)?)?;
    let verity = &assembled.verity;
    let salt = hull_update::digest::unhex(&verity.salt).context("the salt is not hexadecimal")?;
    publication.root = Some(Geometry { data_blocks: verity.data_blocks, salt, root_hash: verity.root_hash.parse()? });
    publication.files = vec![
        ("root.erofs", assembled.root_image),
        ("root.verity", assembled.hash_tree),
        ("hull.efi", layout.output("hull.efi")),
        ("vmlinuz", inputs.kernel.bzimage),
        ("initrd", assembled.initrd),
        ("cmdline", layout.output("cmdline")),
        (SBOM, sbom),
    ];
    let Release { version, .. } = step("release", || publish(&publication, &keys))?;
    eprintln!("==> {}: release {version} in channel {}", out.display(), wanted.channel);
    Ok(())
}
