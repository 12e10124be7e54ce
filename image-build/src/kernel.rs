//! The kernel: Debian's kernel source and the fragments of `kernel-config/` become one bzImage, kept in a cache.
//!
//! Owns the recipe (configure, compile, reproducibility settings), the cache entry and the check of the resulting
//! configuration. Leaves to others: fetching the source package, the kernel command line, putting the kernel into
//! an image. Called by the image builder.
//!
//! ```text
//! <cache>/kernel/<key>/bzImage      the kernel
//!                      config       its complete configuration
//!                      release      what `uname -r` will print
//! <cache>/kernel/<key>.log          output of the last build with this key
//! <cache>/kernel/build-<pid>/       a build under way; removed by its builder, or by the next one
//! ```
//!
//! - `check`: the configuration against the fragments and the `required` and `forbidden` lists
//! - `entry`: the cache: key, look-up, atomic store
//! - `recipe`: extract, configure, compile
//! - `run`: one command with a log and a sign of life

mod check;
mod entry;
mod recipe;
mod run;

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use check::{check, dishonoured};

/// Fragments in the order they are handed to the kernel's configuration program.
pub(crate) const FRAGMENTS: [&str; 5] =
    ["base.config", "containers.config", "virt.config", "hardware.config", "hardening.config"];

/// A kernel in the cache.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Kernel {
    /// Compressed image, bootable by firmware (EFI stub) and by BIOS boot loaders.
    pub(crate) bzimage: PathBuf,
    /// The complete `.config` it was built from.
    pub(crate) config: PathBuf,
    /// `uname -r`, such as `6.12.1-hull`.
    pub(crate) release: String,
}

/// Builds the kernel from `source_tarball` and the fragments in `config_dir`, or takes it from `cache`.
///
/// `progress` receives one line, without line end, every few seconds. A first build takes about 20 minutes of
/// processor time and 3 GB of disk below `cache`, which are free again afterwards.
///
/// # Errors
/// A build tool is missing, a step fails (the end of its log is in the message), or the configuration is not what
/// fragments and lists ask for; the latter is found before anything is compiled.
pub(crate) fn build(
    source_tarball: &Path,
    config_dir: &Path,
    cache: &Path,
    progress: &mut dyn FnMut(&str),
) -> Result<Kernel> {
    let fragments = read_fragments(config_dir)?;
    let toolchain = recipe::toolchain()?;
    let store = cache.join("kernel");
    let key = entry::key(source_tarball, &fragments, &toolchain)?;
    let kernel = match entry::load(&store, &key)? {
        Some(kernel) => kernel,
        None => {
            progress(&format!("kernel {}: not in the cache, building", &key[..12]));
            recipe::make(source_tarball, &fragments, config_dir, &store, &key, progress)?
        }
    };
    // The lists are no part of the key: a changed list must be able to reject a kernel that is already there.
    check_built(&kernel.config, config_dir)?;
    Ok(kernel)
}

/// Checks a complete configuration against the fragments and lists of `config_dir`.
///
/// # Errors
/// A file cannot be read, or there are violations; all of them are listed.
pub(crate) fn check_built(config: &Path, config_dir: &Path) -> Result<()> {
    let text = read(config)?;
    let mut violations = check(&text, &read(&config_dir.join("required"))?, &read(&config_dir.join("forbidden"))?);
    violations.extend(dishonoured(&text, &read_fragments(config_dir)?));
    if violations.is_empty() {
        return Ok(());
    }
    let list: Vec<String> = violations.iter().map(|violation| format!("  {violation}")).collect();
    bail!("{} is not the kernel configuration asked for:\n{}", config.display(), list.join("\n"));
}

fn read_fragments(config_dir: &Path) -> Result<String> {
    FRAGMENTS.iter().map(|name| read(&config_dir.join(name))).collect()
}

fn read(path: &Path) -> Result<String> {
    fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config_dir() -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../kernel-config")
    }

    #[test]
    fn every_option_block_has_a_reason() {
        for name in FRAGMENTS {
            let text = read(&config_dir().join(name)).unwrap();
            for block in text.split("\n\n") {
                let options = block.lines().filter(|line| check::setting(line).is_some()).count();
                let first = block.lines().find(|line| !line.is_empty()).unwrap();
                let reason = first.starts_with("# ") && check::setting(first).is_none();
                assert!(options == 0 || reason, "{name}: no reason above\n{block}");
            }
        }
    }

    #[test]
    fn no_option_is_set_twice() {
        let text = read_fragments(&config_dir()).unwrap();
        let mut names: Vec<&str> = text.lines().filter_map(check::setting).map(|(name, _)| name).collect();
        names.sort_unstable();
        let twice: Vec<_> = names.windows(2).filter(|pair| pair[0] == pair[1]).map(|pair| pair[0]).collect();
        assert!(twice.is_empty(), "{twice:?}");
    }

    #[test]
    fn fragments_do_not_contradict_the_lists() {
        let dir = config_dir();
        let fragments = read_fragments(&dir).unwrap();
        let forbidden = read(&dir.join("forbidden")).unwrap();
        assert_eq!(check(&fragments, "", &forbidden), []);
    }

    #[test]
    fn a_configuration_that_lacks_an_option_is_refused_with_its_name() {
        let dir = tempfile::tempdir().unwrap();
        for name in FRAGMENTS {
            fs::write(dir.path().join(name), "").unwrap();
        }
        fs::write(dir.path().join("base.config"), "CONFIG_SMP=y\n").unwrap();
        fs::write(dir.path().join("required"), "CONFIG_DM_VERITY=y\n").unwrap();
        fs::write(dir.path().join("forbidden"), "CONFIG_MODULES\n").unwrap();
        let built = dir.path().join("built");

        fs::write(&built, "CONFIG_SMP=y\nCONFIG_DM_VERITY=y\n").unwrap();
        check_built(&built, dir.path()).unwrap();

        fs::write(&built, "CONFIG_MODULES=y\n").unwrap();
        let message = check_built(&built, dir.path()).unwrap_err().to_string();
        for name in ["CONFIG_SMP", "CONFIG_DM_VERITY", "CONFIG_MODULES"] {
            assert!(message.contains(name), "{message}");
        }
    }
}
