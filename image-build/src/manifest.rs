//! `image.json`: what the image is, how large its parts are, which packages it carries.

use crate::packages::PackageIndex;
use crate::root::plan::{Entry, RootPlan};
use serde::Serialize;
use std::collections::BTreeSet;
use std::path::Path;

/// The whole file.
#[derive(Debug, Serialize)]
pub(crate) struct Manifest {
    /// Hull's version.
    pub(crate) version: String,
    /// Verity root hash.
    pub(crate) root_hash: String,
    /// Kernel release.
    pub(crate) kernel: String,
    /// Seconds since 1970 that stamp every file.
    pub(crate) time: u64,
    /// Sizes.
    pub(crate) sizes: Sizes,
    /// Packages of which at least one file is in the image, and the kernel's source.
    pub(crate) packages: Vec<Carried>,
}

/// Bytes, as they lie on the disk: compressed.
#[derive(Debug, Serialize)]
pub(crate) struct Sizes {
    /// bzImage.
    pub(crate) kernel: u64,
    /// initrd.
    pub(crate) initrd: u64,
    /// An erofs of everything but the engine: [`ENGINE`] names what is left out.
    pub(crate) base_root: u64,
    /// What the engine adds to that erofs. Libraries it shares with other services count as base.
    pub(crate) engine: u64,
    /// The erofs of both.
    pub(crate) root: u64,
    /// Verity superblock and hash tree.
    pub(crate) verity: u64,
    /// kernel + initrd + base root: what the budget of the base system counts.
    pub(crate) base: u64,
    /// The whole raw image through `zstd -9 --long=27`: the window spans the kernel's two copies on the ESP.
    pub(crate) image_zstd: u64,
}

/// Paths of the user engine, as regular expressions over paths in the root: its service, its client and the client's
/// plugins.
pub(crate) const ENGINE: [&str; 3] = ["^/?services/docker(/|$)", "/usr/bin/docker$", "/usr/(lib|libexec)/docker(/|$)"];

/// A package in the image.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub(crate) struct Carried {
    /// Binary package.
    pub(crate) name: String,
    /// Version.
    pub(crate) version: String,
    /// Source package.
    pub(crate) source: String,
}

/// Packages of `tree` that a file of the plan comes from, and those in `others`, by name.
pub(crate) fn carried(plan: &RootPlan, tree: &Path, index: &PackageIndex, others: &[&str]) -> Vec<Carried> {
    let by_file = index.by_file();
    let mut numbers = BTreeSet::new();
    for (_, entry) in plan.entries() {
        let Entry::File { origin, .. } = entry else { continue };
        let path = origin.strip_prefix(tree).ok().and_then(Path::to_str);
        numbers.extend(path.and_then(|path| by_file.get(path)));
    }
    let named = |name: &&&str| index.packages.iter().position(|package| package.name == **name);
    numbers.extend(others.iter().filter_map(|name| named(&name)));
    let carried = numbers.into_iter().map(|number| &index.packages[number]);
    carried
        .map(|package| Carried {
            name: package.name.clone(),
            version: package.version.clone(),
            source: package.source.clone(),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::packages::index::Package;

    #[test]
    fn only_packages_with_a_file_in_the_image_count() {
        let package = |name: &str, file: &str| Package {
            name: name.into(),
            version: "1".into(),
            source: "s".into(),
            files: vec![file.into()],
        };
        let packages = vec![package("a", "usr/bin/a"), package("b", "usr/bin/b"), package("grub", "x")];
        let index = PackageIndex { newest: 0, packages };
        let mut plan = RootPlan::skeleton();
        plan.put("services/x/usr/bin/a", Entry::File { origin: "/tree/usr/bin/a".into(), mode: 0o755 });
        plan.put("usr/bin/b", Entry::File { origin: "/target/b".into(), mode: 0o755 });
        let names: Vec<_> =
            carried(&plan, Path::new("/tree"), &index, &["grub"]).into_iter().map(|carried| carried.name).collect();
        assert_eq!(names, ["a", "grub"]);
    }
}
