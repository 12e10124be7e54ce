//! Two images that differ in the version of a few packages, and what an update from one to the other fetches.

use super::assemble;
use super::inputs::Inputs;
use crate::delta::Figures;
use crate::erofs::{self, Recipe};
use crate::layout::Layout;
use crate::options::Options;
use crate::packages::{PackageIndex, other};
use crate::progress::step;
use crate::root::plan::{Entry, RootPlan};
use crate::root::write;
use anyhow::{Context, Result};
use sha2::{Digest, Sha256};
use std::fs;
use std::path::{Path, PathBuf};

/// Source packages whose versions change: a large library that others share, and programs of which some use it.
const SOURCES: [&str; 2] = ["openssl", "openssh"];

/// Carries out the verb; the images are kept when it fails.
pub(super) fn check(layout: &Layout, options: &Options) -> Result<()> {
    let inputs = Inputs::gather(layout, options)?;
    let folder = layout.output("delta");
    fs::create_dir_all(&folder)?;
    let packages = step("other versions of packages", || {
        other::exchange(layout, &inputs.packages, &SOURCES, options.mirror.as_deref(), &folder.join("tree"))
    })?;
    let steps = versions(&packages.index, &inputs.packages.index);
    let (plan, image) = root(&inputs, assemble::plan(&inputs)?, &folder, "new")?;
    let others = inputs.with_packages(packages)?;
    let (other_plan, other_image) = root(&others, assemble::plan(&others)?, &folder, "old")?;
    let (_, changed) = root(&others, changed(&other_plan, &plan)?, &folder, "changed")?;
    let changed = fs::metadata(&changed)?.len();
    let figures = step("update", || Figures::measure(&other_image, &image, changed, &folder))?;
    eprintln!("==> {steps}: {}", figures.words());
    figures.check().with_context(|| format!("the images are kept in {}", folder.display()))?;
    fs::remove_dir_all(&folder).with_context(|| folder.display().to_string())
}

/// An erofs of `plan`, and the plan.
fn root(inputs: &Inputs, plan: RootPlan, folder: &Path, name: &str) -> Result<(RootPlan, PathBuf)> {
    let (root_folder, image) = (folder.join(name), folder.join(format!("{name}.erofs")));
    step(&format!("erofs of the {name} root"), || {
        write::write(&plan, &root_folder)?;
        let Inputs { time, effort, .. } = *inputs;
        let recipe = Recipe { plan: &plan, folder: &root_folder, time, effort, without: &[] };
        erofs::make(&inputs.tools, &recipe, &image)
    })?;
    Ok((plan, image))
}

/// `openssl 1 to 2, …`: a source package by the first of its packages.
fn versions(old: &PackageIndex, new: &PackageIndex) -> String {
    let version = |index: &PackageIndex, source: &str| {
        let package = index.packages.iter().find(|package| package.source == source);
        package.map_or_else(String::new, |package| package.version.clone())
    };
    SOURCES.map(|source| format!("{source} {} to {}", version(old, source), version(new, source))).join(", ")
}

/// The files of `new` that `old` has not with the same content at the same place.
fn changed(old: &RootPlan, new: &RootPlan) -> Result<RootPlan> {
    let mut plan = RootPlan::default();
    for (path, entry) in new.entries() {
        let Some(content) = content(entry)? else { continue };
        if old.get(path).map(self::content).transpose()?.flatten() != Some(content) {
            plan.put(path, entry.clone());
        }
    }
    Ok(plan)
}

/// Digest of a file's content.
fn content(entry: &Entry) -> Result<Option<[u8; 32]>> {
    match entry {
        Entry::File { origin, .. } => erofs::sha256(origin).map(Some),
        Entry::Bytes { content, .. } => Ok(Some(Sha256::digest(content).into())),
        Entry::Directory { .. } | Entry::Symlink { .. } => Ok(None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_count_as_changed_by_their_content() {
        let folder = tempfile::tempdir().unwrap();
        let file = |name: &str, text: &str| {
            let origin = folder.path().join(name);
            fs::write(&origin, text).unwrap();
            Entry::File { origin, mode: 0o644 }
        };
        let bytes = |text: &str| Entry::Bytes { content: text.into(), mode: 0o644 };
        let (mut old, mut new) = (RootPlan::skeleton(), RootPlan::skeleton());
        for (path, before, after) in [
            ("same", file("1", "x"), file("2", "x")),
            ("other", file("3", "x"), file("4", "y")),
            ("written", bytes("x"), bytes("x")),
            ("rewritten", bytes("x"), file("5", "z")),
            ("link", Entry::Symlink { target: "x".into() }, Entry::Symlink { target: "y".into() }),
        ] {
            old.put(path, before);
            new.put(path, after);
        }
        new.put("folder/added", bytes(""));
        let changed = changed(&old, &new).unwrap();
        let found: Vec<_> = changed.entries().map(|(path, _)| path).collect();
        assert_eq!(found, ["folder", "folder/added", "other", "rewritten"]);
    }
}
