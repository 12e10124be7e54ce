//! The verbs: which step follows which, and what one hands to the next.
//!
//! | module | what |
//! |---|---|
//! | [`inputs`] | everything the image is made of, from caches or freshly made |
//! | [`assemble`] | inputs to a raw image: the part that has to be reproducible |
//! | [`delta`] | the image of other packages, and what an update from it fetches |
//! | [`publish`] | the image as a release |

mod assemble;
mod delta;
mod inputs;
mod publish;

use crate::images::{self, Source};
use crate::layout::Layout;
use crate::manifest::{Carried, ENGINE, Manifest, Sizes};
use crate::options::{Options, USAGE, Verb};
use crate::progress::step;
use crate::tools::run as run_tool;
use crate::{confinement, erofs, kernel, manifest, services};
use anyhow::{Context, Result, bail};
use assemble::Assembled;
use inputs::Inputs;
use std::fs;
use std::path::Path;
use std::process::Command;

/// Name of the image files.
const NAME: &str = "hull-x86_64";
/// Where packages keep what goes to the ESP instead of the root file system.
const BOOT_PACKAGES: [&str; 2] = ["systemd-boot-efi", "grub-pc-bin"];

/// Carries out the command line.
pub(crate) fn run(options: &Options) -> Result<()> {
    if options.verb == Verb::Help {
        print!("{USAGE}");
        return Ok(());
    }
    let layout = Layout::new(options.output.clone())?;
    match options.verb {
        Verb::Image => image(&layout, options),
        Verb::Images => {
            let tools = inputs::tools(&layout, options)?;
            images::make(&Source::open(&layout.output(&format!("{NAME}.raw")), tools)?, &options.formats)
        }
        Verb::Release => publish::release(&layout, options),
        Verb::Packages => inputs::packages(&layout, options).map(drop),
        Verb::Kernel => inputs::kernel(&layout, options).map(drop),
        Verb::CheckConfig => check_config(&layout),
        Verb::ConfinementPage => confinement::write(&layout.repo, &services::load(&layout.services())?),
        Verb::CheckReproducible => check_reproducible(&layout, options),
        Verb::CheckDelta => delta::check(&layout, options),
        Verb::Help => Ok(()),
    }
}

fn image(layout: &Layout, options: &Options) -> Result<()> {
    let inputs = Inputs::gather(layout, options)?;
    let raw = layout.output(&format!("{NAME}.raw"));
    let assembled = assemble::assemble(&inputs, &layout.build, &raw)?;
    step("qcow2", || images::qcow2(&raw, &layout.output(&format!("{NAME}.qcow2"))))?;
    let manifest = step("sizes and package list", || manifest_of(&inputs, &assembled, layout, &raw))?;
    fs::write(layout.output("image.json"), serde_json::to_vec_pretty(&manifest)?)?;
    let sizes = serde_json::to_string(&manifest.sizes)?;
    eprintln!("==> {}: version {}, root hash {}, {sizes}", raw.display(), manifest.version, manifest.root_hash);
    Ok(())
}

fn manifest_of(inputs: &Inputs, assembled: &Assembled, layout: &Layout, raw: &Path) -> Result<Manifest> {
    let size = |path: &Path| fs::metadata(path).map(|meta| meta.len()).with_context(|| format!("{}", path.display()));
    let (time, effort) = (inputs.time, inputs.effort);
    let recipe =
        erofs::Recipe { plan: &assembled.plan, folder: &assembled.root_folder, time, effort, without: &ENGINE };
    let base_root = erofs::make(&inputs.tools, &recipe, &layout.output("base.erofs"))?;
    let scratch = layout.output("scratch.zst");
    let mut compress = inputs.tools.command("usr/bin/zstd");
    run_tool(compress.args(["--quiet", "--force", "-9", "--long=27", "-T0", "-o"]).args([&scratch, raw]))?;
    let image_zstd = size(&scratch)?;
    fs::remove_file(&scratch)?;

    let (kernel, initrd) = (size(&inputs.kernel.bzimage)?, size(&assembled.initrd)?);
    let root = assembled.verity.data_blocks * erofs::BLOCK;
    let sizes = Sizes {
        kernel,
        initrd,
        base_root,
        engine: root.saturating_sub(base_root),
        root,
        verity: size(&assembled.hash_tree)?,
        base: kernel + initrd + base_root,
        image_zstd,
    };
    Ok(Manifest {
        version: inputs.version.clone(),
        root_hash: assembled.verity.root_hash.clone(),
        kernel: inputs.kernel.release.clone(),
        time: inputs.time,
        sizes,
        packages: packages_of(inputs, assembled),
    })
}

/// Everything foreign that the image carries, by name.
fn packages_of(inputs: &Inputs, assembled: &Assembled) -> Vec<Carried> {
    let mut packages =
        manifest::carried(&assembled.plan, &inputs.packages.root, &inputs.packages.index, &BOOT_PACKAGES);
    packages.extend(inputs.kernel_source.clone());
    packages.sort();
    packages
}

fn check_config(layout: &Layout) -> Result<()> {
    let services = services::load(&layout.services())?;
    confinement::check(&layout.repo, &services)?;
    eprintln!("{} service definitions are sound and described as they are", services.len());
    let config = layout.output("kernel.config");
    kernel::check_built(&config, &layout.repo.join("kernel-config"))?;
    eprintln!("{} is what kernel-config/ asks for", config.display());
    Ok(())
}

fn check_reproducible(layout: &Layout, options: &Options) -> Result<()> {
    let first = layout.output(&format!("{NAME}.raw"));
    if !first.exists() {
        bail!("{} is not there: build the image first", first.display());
    }
    let inputs = Inputs::gather(layout, options)?;
    let folder = layout.output("again");
    fs::create_dir_all(&folder)?;
    let second = folder.join(format!("{NAME}.raw"));
    assemble::assemble(&inputs, &folder, &second)?;
    run_tool(Command::new("cmp").args([&first, &second]))
        .with_context(|| format!("two builds differ; both are kept: {} and {}", first.display(), second.display()))?;
    fs::remove_dir_all(&folder)?;
    eprintln!("==> two builds, the same bytes");
    Ok(())
}
