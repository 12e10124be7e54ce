//! Path resolution (path_resolution(7)) over anything that knows what a path is, without touching a disk.
//!
//! Paths are relative to the root, without leading slash; absolute link targets start at the same root.

/// What a path names, as far as resolution cares.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind<'a> {
    /// Anything that ends a resolution.
    File,
    /// A directory.
    Directory,
    /// A symbolic link with its target.
    Symlink(&'a str),
}

/// A set of names to resolve in.
pub(crate) trait Names {
    /// What `path` is; its folders are taken literally.
    fn kind(&self, path: &str) -> Option<Kind<'_>>;
}

/// Links followed before a path counts as a loop; the kernel's own limit.
const MAX_LINKS: usize = 40;

/// The links `path` goes through in its last component and then what they end at, each by its real folder.
///
/// `None` where something on the way is missing; the end itself must exist.
pub(crate) fn chain(names: &impl Names, path: &str) -> Option<Vec<String>> {
    let mut links = Vec::new();
    let mut current = path.trim_start_matches('/').to_owned();
    loop {
        if links.len() > MAX_LINKS {
            return None;
        }
        let place = real_folder(names, &current, MAX_LINKS)?;
        let kind = if place.is_empty() { Kind::Directory } else { names.kind(&place)? };
        links.push(place.clone());
        let Kind::Symlink(target) = kind else { return Some(links) };
        current = join(parent(&place), target);
    }
}

/// `path` with the links in its folders followed, its last component as it is; the last component may be missing.
pub(crate) fn real_folder(names: &impl Names, path: &str, budget: usize) -> Option<String> {
    let mut real = String::new();
    let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty() && *part != ".").collect();
    for (index, part) in parts.iter().enumerate() {
        if *part == ".." {
            real = parent(&real).to_owned();
            continue;
        }
        let place = join(&real, part);
        let is_last = index + 1 == parts.len();
        real = match names.kind(&place) {
            Some(Kind::Symlink(target)) if !is_last => {
                let target = join(&real, target);
                let folder = real_folder(names, &format!("{target}/."), budget.checked_sub(1)?)?;
                follow(names, folder, budget)?
            }
            _ => place,
        };
    }
    Some(real)
}

fn follow(names: &impl Names, mut place: String, budget: usize) -> Option<String> {
    for _ in 0..budget {
        let Some(Kind::Symlink(target)) = names.kind(&place) else { return Some(place) };
        place = real_folder(names, &join(parent(&place), target), budget.checked_sub(1)?)?;
    }
    None
}

/// Folder of a path; empty for the root.
pub(crate) fn parent(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(folder, _)| folder)
}

fn join(folder: &str, name: &str) -> String {
    match name.strip_prefix('/') {
        Some(absolute) => absolute.to_owned(),
        None if folder.is_empty() => name.to_owned(),
        None => format!("{folder}/{name}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    struct Links(BTreeMap<&'static str, Kind<'static>>);

    impl Names for Links {
        fn kind(&self, path: &str) -> Option<Kind<'_>> {
            self.0.get(path).copied()
        }
    }

    fn links() -> Links {
        Links(BTreeMap::from([
            ("lib", Kind::Symlink("usr/lib")),
            ("lib64", Kind::Symlink("usr/lib64")),
            ("usr", Kind::Directory),
            ("usr/lib", Kind::Directory),
            ("usr/lib/multi", Kind::Directory),
            ("usr/lib/multi/ld.so", Kind::File),
            ("usr/lib64", Kind::Directory),
            ("usr/lib64/ld.so", Kind::Symlink("../lib/multi/ld.so")),
            ("usr/lib/abs", Kind::Symlink("/lib/rel")),
            ("usr/lib/rel", Kind::Symlink("multi/ld.so")),
            ("usr/lib/dangling", Kind::Symlink("/etc/nothing")),
            ("usr/lib/a", Kind::Symlink("b")),
            ("usr/lib/b", Kind::Symlink("a")),
            ("loop", Kind::Symlink("loop")),
        ]))
    }

    #[test]
    fn chains() {
        for (path, expected) in [
            ("/lib/multi/ld.so", Some(&["usr/lib/multi/ld.so"][..])),
            ("/lib64/ld.so", Some(&["usr/lib64/ld.so", "usr/lib/multi/ld.so"])),
            ("usr/lib/abs", Some(&["usr/lib/abs", "usr/lib/rel", "usr/lib/multi/ld.so"])),
            ("usr/lib/dangling", None),
            ("usr/lib/missing", None),
            ("usr/lib/a", None),
            ("loop/x", None),
            ("lib64/../lib/rel", Some(&["usr/lib/rel", "usr/lib/multi/ld.so"])),
        ] {
            let expected = expected.map(|list| list.iter().map(|path| (*path).to_owned()).collect());
            assert_eq!(chain(&links(), path), expected, "{path}");
        }
    }

    #[test]
    fn a_missing_last_component_gets_its_real_folder() {
        assert_eq!(real_folder(&links(), "lib/new", 9).as_deref(), Some("usr/lib/new"));
        assert_eq!(real_folder(&links(), "new/deep/path", 9).as_deref(), Some("new/deep/path"));
    }
}
