//! The unpacked tree's paths in memory: what recipes pick from.

use crate::root::names::{Kind, Names};
use anyhow::{Context, Result};
use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// What a path of the tree is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Node {
    /// Regular file with its permission bits.
    File {
        /// Permission bits.
        mode: u32,
    },
    /// Directory with its permission bits.
    Directory {
        /// Permission bits.
        mode: u32,
    },
    /// Symbolic link and its target as written.
    Symlink(String),
}

/// All paths below one folder, relative, without leading slash.
#[derive(Debug, Default)]
pub(crate) struct Tree {
    root: PathBuf,
    nodes: BTreeMap<String, Node>,
}

impl Tree {
    /// Reads a folder; device nodes and sockets are passed over.
    pub(crate) fn scan(root: &Path) -> Result<Self> {
        let mut tree = Self { root: root.to_owned(), nodes: BTreeMap::new() };
        tree.scan_folder("")?;
        Ok(tree)
    }

    fn scan_folder(&mut self, folder: &str) -> Result<()> {
        let path = self.root.join(folder);
        for entry in fs::read_dir(&path).with_context(|| format!("{}", path.display()))? {
            let entry = entry?;
            let Ok(name) = entry.file_name().into_string() else { continue };
            let name = if folder.is_empty() { name } else { format!("{folder}/{name}") };
            let meta = entry.metadata()?;
            let mode = meta.permissions().mode() & 0o7777;
            if meta.is_dir() {
                self.nodes.insert(name.clone(), Node::Directory { mode });
                self.scan_folder(&name)?;
            } else if meta.is_symlink() {
                let target = fs::read_link(entry.path())?.to_string_lossy().into_owned();
                self.nodes.insert(name, Node::Symlink(target));
            } else if meta.is_file() {
                self.nodes.insert(name, Node::File { mode });
            }
        }
        Ok(())
    }

    /// What `path` is, the path's own folders taken literally.
    pub(crate) fn get(&self, path: &str) -> Option<&Node> {
        self.nodes.get(path)
    }

    /// All paths, sorted.
    pub(crate) fn paths(&self) -> impl Iterator<Item = &str> {
        self.nodes.keys().map(String::as_str)
    }

    /// The file on disk.
    pub(crate) fn origin(&self, path: &str) -> PathBuf {
        self.root.join(path)
    }
}

impl Names for Tree {
    fn kind(&self, path: &str) -> Option<Kind<'_>> {
        self.nodes.get(path).map(|node| match node {
            Node::File { .. } => Kind::File,
            Node::Directory { .. } => Kind::Directory,
            Node::Symlink(target) => Kind::Symlink(target),
        })
    }
}

#[cfg(test)]
impl FromIterator<(&'static str, Node)> for Tree {
    fn from_iter<T: IntoIterator<Item = (&'static str, Node)>>(nodes: T) -> Self {
        let nodes = nodes.into_iter().map(|(path, node)| (path.to_owned(), node)).collect();
        Self { root: PathBuf::from("/tree"), nodes }
    }
}
