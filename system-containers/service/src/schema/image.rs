//! `[image]`: where the root file system comes from.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Recipe of the service's root file system.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Image {
    /// Debian packages the files come from.
    #[serde(default)]
    pub packages: Vec<String>,
    /// Paths or globs in the package tree, without leading `/`; `dir/**` takes a whole directory.
    #[serde(default)]
    pub files: Vec<String>,
    /// Globs taken out again.
    #[serde(default)]
    pub exclude: Vec<String>,
    /// Our own binaries, put into `/usr/bin`.
    #[serde(default)]
    pub binaries: Vec<String>,
    /// Further directories searched for shared libraries.
    #[serde(default)]
    pub library_dirs: Vec<String>,
    /// Symbolic links: path to target.
    #[serde(default)]
    pub symlinks: BTreeMap<String, String>,
    /// Octal modes that differ from the package's, such as `"4755"`.
    #[serde(default)]
    pub modes: BTreeMap<String, String>,
    /// Empty directories.
    #[serde(default)]
    pub directories: Vec<String>,
    /// Added services only, in place of all keys above: the image, `host/repository@sha256:digest`.
    #[serde(default)]
    pub reference: Option<String>,
    /// Added services only: what becomes of programs that give privileges.
    #[serde(default)]
    pub setuid: Setuid,
}

/// What becomes of set-user-ID bits, set-group-ID bits and file capabilities of an added service's image.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Setuid {
    /// The image is refused.
    #[default]
    Refuse,
    /// The files are taken without them.
    Strip,
}
