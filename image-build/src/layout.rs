//! Where things are: the checkout, the output folder and the cache. Everybody asks here, nobody joins paths by hand.

use anyhow::{Context, Result};
use std::path::{Path, PathBuf};

/// Folders of one run.
#[derive(Debug, Clone)]
pub(crate) struct Layout {
    /// The checkout.
    pub(crate) repo: PathBuf,
    /// Output, by default `build/` of the checkout.
    pub(crate) build: PathBuf,
    /// Downloads and built kernels, shared between checkouts; may be deleted at any time.
    pub(crate) cache: PathBuf,
}

impl Layout {
    /// From the command line's output folder and the environment.
    pub(crate) fn new(output: Option<PathBuf>) -> Result<Self> {
        let repo = Path::new(env!("CARGO_MANIFEST_DIR")).parent().context("the crate has no parent folder")?.to_owned();
        let home_cache = || std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".cache"));
        let cache = std::env::var_os("XDG_CACHE_HOME")
            .filter(|dir| !dir.is_empty())
            .map(PathBuf::from)
            .or_else(home_cache)
            .context("neither XDG_CACHE_HOME nor HOME is set")?
            .join("hull");
        let build = match output {
            Some(path) => std::path::absolute(&path).with_context(|| format!("{}", path.display()))?,
            None => repo.join("build"),
        };
        for dir in [&build, &cache] {
            std::fs::create_dir_all(dir).with_context(|| format!("cannot make {}", dir.display()))?;
        }
        Ok(Self { repo, build, cache })
    }

    /// Folder of the services' definitions.
    pub(crate) fn services(&self) -> PathBuf {
        self.repo.join("system-containers/services")
    }

    /// Recipe and overlay of the host's own part of the root file system.
    pub(crate) fn host(&self) -> PathBuf {
        self.repo.join("image-build/host")
    }

    /// A file or folder of the output.
    pub(crate) fn output(&self, name: &str) -> PathBuf {
        self.build.join(name)
    }
}
