//! Everything the image is made of: packages, kernel, binaries, definitions.

use crate::binaries;
use crate::erofs::Effort;
use crate::kernel::{self, Kernel};
use crate::keys;
use crate::layout::Layout;
use crate::manifest::Carried;
use crate::options::Options;
use crate::packages::{self, PackageSet, Tree, Unpacked, fetch, list};
use crate::progress::step;
use crate::root::image::Host;
use crate::root::plan::{Entry, FILE_MODE};
use crate::services::{self, Definition};
use crate::tools::Tools;
use anyhow::{Context, Result};
use hull_service::Image;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::PathBuf;

/// Hull's version where none is given: the workspace's.
const VERSION: &str = env!("CARGO_PKG_VERSION");
/// Where the image keeps whom it trusts for updates.
const ANCHOR: &str = "usr/share/hull/update/root.json";
/// Built in any case: `init` is also the initrd's, `service-init` is added to services by need.
const ALWAYS_BUILT: [&str; 2] = ["init", "service-init"];

/// Inputs of one image.
#[derive(Debug)]
pub(crate) struct Inputs {
    /// The image's version.
    pub(crate) version: String,
    /// Package tree and index.
    pub(crate) packages: Unpacked,
    /// The tree's paths.
    pub(crate) tree: Tree,
    /// Programs of the tree.
    pub(crate) tools: Tools,
    /// The kernel.
    pub(crate) kernel: Kernel,
    /// The package the kernel comes from.
    pub(crate) kernel_source: Option<Carried>,
    /// Our own programs by name.
    pub(crate) binaries: BTreeMap<String, PathBuf>,
    /// The host's part of the root.
    pub(crate) host: Host,
    /// The services.
    pub(crate) services: Vec<Definition>,
    /// Stamp of every file, seconds since 1970: `SOURCE_DATE_EPOCH`, else that of the newest packaged file.
    pub(crate) time: u64,
    /// Time spent on compression.
    pub(crate) effort: Effort,
}

impl Inputs {
    /// Cheap checks first, then downloads, then compilers.
    pub(crate) fn gather(layout: &Layout, options: &Options) -> Result<Self> {
        let (mut host, services) = definitions(layout)?;
        let version = options.version.as_ref().map_or(VERSION, |version| version.as_str()).to_owned();
        host.os_release = os_release(&version);
        if let Some(keys) = &options.keys {
            host.overlay.push((ANCHOR.into(), Entry::Bytes { content: keys::anchor(keys)?, mode: FILE_MODE }));
        }
        let packages = fetch_packages(layout, options, &host, &services)?;
        let (kernel, kernel_source) = kernel(layout, options)?;
        let mut wanted: BTreeSet<String> = ALWAYS_BUILT.map(str::to_owned).into();
        for image in recipes(&host, &services) {
            wanted.extend(image.binaries.iter().cloned());
        }
        let binaries = step("our own binaries", || binaries::build(layout, &wanted))?;
        let time = stamp(&packages)?;
        let tree = Tree::scan(&packages.root)?;
        let effort = if options.quick { Effort::Quick } else { Effort::Full };
        let tools = Tools::new(&packages.root);
        Ok(Self { version, packages, tree, tools, kernel, kernel_source, binaries, host, services, time, effort })
    }

    /// The same of other packages; the programs that make the image stay.
    pub(super) fn with_packages(self, packages: Unpacked) -> Result<Self> {
        Ok(Self { tree: Tree::scan(&packages.root)?, time: stamp(&packages)?, packages, ..self })
    }
}

/// Stamp of every file of an image of `packages`.
fn stamp(packages: &Unpacked) -> Result<u64> {
    match std::env::var("SOURCE_DATE_EPOCH") {
        Ok(text) => text.parse().with_context(|| format!("SOURCE_DATE_EPOCH={text}")),
        Err(_) => Ok(packages.index.newest),
    }
}

/// Fetches the packages of all recipes.
pub(super) fn packages(layout: &Layout, options: &Options) -> Result<()> {
    let (host, services) = definitions(layout)?;
    fetch_packages(layout, options, &host, &services)?;
    fetch_kernel_source(layout, options).map(drop)
}

/// Programs of the package tree, which is fetched where it is not there.
pub(super) fn tools(layout: &Layout, options: &Options) -> Result<Tools> {
    let (host, services) = definitions(layout)?;
    Ok(Tools::new(&fetch_packages(layout, options, &host, &services)?.root))
}

/// Builds the kernel or takes it from the cache; its image and configuration also go to the output folder.
pub(super) fn kernel(layout: &Layout, options: &Options) -> Result<(Kernel, Option<Carried>)> {
    let source = fetch_kernel_source(layout, options)?;
    let tarball = fetch::find_file(&source, "usr/src", ".tar.xz")?;
    let kernel = step("kernel", || {
        let config_dir = layout.repo.join("kernel-config");
        kernel::build(&tarball, &config_dir, &layout.cache, &mut |line| eprintln!("    {line}"))
    })?;
    fs::copy(&kernel.bzimage, layout.output("vmlinuz")).context("vmlinuz")?;
    fs::copy(&kernel.config, layout.output("kernel.config")).context("kernel.config")?;
    let package = source.index.packages.iter().find(|package| package.name == list::KERNEL_SOURCE);
    let carried = package.map(|package| Carried {
        name: package.name.clone(),
        version: package.version.clone(),
        source: package.source.clone(),
    });
    Ok((kernel, carried))
}

fn definitions(layout: &Layout) -> Result<(Host, Vec<Definition>)> {
    let recipe = layout.host().join("recipe.toml");
    let text = fs::read_to_string(&recipe).with_context(|| format!("{}", recipe.display()))?;
    let image: Image = toml::from_str(&text).with_context(|| format!("{}", recipe.display()))?;
    let overlay = services::overlay(&layout.host().join("rootfs"))?;
    let host = Host { image, overlay, os_release: os_release(VERSION) };
    Ok((host, services::load(&layout.services())?))
}

/// os-release(5).
fn os_release(version: &str) -> String {
    format!(
        "NAME=\"Hull\"\nID=hull\nVERSION=\"{version}\"\nVERSION_ID={version}\nPRETTY_NAME=\"Hull {version}\"\n\
         ARCHITECTURE=x86-64\n"
    )
}

fn recipes<'a>(host: &'a Host, services: &'a [Definition]) -> impl Iterator<Item = &'a Image> {
    std::iter::once(&host.image).chain(services.iter().map(|definition| &definition.service.image))
}

fn fetch_packages(layout: &Layout, options: &Options, host: &Host, services: &[Definition]) -> Result<Unpacked> {
    let packages = list::union(recipes(host, services));
    let set = PackageSet { name: "os", packages, mirror: options.mirror.clone(), refresh: options.refresh };
    packages::obtain(layout, &set)
}

fn fetch_kernel_source(layout: &Layout, options: &Options) -> Result<Unpacked> {
    let packages = vec![list::KERNEL_SOURCE.to_owned()];
    let set = PackageSet { name: "kernel", packages, mirror: options.mirror.clone(), refresh: options.refresh };
    packages::obtain(layout, &set)
}
