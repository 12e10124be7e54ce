//! One `[image]` table and its overlay to a [`RootPlan`]: pure, over the package tree's names.
//!
//! Order: skeleton, files of packages minus `exclude`, their library closure, own binaries, overlay, links, folders,
//! modes. Faults are collected and name service and key; a recipe that does not fit the packages builds no image.

use super::elf::Needs;
use super::names::{self, Kind, Names, parent};
use super::plan::{Entry, FOLDER_MODE, PROGRAM_MODE, RootPlan};
use crate::packages::Tree;
use crate::packages::tree::Node;
use anyhow::Result;
use glob::{MatchOptions, Pattern};
use hull_service::Image;
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

/// Where Debian's loader looks without being told.
const LIBRARY_FOLDERS: [&str; 2] = ["usr/lib/x86_64-linux-gnu", "usr/lib"];

/// `*` stays within one folder, names are case-sensitive, a leading dot is nothing special.
const MATCH: MatchOptions =
    MatchOptions { case_sensitive: true, require_literal_separator: true, require_literal_leading_dot: false };

/// What is wrong with a recipe.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("service {service}: {key}: {text}")]
pub(crate) struct Fault {
    /// Service.
    pub(crate) service: String,
    /// Key of `service.toml`.
    pub(crate) key: String,
    /// What and what to do.
    pub(crate) text: String,
}

/// Where recipes take from.
pub(crate) struct Sources<'a> {
    /// Debian packages.
    pub(crate) tree: &'a Tree,
    /// Needs of a binary.
    pub(crate) needs: &'a dyn Fn(&std::path::Path) -> Result<Option<Needs>>,
    /// Own binaries by name.
    pub(crate) binaries: &'a BTreeMap<String, PathBuf>,
}

/// A recipe being carried out.
struct Cook<'a> {
    name: &'a str,
    image: &'a Image,
    sources: &'a Sources<'a>,
    root: RootPlan,
    faults: Vec<Fault>,
}

/// The root of service `name`: its `image` and its overlay folder's content.
pub(crate) fn plan(
    name: &str,
    image: &Image,
    overlay: &[(String, Entry)],
    sources: &Sources<'_>,
) -> Result<RootPlan, Vec<Fault>> {
    let mut cook = Cook { name, image, sources, root: RootPlan::skeleton(), faults: Vec::new() };
    let picked = cook.pick();
    cook.close_over_libraries(picked);
    cook.add_own(overlay);
    if cook.faults.is_empty() { Ok(cook.root) } else { Err(cook.faults) }
}

impl Cook<'_> {
    fn fault(&mut self, key: &str, text: String) {
        self.faults.push(Fault { service: self.name.into(), key: key.into(), text });
    }

    /// Paths of the tree that the globs name, with what the links among them lead to.
    fn pick(&mut self) -> BTreeSet<String> {
        let excluded = self.patterns("image.exclude", &self.image.exclude);
        let tree = self.sources.tree;
        let mut picked = BTreeSet::new();
        for (text, patterns) in self.patterns("image.files", &self.image.files) {
            let mut found = false;
            for path in tree.paths().filter(|path| is_match(&patterns, path)) {
                found = true;
                if !excluded.iter().any(|(_, patterns)| is_match(patterns, path)) {
                    picked.insert(path.to_owned());
                    picked.extend(names::chain(tree, path).unwrap_or_default());
                }
            }
            if !found {
                self.fault("image.files", format!("\"{text}\" matches nothing in the packages: name the package too?"));
            }
        }
        picked
    }

    /// Each text with its pattern; `dir/**` also means `dir` itself.
    fn patterns(&mut self, key: &str, texts: &[String]) -> Vec<(String, Vec<Pattern>)> {
        let mut all = Vec::new();
        for text in texts {
            let folder = text.strip_suffix("/**");
            match std::iter::once(text.as_str()).chain(folder).map(Pattern::new).collect() {
                Ok(patterns) => all.push((text.clone(), patterns)),
                Err(error) => self.fault(key, format!("\"{text}\": {error}")),
            }
        }
        all
    }

    /// Puts the picked paths into the root and, for every program and library, what its loader will look for.
    fn close_over_libraries(&mut self, picked: BTreeSet<String>) {
        let tree = self.sources.tree;
        let mut queue: Vec<String> = picked.into_iter().collect();
        let mut done = BTreeSet::new();
        while let Some(path) = queue.pop() {
            if !done.insert(path.clone()) {
                continue;
            }
            let Some(node) = tree.get(&path) else { continue };
            let entry = entry(tree, &path, node);
            if let Entry::File { origin, .. } = &entry {
                match (self.sources.needs)(origin) {
                    Ok(Some(needs)) => queue.extend(self.dependencies(&path, &needs)),
                    Ok(None) => {}
                    Err(error) => self.fault("image.files", format!("{error:#}")),
                }
            }
            if !matches!((&entry, self.root.get(&path)), (Entry::Directory { .. }, Some(Entry::Directory { .. }))) {
                self.root.put(&path, entry);
            }
        }
    }

    fn dependencies(&mut self, binary: &str, needs: &Needs) -> Vec<String> {
        let tree = self.sources.tree;
        let mut all = Vec::new();
        if let Some(interpreter) = &needs.interpreter {
            match names::chain(tree, interpreter) {
                Some(chain) => all.extend(chain),
                None => self.fault("image.files", format!("/{binary} needs {interpreter}, which no package has")),
            }
        }
        let own = needs
            .run_path
            .iter()
            .map(|dir| dir.replace("$ORIGIN", parent(binary)).replace("${ORIGIN}", parent(binary)));
        let folders: Vec<String> = own
            .chain(self.image.library_dirs.iter().cloned())
            .chain(LIBRARY_FOLDERS.map(str::to_owned))
            .map(|dir| dir.trim_matches('/').to_owned())
            .collect();
        for library in &needs.libraries {
            match folders.iter().find_map(|folder| names::chain(tree, &format!("{folder}/{library}"))) {
                Some(chain) => all.extend(chain),
                None => self.fault(
                    "image.library-dirs",
                    format!("/{binary} needs {library}, which is in none of {}", folders.join(", ")),
                ),
            }
        }
        all
    }

    /// Everything that does not come from packages.
    fn add_own(&mut self, overlay: &[(String, Entry)]) {
        for name in &self.image.binaries {
            match self.sources.binaries.get(name) {
                Some(origin) => {
                    self.root
                        .put(&format!("usr/bin/{name}"), Entry::File { origin: origin.clone(), mode: PROGRAM_MODE });
                }
                None => self.fault("image.binaries", format!("no crate of the workspace has a binary \"{name}\"")),
            }
        }
        for (path, entry) in overlay {
            self.root.put(path, entry.clone());
        }
        for (path, target) in &self.image.symlinks {
            self.root.put(path, Entry::Symlink { target: target.clone() });
        }
        for path in &self.image.directories {
            self.root.directory(path, FOLDER_MODE);
        }
        for (path, text) in &self.image.modes {
            match u32::from_str_radix(text, 8) {
                Ok(mode) if mode <= 0o7777 => {
                    if !self.root.set_mode(path, mode) {
                        self.fault("image.modes", format!("\"{path}\" is no file or folder of the root"));
                    }
                }
                _ => self.fault("image.modes", format!("\"{path}\": \"{text}\" is no octal mode such as \"4755\"")),
            }
        }
    }
}

fn is_match(patterns: &[Pattern], path: &str) -> bool {
    patterns.iter().any(|pattern| pattern.matches_with(path, MATCH))
}

/// A tree's node as an entry; setuid and setgid bits are for `image.modes` to give.
fn entry(tree: &Tree, path: &str, node: &Node) -> Entry {
    match node {
        Node::File { mode } => Entry::File { origin: tree.origin(path), mode: mode & 0o777 },
        Node::Directory { mode } => Entry::Directory { mode: mode & 0o1777 },
        Node::Symlink(target) => Entry::Symlink { target: target.clone() },
    }
}

/// Whether `program` (absolute) can be executed in `root` as far as names tell.
pub(crate) fn has_program(root: &RootPlan, program: &str) -> bool {
    names::chain(root, program)
        .and_then(|chain| chain.last().map(|end| root.kind(end) == Some(Kind::File)))
        .unwrap_or(false)
}

#[cfg(test)]
mod tests;
