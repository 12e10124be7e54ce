//! Downloads and unpacks a package set with mmdebstrap: no maintainer script runs, root is not needed.
//!
//! ```text
//! CACHE/debs/NAME/*.deb                 downloads, offered to the next fetch
//! CACHE/trees/NAME-KEY/root/            the unpacked packages
//! CACHE/trees/NAME-KEY/packages.json    written last: a tree without it is not used
//! ```
//! KEY is a hash of the suite and the package list, so a tree stays until the list changes or a refresh is asked for.

use super::index::{self, PackageIndex};
use crate::layout::Layout;
use crate::progress::step;
use crate::tools::run_visibly;
use anyhow::{Context, Result, bail};
use sha2::{Digest, Sha256};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Debian release the packages come from.
pub(super) const SUITE: &str = "trixie";
/// Changed whenever the tree's or the index's form changes.
const FORMAT: &str = "1";
/// Trees of one set that are kept, newest first: a few branches in turn without a new download.
const TREES_KEPT: usize = 3;

/// What is fetched.
#[derive(Debug, Clone)]
pub(crate) struct PackageSet<'a> {
    /// Name in the cache.
    pub(crate) name: &'a str,
    /// Package names.
    pub(crate) packages: Vec<String>,
    /// Mirror other than mmdebstrap's default, in its syntax.
    pub(crate) mirror: Option<String>,
    /// Ask the archive for newer versions even though there is a tree.
    pub(crate) refresh: bool,
}

/// A package set on disk.
#[derive(Debug)]
pub(crate) struct Unpacked {
    /// The tree.
    pub(crate) root: PathBuf,
    /// What is in it.
    pub(crate) index: PackageIndex,
}

impl PackageSet<'_> {
    fn key(&self) -> String {
        short_hash([FORMAT, SUITE].into_iter().chain(self.packages.iter().map(String::as_str)))
    }
}

/// Name in the cache for what is made of `words`: 16 hexadecimal digits.
pub(super) fn short_hash<'a>(words: impl Iterator<Item = &'a str>) -> String {
    let mut hash = Sha256::new();
    for word in words {
        hash.update(word);
        hash.update([0]);
    }
    let digest = hash.finalize();
    digest[..8].iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The unpacked set, from the cache where possible.
pub(crate) fn obtain(layout: &Layout, set: &PackageSet<'_>) -> Result<Unpacked> {
    let trees = layout.cache.join("trees");
    let place = trees.join(format!("{}-{}", set.name, set.key()));
    if set.refresh || !place.join("packages.json").exists() {
        step(&format!("fetch {} packages ({} named, Debian {SUITE})", set.name, set.packages.len()), || {
            fetch(layout, set, &place)
        })?;
        prune(&trees, set.name, &place)?;
    }
    let text = fs::read_to_string(place.join("packages.json")).context("package index")?;
    let index = serde_json::from_str(&text).with_context(|| format!("{}", place.join("packages.json").display()))?;
    Ok(Unpacked { root: place.join("root"), index })
}

fn fetch(layout: &Layout, set: &PackageSet<'_>, place: &Path) -> Result<()> {
    let debs = layout.cache.join("debs").join(set.name);
    fs::create_dir_all(&debs)?;
    let work = layout.cache.join(format!("fetch-{}", std::process::id()));
    let root = work.join("root");
    fs::create_dir_all(&root)?;

    let archive = work.join("tree.tar");
    run_visibly(&mut mmdebstrap(set, &debs, &archive, &work))?;
    // Ownership does not matter: the image makes root own everything.
    let unpack = ["--extract", "--no-same-owner", "--preserve-permissions", "--exclude=./dev/*"];
    run_visibly(Command::new("tar").args(unpack).arg("--file").arg(&archive).arg("--directory").arg(&root))?;
    fs::remove_file(&archive)?;

    let fetched = root.join(DEBS_IN_TREE);
    let index = index::read(&fetched, &root)?;
    for entry in fs::read_dir(&debs)? {
        fs::remove_file(entry?.path())?;
    }
    for entry in fs::read_dir(&fetched)? {
        let entry = entry?;
        fs::rename(entry.path(), debs.join(entry.file_name()))?;
    }
    fs::remove_dir(&fetched)?;
    fs::write(work.join("packages.json"), serde_json::to_vec(&index)?)?;

    if place.exists() {
        fs::remove_dir_all(place).with_context(|| format!("{}", place.display()))?;
    }
    fs::create_dir_all(place.parent().context("the cache has no parent")?)?;
    fs::rename(&work, place).with_context(|| format!("cannot put {} into the cache", place.display()))
}

/// Where the hook below leaves the set's own packages for [`index::read`].
const DEBS_IN_TREE: &str = ".debs";

fn mmdebstrap(set: &PackageSet<'_>, debs: &Path, archive: &Path, work: &Path) -> Command {
    let mut command = Command::new("mmdebstrap");
    command
        .args(["--variant=extract", "--architectures=amd64", "--format=tar", "--skip=output/dev"])
        .arg(format!("--include={}", set.packages.join(",")))
        .args(["--setup-hook=mkdir -p \"$1/var/cache/apt/archives\"".to_owned()])
        .arg(format!("--setup-hook=sync-in '{}' /var/cache/apt/archives", debs.display()))
        .arg(format!(
            "--extract-hook=mkdir \"$1/{DEBS_IN_TREE}\"; for deb in $MMDEBSTRAP_ESSENTIAL; do \
             mv \"$1/$deb\" \"$1/{DEBS_IN_TREE}/\"; done"
        ))
        .arg(SUITE)
        .arg(archive);
    command.args(&set.mirror);
    if is_root() {
        // /tmp may be a small tmpfs. Without root it stays: a user namespace cannot enter a private home.
        command.env("TMPDIR", work);
    }
    command
}

fn is_root() -> bool {
    use std::os::unix::fs::MetadataExt;
    fs::metadata("/proc/self").is_ok_and(|meta| meta.uid() == 0)
}

fn prune(trees: &Path, name: &str, current: &Path) -> Result<()> {
    let mut others = Vec::new();
    for entry in fs::read_dir(trees)? {
        let entry = entry?;
        let file_name = entry.file_name();
        let is_ours = file_name.to_str().is_some_and(|text| {
            text.strip_prefix(name).and_then(|rest| rest.strip_prefix('-')).is_some_and(|key| key.len() == 16)
        });
        if is_ours && entry.path() != current {
            others.push((entry.metadata()?.modified()?, entry.path()));
        }
    }
    others.sort();
    let surplus = others.len().saturating_sub(TREES_KEPT - 1);
    for (_, path) in &others[..surplus] {
        fs::remove_dir_all(path).with_context(|| format!("cannot remove the old tree {}", path.display()))?;
    }
    Ok(())
}

/// The one file of `set` whose path ends with `suffix`.
pub(crate) fn find_file(unpacked: &Unpacked, folder: &str, suffix: &str) -> Result<PathBuf> {
    let dir = unpacked.root.join(folder);
    for entry in fs::read_dir(&dir).with_context(|| format!("{}", dir.display()))? {
        let path = entry?.path();
        if path.to_string_lossy().ends_with(suffix) {
            return Ok(path);
        }
    }
    bail!("no file *{suffix} in {}", dir.display())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(packages: &[&str]) -> PackageSet<'static> {
        let packages = packages.iter().map(|name| (*name).to_owned()).collect();
        PackageSet { name: "os", packages, mirror: None, refresh: false }
    }

    #[test]
    fn the_key_depends_on_the_packages_only() {
        let mirrored = PackageSet { mirror: Some("file:///mirror".into()), ..set(&["a", "b"]) };
        assert_eq!(set(&["a", "b"]).key(), mirrored.key());
        for other in [&["a"][..], &["ab"], &["a", "b", "c"]] {
            assert_ne!(set(&["a", "b"]).key(), set(other).key(), "{other:?}");
        }
    }

    #[test]
    fn old_trees_of_the_same_set_are_removed() {
        let dir = tempfile::tempdir().unwrap();
        let names: Vec<String> = (0..5).map(|n| format!("os-{n:016x}")).collect();
        for (age, name) in names.iter().enumerate() {
            fs::create_dir(dir.path().join(name)).unwrap();
            let time = std::time::SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(age as u64 + 1);
            fs::File::open(dir.path().join(name)).unwrap().set_modified(time).unwrap();
        }
        fs::create_dir(dir.path().join("os-extra-0000000000000000")).unwrap();
        prune(dir.path(), "os", &dir.path().join(&names[0])).unwrap();
        let left = |name: &str| dir.path().join(name).exists();
        assert_eq!(names.iter().map(|name| left(name)).collect::<Vec<_>>(), [true, false, false, true, true]);
        assert!(left("os-extra-0000000000000000"));
    }
}
