//! Which package and version a file comes from, read from the packages themselves (deb(5), `md5sums` and `conffiles`
//! of the control archive): an extracted tree has no dpkg database.

use crate::tools::run;
use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::Command;

/// The packages of one tree.
#[derive(Debug, Default, Deserialize, Serialize)]
pub(crate) struct PackageIndex {
    /// Seconds since 1970 of the newest packaged file: the image's one time stamp.
    pub(crate) newest: u64,
    /// Sorted by name.
    pub(crate) packages: Vec<Package>,
}

/// One binary package.
#[derive(Debug, Clone, Deserialize, Serialize)]
pub(crate) struct Package {
    /// Name.
    pub(crate) name: String,
    /// Full Debian version.
    pub(crate) version: String,
    /// Source package, for licences and security advisories.
    pub(crate) source: String,
    /// Regular files, relative to `/`, in merged-usr form.
    pub(crate) files: Vec<String>,
}

impl PackageIndex {
    /// The index of `packages`, unpacked in `root`.
    pub(crate) fn new(packages: Vec<Package>, root: &Path) -> Self {
        let files = packages.iter().flat_map(|package| &package.files);
        let time = |file| root.join(file).symlink_metadata().ok().and_then(|meta| u64::try_from(meta.mtime()).ok());
        let newest = files.filter_map(time).max().unwrap_or(0);
        Self { newest, packages }
    }

    /// File to position in `packages`.
    pub(crate) fn by_file(&self) -> BTreeMap<&str, usize> {
        let numbered = self.packages.iter().enumerate();
        numbered.flat_map(|(number, package)| package.files.iter().map(move |file| (file.as_str(), number))).collect()
    }
}

/// Indexes the packages in `debs`, unpacked in `root`.
pub(crate) fn read(debs: &Path, root: &Path) -> Result<PackageIndex> {
    let mut packages = Vec::new();
    for entry in fs::read_dir(debs).with_context(|| format!("{}", debs.display()))? {
        packages.push(read_one(&entry?.path())?);
    }
    packages.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(PackageIndex::new(packages, root))
}

fn read_one(deb: &Path) -> Result<Package> {
    let folder = tempfile::tempdir()?;
    run(Command::new("dpkg-deb").arg("--control").arg(deb).arg(folder.path()))?;
    let text = |name: &str| fs::read_to_string(folder.path().join(name));
    let control = text("control").with_context(|| format!("{}", deb.display()))?;
    let name = field(&control, "Package").with_context(|| format!("{}: no package name", deb.display()))?;
    let version = field(&control, "Version").with_context(|| format!("{}: no version", deb.display()))?;
    // "Source: name (version)"; missing where it equals the package.
    let source = field(&control, "Source").unwrap_or(name);
    Ok(Package {
        name: name.into(),
        version: version.into(),
        source: source.split(' ').next().unwrap_or(source).into(),
        files: files(&text("md5sums").unwrap_or_default(), &text("conffiles").unwrap_or_default()),
    })
}

fn field<'a>(control: &'a str, key: &str) -> Option<&'a str> {
    control.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(':').map(str::trim))
}

fn files(md5sums: &str, conffiles: &str) -> Vec<String> {
    let sums = md5sums.lines().filter_map(|line| line.split_once("  ").map(|(_, path)| path));
    let configuration = conffiles.lines().filter_map(|line| line.strip_prefix('/'));
    let mut files: Vec<String> = sums.chain(configuration).map(merged_usr).collect();
    files.sort();
    files.dedup();
    files
}

fn merged_usr(path: &str) -> String {
    let aliased = ["bin/", "sbin/", "lib/", "lib64/"].iter().any(|alias| path.starts_with(alias));
    if aliased { format!("usr/{path}") } else { path.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_fields() {
        let control = "Package: libc6\nSource: glibc (2.41)\nVersion: 2.41-12\nDescription: x\n Version: no\n";
        assert_eq!(field(control, "Package"), Some("libc6"));
        assert_eq!(field(control, "Version"), Some("2.41-12"));
        assert_eq!(field(control, "Depends"), None);
    }

    #[test]
    fn files_are_named_as_in_the_tree() {
        let sums = "00  lib/x/libc.so.6\n11  usr/bin/a b\n";
        assert_eq!(
            files(sums, "/etc/a.conf\nremove-on-upgrade /etc/b\n"),
            ["etc/a.conf", "usr/bin/a b", "usr/lib/x/libc.so.6"]
        );
    }
}
