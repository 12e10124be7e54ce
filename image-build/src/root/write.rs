//! Carries a [`RootPlan`] out in a folder. Ownership and times are mkfs.erofs's business, so root is not needed.

use super::plan::{Entry, RootPlan};
use anyhow::{Context, Result};
use std::collections::HashMap;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

/// Writes `plan` to `folder`, which is emptied first.
pub(crate) fn write(plan: &RootPlan, folder: &Path) -> Result<()> {
    if folder.exists() {
        fs::remove_dir_all(folder).with_context(|| format!("cannot empty {}", folder.display()))?;
    }
    fs::create_dir_all(folder)?;
    let mut inodes: HashMap<(&Path, u32), PathBuf> = HashMap::new();
    for (path, entry) in plan.entries() {
        let place = folder.join(path);
        put(entry, &place, &mut inodes).with_context(|| format!("/{path}"))?;
    }
    // Last, so that a folder without write permission can be filled.
    for (path, entry) in plan.entries() {
        if let Entry::Directory { mode } = entry {
            fs::set_permissions(folder.join(path), fs::Permissions::from_mode(*mode))?;
        }
    }
    Ok(())
}

fn put<'a>(entry: &'a Entry, place: &Path, inodes: &mut HashMap<(&'a Path, u32), PathBuf>) -> Result<()> {
    match entry {
        Entry::Directory { .. } => fs::create_dir(place)?,
        Entry::Symlink { target } => symlink(target, place)?,
        Entry::Bytes { content, mode } => {
            fs::write(place, content)?;
            fs::set_permissions(place, fs::Permissions::from_mode(*mode))?;
        }
        Entry::File { origin, mode } => match inodes.get(&(origin.as_path(), *mode)) {
            Some(first) => fs::hard_link(first, place)?,
            None => {
                fs::copy(origin, place).with_context(|| format!("copy of {}", origin.display()))?;
                fs::set_permissions(place, fs::Permissions::from_mode(*mode))?;
                inodes.insert((origin, *mode), place.to_owned());
            }
        },
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::MetadataExt;

    #[test]
    fn the_same_file_is_one_inode_unless_modes_differ() {
        let dir = tempfile::tempdir().unwrap();
        let origin = dir.path().join("origin");
        fs::write(&origin, "x").unwrap();
        let mut plan = RootPlan::default();
        for (path, mode) in [("a/x", 0o755), ("b/x", 0o755), ("c/x", 0o4755)] {
            plan.put(path, Entry::File { origin: origin.clone(), mode });
        }
        plan.put("a/link", Entry::Symlink { target: "x".into() });
        plan.directory("c", 0o555);
        let root = dir.path().join("root");
        for _ in 0..2 {
            write(&plan, &root).unwrap();
        }
        let meta = |path: &str| fs::symlink_metadata(root.join(path)).unwrap();
        assert_eq!(meta("a/x").ino(), meta("b/x").ino());
        assert_ne!(meta("a/x").ino(), meta("c/x").ino());
        assert_ne!(meta("a/x").ino(), fs::metadata(&origin).unwrap().ino());
        assert_eq!(meta("c/x").mode() & 0o7777, 0o4755);
        assert_eq!(meta("c").mode() & 0o7777, 0o555);
        assert!(meta("a/link").is_symlink());
        fs::set_permissions(root.join("c"), fs::Permissions::from_mode(0o755)).unwrap();
    }
}
