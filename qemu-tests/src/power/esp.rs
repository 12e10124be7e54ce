//! The EFI system partition of a cut disk. FAT has no journal: lost clusters and a wrong count of free ones are what a cut
//! leaves, and harm nobody; a directory or file that cannot be read does. Directories without `.` and `..`, as of a folder
//! being made, are empty to readers: a finding, and damage only if a file is missed.

use super::{said, tool};
use anyhow::{Context, Result, ensure};
use std::collections::BTreeMap;
use std::path::Path;

/// What boot loaders, firmware and the update service read.
pub const FOLDERS: [&str; 4] = ["EFI", "loader", "grub", "hull"];

/// A readable ESP.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Esp {
    /// Path from the root (`loader/loader.conf`) → content, of all files in [`FOLDERS`].
    pub files: BTreeMap<String, Vec<u8>>,
    /// What fsck.fat found, in its words; empty when all is well.
    pub findings: String,
}

impl Esp {
    /// Reads all boot files out of the file system in `file`; an error when one of them cannot be read.
    pub fn read(file: &Path) -> Result<Self> {
        let file = file.display().to_string();
        let fsck = tool("fsck.fat", &["-n", &file])?;
        let findings = if fsck.status.success() { String::new() } else { said(&fsck) };
        let listing = tool("mdir", &["-/", "-a", "-b", "-i", &file, "::/"])?;
        ensure!(
            listing.status.success() && listing.stderr.is_empty(),
            "directories cannot be read: {}; {findings}",
            said(&listing)
        );
        let mut files = BTreeMap::new();
        for path in listed(&String::from_utf8_lossy(&listing.stdout)) {
            let content = tool("mtype", &["-i", &file, &format!("::/{path}")])?;
            ensure!(
                content.status.success() && content.stderr.is_empty(),
                "{path} cannot be read: {}; {findings}",
                String::from_utf8_lossy(&content.stderr).trim()
            );
            // A chain that ends early is no error to mtype.
            let entry = tool("mdir", &["-a", "-i", &file, &format!("::/{path}")])?;
            let size =
                size(&String::from_utf8_lossy(&entry.stdout)).with_context(|| format!("{path}: {}", said(&entry)))?;
            let length = content.stdout.len();
            ensure!(length == size, "{path} has {length} bytes of {size}: {findings}");
            files.insert(path, content.stdout);
        }
        Ok(Self { files, findings })
    }
}

/// Files of interest in mdir's listing; folders end with a slash.
fn listed(text: &str) -> Vec<String> {
    text.lines()
        .filter_map(|line| line.strip_prefix("::/"))
        .filter(|path| !path.ends_with('/'))
        .filter(|path| path.split_once('/').is_some_and(|(folder, _)| FOLDERS.contains(&folder)))
        .map(str::to_owned)
        .collect()
}

/// The size in the closing line of mdir's listing of one file: `1 file               20 000 bytes`.
fn size(text: &str) -> Option<usize> {
    let line = text.lines().find(|line| line.trim_start().starts_with("1 file "))?;
    let digits: String = line.rsplit_once("file ")?.1.strip_suffix(" bytes")?.split_whitespace().collect();
    digits.parse().ok()
}
