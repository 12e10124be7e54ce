//! A package tree with some packages in another version that the archive holds as well: what a host had before a security
//! update, or will have after the next one.
//!
//! ```text
//! CACHE/other/KEY/*.deb     KEY is a hash of the packages and the versions not wanted; kept: archives drop old versions
//! ```

use super::fetch::{SUITE, Unpacked, short_hash};
use super::index::{self, Package, PackageIndex};
use crate::layout::Layout;
use crate::tools::{run, run_visibly};
use anyhow::{Context, Result, ensure};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Where the hook leaves the downloads in mmdebstrap's tree.
const DEBS_IN_TREE: &str = "debs";

/// Copies `unpacked` into `folder`, which is emptied first, with another version of every package made from `sources`.
pub(crate) fn exchange(
    layout: &Layout,
    unpacked: &Unpacked,
    sources: &[&str],
    mirror: Option<&str>,
    folder: &Path,
) -> Result<Unpacked> {
    let is_ours = |package: &&Package| sources.contains(&package.source.as_str());
    let (ours, mut packages): (Vec<_>, Vec<_>) =
        unpacked.index.packages.iter().cloned().partition(|package| is_ours(&package));
    let debs = obtain(layout, &ours, mirror)?;
    if folder.exists() {
        fs::remove_dir_all(folder).with_context(|| format!("cannot empty {}", folder.display()))?;
    }
    run(Command::new("cp").args(["--archive", "--reflink=auto"]).args([&unpacked.root, folder]))?;
    // What only this version has goes with it.
    for file in ours.iter().flat_map(|package| &package.files) {
        let path = folder.join(file);
        fs::remove_file(&path).with_context(|| path.display().to_string())?;
    }
    for deb in fs::read_dir(&debs)? {
        run(Command::new("dpkg-deb").arg("--extract").arg(deb?.path()).arg(folder))?;
    }
    packages.extend(index::read(&debs, folder)?.packages);
    packages.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(Unpacked { root: folder.to_owned(), index: PackageIndex::new(packages, folder) })
}

/// Folder with another version of each of `packages`, as files of dpkg-deb.
fn obtain(layout: &Layout, packages: &[Package], mirror: Option<&str>) -> Result<PathBuf> {
    let words = packages.iter().flat_map(|package| [package.name.as_str(), package.version.as_str()]);
    let place = layout.cache.join("other").join(short_hash([SUITE].into_iter().chain(words)));
    if place.exists() {
        return Ok(place);
    }
    let work = tempfile::tempdir_in(&layout.cache)?;
    let archive = work.path().join("tree.tar");
    run_visibly(&mut mmdebstrap(packages, mirror, &archive))?;
    let tar = ["--extract", "--no-same-owner"];
    run(Command::new("tar").args(tar).arg("--file").arg(&archive).arg("--directory").arg(work.path()))?;
    let debs = work.path().join(DEBS_IN_TREE);
    let found = index::read(&debs, work.path())?.packages;
    let missing = packages.iter().filter(|package| !found.iter().any(|other| other.name == package.name));
    let missing: Vec<String> = missing.map(|package| format!("{} {}", package.name, package.version)).collect();
    ensure!(
        missing.is_empty(),
        "the archive holds no other version of: {}. Name one that does by --mirror, such as \"deb [check-valid-until=no] \
         http://<archive of snapshots>/<date> {SUITE} main\"",
        missing.join(", ")
    );
    fs::create_dir_all(layout.cache.join("other"))?;
    fs::rename(&debs, &place).with_context(|| format!("cannot put {} into the cache", place.display()))?;
    Ok(place)
}

/// An empty system whose apt knows the archive, and downloads.
fn mmdebstrap(packages: &[Package], mirror: Option<&str>, archive: &Path) -> Command {
    let mut command = Command::new("mmdebstrap");
    command.args(["--variant=custom", "--architectures=amd64", "--format=tar", "--skip=output/dev"]);
    command.arg(format!("--extract-hook={}", hook(packages))).arg(SUITE).arg(archive).args(mirror);
    command
}

/// apt lists versions newest first: the first that is not the one there is.
fn hook(packages: &[Package]) -> String {
    let pairs: Vec<String> = packages.iter().map(|package| format!("'{}={}'", package.name, package.version)).collect();
    format!(
        "export APT_CONFIG=\"$MMDEBSTRAP_APT_CONFIG\"; mkdir \"$1/{DEBS_IN_TREE}\"; cd \"$1/{DEBS_IN_TREE}\"; \
         for pair in {}; do name=${{pair%%=*}}; \
         other=$(apt-cache madison \"$name\" | awk -v ours=\"${{pair#*=}}\" '$3 != ours {{ print $3; exit }}'); \
         if [ -n \"$other\" ]; then apt-get -o APT::Sandbox::User=root download \"$name=$other\"; fi; done",
        pairs.join(" ")
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    /// The shell's part, with a program in apt's place that knows `a` in three versions and `b` in one.
    #[test]
    fn the_newest_other_version_is_taken() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        for (name, text) in [
            (
                "apt-cache",
                "case $2 in a) echo 'a | 3 | x'; echo 'a | 2 | x'; echo 'a | 1 | x';; b) echo 'b | 2 | x';; esac",
            ),
            ("apt-get", "for last; do :; done; : >\"$last\""),
        ] {
            fs::write(at(name), format!("#!/bin/sh\n{text}\n")).unwrap();
            fs::set_permissions(at(name), fs::Permissions::from_mode(0o755)).unwrap();
        }
        for (version, other) in [("3", "a=2"), ("2", "a=3"), ("1", "a=3")] {
            let root = at(version);
            fs::create_dir(&root).unwrap();
            let package = |name: &str, version: &str| Package {
                name: name.into(),
                version: version.into(),
                source: name.into(),
                files: vec![],
            };
            let path = format!("{}:{}", folder.path().display(), std::env::var("PATH").unwrap());
            let script = hook(&[package("a", version), package("b", "2")]);
            run(Command::new("sh").args(["-c", &script, "hook"]).arg(&root).env("PATH", path)).unwrap();
            let found = fs::read_dir(root.join(DEBS_IN_TREE)).unwrap().map(|entry| entry.unwrap().file_name());
            assert_eq!(found.collect::<Vec<_>>(), [other]);
        }
    }
}
