//! The packages of the image and of the builder.

use hull_service::Image;
use std::collections::BTreeSet;

/// Packages whose programs and data make the image; nothing of them gets into it unless a recipe asks.
const BUILDER: [(&str, &str); 6] = [
    ("erofs-utils", "mkfs.erofs with zstd"),
    ("cryptsetup-bin", "veritysetup"),
    ("systemd-boot-efi", "UEFI boot loader and kernel stub"),
    ("grub-pc-bin", "BIOS boot loader's modules"),
    ("grub-common", "grub-mkimage"),
    ("zstd", "initrd"),
];

/// The kernel's source; a tree of its own because it changes on another schedule and is only unpacked on a rebuild.
pub(crate) const KERNEL_SOURCE: &str = "linux-source-6.12";

/// Everything the recipes and the builder need, sorted, each once.
pub(crate) fn union<'a>(recipes: impl IntoIterator<Item = &'a Image>) -> Vec<String> {
    let mut packages: BTreeSet<String> = BUILDER.iter().map(|(name, _)| (*name).to_owned()).collect();
    for recipe in recipes {
        packages.extend(recipe.packages.iter().cloned());
    }
    packages.into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn union_is_sorted_and_without_repetition() {
        let image =
            |names: &[&str]| Image { packages: names.iter().map(|n| (*n).to_owned()).collect(), ..Image::default() };
        let list = union([&image(&["zstd", "chrony"]), &image(&["acpid", "chrony"])]);
        let mut sorted = list.clone();
        sorted.sort();
        sorted.dedup();
        assert_eq!(list, sorted);
        assert!(["acpid", "chrony", "erofs-utils"].iter().all(|name| list.contains(&(*name).to_owned())));
    }
}
