//! A root file system as data: path to entry. Recipes make it, [`super::write`] carries it out, tests look at it.

use super::names::{Kind, Names, parent, real_folder};
use std::collections::BTreeMap;
use std::path::PathBuf;

/// Permission bits of folders nobody gave others.
pub(crate) const FOLDER_MODE: u32 = 0o755;
/// Permission bits of data files nobody gave others.
pub(crate) const FILE_MODE: u32 = 0o644;
/// Permission bits of programs nobody gave others.
pub(crate) const PROGRAM_MODE: u32 = 0o755;

/// Links followed when an entry's folder is looked up; the kernel's own limit.
const MAX_LINKS: usize = 40;

/// One entry; everything belongs to root and has the image's one time stamp.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Entry {
    /// Directory.
    Directory {
        /// Permission bits.
        mode: u32,
    },
    /// Copy of a file on disk; entries with the same origin and mode become one inode.
    File {
        /// Where the content is.
        origin: PathBuf,
        /// Permission bits.
        mode: u32,
    },
    /// File with generated content.
    Bytes {
        /// Content.
        content: Vec<u8>,
        /// Permission bits.
        mode: u32,
    },
    /// Symbolic link.
    Symlink {
        /// Target as written.
        target: String,
    },
}

/// A root file system.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct RootPlan {
    entries: BTreeMap<String, Entry>,
}

impl RootPlan {
    /// The folders every root has: merged `/usr`, mount points of the kernel's file systems, `/etc` and `/var`.
    pub(crate) fn skeleton() -> Self {
        let mut plan = Self::default();
        for folder in ["dev", "etc", "proc", "run", "sys", "var"] {
            plan.directory(folder, FOLDER_MODE);
        }
        plan.directory("tmp", 0o1777);
        for folder in ["bin", "lib", "lib64", "sbin"] {
            plan.directory(&format!("usr/{folder}"), FOLDER_MODE);
            plan.put(folder, Entry::Symlink { target: format!("usr/{folder}") });
        }
        plan
    }

    /// Adds or replaces an entry; missing folders are made, links in the folders are followed.
    pub(crate) fn put(&mut self, path: &str, entry: Entry) {
        let place = self.place(path);
        let mut folder = parent(&place);
        while !folder.is_empty() {
            self.entries.entry(folder.to_owned()).or_insert(Entry::Directory { mode: FOLDER_MODE });
            folder = parent(folder);
        }
        self.entries.insert(place, entry);
    }

    /// Adds a directory; one that is there keeps its entries and gets the mode.
    pub(crate) fn directory(&mut self, path: &str, mode: u32) {
        self.put(path, Entry::Directory { mode });
    }

    /// Adds all of `other` below `folder`.
    pub(crate) fn graft(&mut self, folder: &str, other: Self) {
        self.directory(folder, FOLDER_MODE);
        for (path, entry) in other.entries {
            self.entries.insert(format!("{folder}/{path}"), entry);
        }
    }

    /// Replaces the mode of a file or directory; false where there is none.
    pub(crate) fn set_mode(&mut self, path: &str, bits: u32) -> bool {
        let place = self.place(path);
        match self.entries.get_mut(&place) {
            Some(Entry::Directory { mode } | Entry::File { mode, .. } | Entry::Bytes { mode, .. }) => {
                *mode = bits;
                true
            }
            _ => false,
        }
    }

    /// The entry at `path`.
    pub(crate) fn get(&self, path: &str) -> Option<&Entry> {
        self.entries.get(&self.place(path))
    }

    /// All entries; folders come before what is in them.
    pub(crate) fn entries(&self) -> impl Iterator<Item = (&str, &Entry)> {
        self.entries.iter().map(|(path, entry)| (path.as_str(), entry))
    }

    fn place(&self, path: &str) -> String {
        let path = path.trim_matches('/');
        real_folder(self, path, MAX_LINKS).unwrap_or_else(|| path.to_owned())
    }
}

impl Names for RootPlan {
    fn kind(&self, path: &str) -> Option<Kind<'_>> {
        self.entries.get(path).map(|entry| match entry {
            Entry::Directory { .. } => Kind::Directory,
            Entry::File { .. } | Entry::Bytes { .. } => Kind::File,
            Entry::Symlink { target } => Kind::Symlink(target),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_land_in_merged_usr_and_get_their_folders() {
        let mut plan = RootPlan::skeleton();
        plan.put("/lib/udev/rules.d/x", Entry::Bytes { content: vec![], mode: FILE_MODE });
        assert!(plan.get("usr/lib/udev/rules.d/x").is_some());
        assert_eq!(plan.get("usr/lib/udev"), Some(&Entry::Directory { mode: FOLDER_MODE }));
        assert_eq!(plan.get("lib"), Some(&Entry::Symlink { target: "usr/lib".into() }));
    }

    #[test]
    fn modes_change_on_files_and_folders_only() {
        let mut plan = RootPlan::skeleton();
        plan.put("usr/bin/sudo", Entry::Bytes { content: vec![], mode: 0o755 });
        assert!(plan.set_mode("/bin/sudo", 0o4755));
        assert_eq!(plan.get("usr/bin/sudo"), Some(&Entry::Bytes { content: vec![], mode: 0o4755 }));
        assert!(!plan.set_mode("/bin/missing", 0o755));
    }

    #[test]
    fn a_grafted_root_keeps_its_own_links() {
        let mut inner = RootPlan::skeleton();
        inner.put("bin/tool", Entry::Bytes { content: vec![], mode: 0o755 });
        let mut plan = RootPlan::skeleton();
        plan.graft("services/a/rootfs", inner);
        assert!(plan.get("services/a/rootfs/usr/bin/tool").is_some());
        assert!(plan.get("services/a/rootfs/bin/tool").is_some());
        assert!(plan.get("bin/tool").is_none());
    }
}
