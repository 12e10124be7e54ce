//! One kernel in the cache: how its key is made, how it is found again, how it gets there in one step.

use std::fs::{self, File};
use std::io;
use std::path::Path;

use anyhow::{Context, Result};
use sha2::{Digest, Sha256};

use super::{Kernel, read, recipe};

const BZIMAGE: &str = "bzImage";
const CONFIG: &str = "config";
const RELEASE: &str = "release";

/// Hash, in hexadecimal, over everything that decides what comes out: source, fragments, tools and recipe.
pub(super) fn key(source_tarball: &Path, fragments: &str, toolchain: &str) -> Result<String> {
    let source = sha256_file(source_tarball)?;
    let version = recipe::VERSION.to_string();
    let mut hash = Sha256::new();
    for part in [version.as_str(), &source, toolchain, fragments] {
        // With its length in front, no part can pass for the end of the one before.
        hash.update(part.len().to_le_bytes());
        hash.update(part);
    }
    Ok(hex(&hash.finalize()))
}

/// Finds the entry `key` below `store`, the folder of all kernels.
pub(super) fn load(store: &Path, key: &str) -> Result<Option<Kernel>> {
    let folder = store.join(key);
    if !folder.exists() {
        return Ok(None);
    }
    let release = read(&folder.join(RELEASE))?.trim().to_owned();
    Ok(Some(Kernel { bzimage: folder.join(BZIMAGE), config: folder.join(CONFIG), release }))
}

/// Moves a built kernel into the cache. `work` lies on the same file system as `store`; readers see the whole entry
/// or none, and of two builders at once the first one wins.
pub(super) fn store(store: &Path, key: &str, work: &Path, built: &Kernel) -> Result<Kernel> {
    let folder = work.join("entry");
    fs::create_dir(&folder).with_context(|| format!("cannot create {}", folder.display()))?;
    copy(&built.bzimage, &folder.join(BZIMAGE))?;
    copy(&built.config, &folder.join(CONFIG))?;
    fs::write(folder.join(RELEASE), format!("{}\n", built.release)).context("cannot write the kernel release")?;
    let target = store.join(key);
    if let Err(error) = fs::rename(&folder, &target) {
        // Not an error when another builder has stored the same kernel meanwhile.
        if !target.exists() {
            return Err(error).with_context(|| format!("cannot move the kernel to {}", target.display()));
        }
    }
    load(store, key)?.with_context(|| format!("{} vanished from the cache", target.display()))
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    fs::copy(from, to).with_context(|| format!("cannot copy {} to {}", from.display(), to.display()))?;
    File::open(to).and_then(|file| file.sync_all()).with_context(|| format!("cannot write {} to disk", to.display()))
}

fn sha256_file(path: &Path) -> Result<String> {
    let mut file = File::open(path).with_context(|| format!("cannot open the kernel source {}", path.display()))?;
    let mut hash = Sha256::new();
    io::copy(&mut file, &mut hash).with_context(|| format!("cannot read {}", path.display()))?;
    Ok(hex(&hash.finalize()))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_key_depends_on_every_input() {
        let folder = tempfile::tempdir().unwrap();
        let (one, two) = (folder.path().join("one"), folder.path().join("two"));
        fs::write(&one, "source").unwrap();
        fs::write(&two, "other source").unwrap();
        let reference = key(&one, "CONFIG_A=y", "gcc 1").unwrap();
        assert_eq!(reference.len(), 64);
        assert_eq!(reference, key(&one, "CONFIG_A=y", "gcc 1").unwrap());
        for (source, fragments, toolchain) in [
            (&two, "CONFIG_A=y", "gcc 1"),
            (&one, "CONFIG_B=y", "gcc 1"),
            (&one, "CONFIG_A=y", "gcc 2"),
            (&one, "=y", "gcc 1CONFIG_A"),
        ] {
            assert_ne!(reference, key(source, fragments, toolchain).unwrap(), "{fragments} {toolchain}");
        }
    }

    #[test]
    fn an_entry_is_stored_whole_and_the_first_one_stays() {
        let cache = tempfile::tempdir().unwrap();
        assert_eq!(load(cache.path(), "key").unwrap(), None);
        for (work, image) in [("build-1", "first"), ("build-2", "second")] {
            let work = cache.path().join(work);
            fs::create_dir(&work).unwrap();
            let built = Kernel { bzimage: work.join("image"), config: work.join(".config"), release: "6.12.1".into() };
            fs::write(&built.bzimage, image).unwrap();
            fs::write(&built.config, "CONFIG_SMP=y\n").unwrap();
            let kernel = store(cache.path(), "key", &work, &built).unwrap();
            assert_eq!(kernel.release, "6.12.1");
            assert_eq!(fs::read_to_string(kernel.bzimage).unwrap(), "first");
        }
    }
}
