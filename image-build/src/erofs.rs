//! The root folder to an erofs image (mkfs.erofs(1)) and its verity tree (veritysetup(8)), two files.
//!
//! They lie one behind the other in the slot:
//! ```text
//! 0                  data_blocks × 4096        + 4096
//! | erofs            | verity superblock       | hash tree |
//! ```

use crate::root::plan::{Entry, RootPlan};
use crate::tools::{Tools, run};
use anyhow::{Context, Result, bail, ensure};
use sha2::{Digest, Sha256};
use std::fs::{self, File};
use std::path::Path;

/// Block size of erofs, verity data and verity hashes: the page size, the only one the kernel mounts everywhere.
pub(crate) const BLOCK: u64 = 4096;

/// How much time goes into compression.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Effort {
    /// For images that are tried once and thrown away: a fifth of the time, 6 % larger.
    Quick,
    /// For images that are kept.
    Full,
}

impl Effort {
    /// zstd: half the time of lzma to read, a tenth more space.
    fn compressor(self) -> &'static str {
        match self {
            Self::Quick => "zstd,level=3",
            Self::Full => "zstd,level=9",
        }
    }
}
/// Bytes compressed together at most: larger saves space and costs reads of a few pages more time.
const CLUSTER: u32 = 65536;
/// Stored as they are: the engine's programs, which are read at every boot on the way to a working Docker. They share
/// much of their code, which the compression of the whole image finds and that of 64 KiB pieces cannot: 78 MB of
/// download instead of 115.
const PLAIN: &str = "/usr/(s?bin/(dockerd|docker|docker-proxy|containerd|containerd-shim-runc-v2)|libexec/docker/cli-plugins/docker-[a-z]+)$";

const MKFS: &str = "usr/bin/mkfs.erofs";
/// Fixed: the root hash tells images apart.
const UUID: &str = "48554c4c-0000-4000-8000-000000000001";

/// The verity parameters that the kernel command line carries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Verity {
    /// Blocks of erofs.
    pub(crate) data_blocks: u64,
    /// 32 bytes in hexadecimal digits.
    pub(crate) salt: String,
    /// 32 bytes in hexadecimal digits.
    pub(crate) root_hash: String,
}

/// An erofs image to make.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Recipe<'a> {
    /// The root as a plan.
    pub(crate) plan: &'a RootPlan,
    /// The plan carried out.
    pub(crate) folder: &'a Path,
    /// Stamp of all files, seconds since 1970.
    pub(crate) time: u64,
    /// Time spent.
    pub(crate) effort: Effort,
    /// Regular expressions over paths that are left out.
    pub(crate) without: &'a [&'a str],
}

impl Recipe<'_> {
    /// Hash of everything that decides what comes out, in hexadecimal digits.
    fn key(&self, tools: &Tools) -> Result<String> {
        let mut hash = Sha256::new();
        hash.update(sha256(&tools.file(MKFS))?);
        let settings = (self.time, self.effort.compressor(), self.without, CLUSTER, PLAIN, UUID);
        hash.update(format!("{settings:?}"));
        for (path, entry) in self.plan.entries() {
            hash.update(format!("{path} {entry:?} "));
            if let Entry::File { origin, .. } = entry {
                hash.update(sha256(origin)?);
            }
        }
        Ok(hex(&hash.finalize()))
    }
}

/// Makes the erofs `image` and returns its size in bytes. One made of the same things before is kept: `image`.key
/// tells.
pub(crate) fn make(tools: &Tools, recipe: &Recipe<'_>, image: &Path) -> Result<u64> {
    let key_file = image.with_extension("key");
    let key = recipe.key(tools)?;
    if !image.exists() || fs::read_to_string(&key_file).ok().as_deref() != Some(&key) {
        if key_file.exists() {
            fs::remove_file(&key_file)?;
        }
        run_mkfs(tools, recipe, image)?;
        fs::write(&key_file, &key)?;
    }
    let size = fs::metadata(image)?.len();
    ensure!(size % BLOCK == 0, "{} is not a whole number of blocks", image.display());
    Ok(size)
}

fn run_mkfs(tools: &Tools, recipe: &Recipe<'_>, image: &Path) -> Result<()> {
    let Recipe { folder, time, effort, without, .. } = *recipe;
    let hints = image.with_extension("hints");
    // A cluster of no bytes means no compression.
    fs::write(&hints, format!("0 {PLAIN}\n"))?;
    let mut command = tools.command(MKFS);
    command
        .args(["--quiet", "--all-root", "--all-time", "-x-1"])
        .arg(format!("-z{}", effort.compressor()))
        .arg(format!("-C{CLUSTER}"))
        .arg(format!("--compress-hints={}", hints.display()))
        .arg(format!("-T{time}"))
        .arg(format!("-U{UUID}"))
        .args(without.iter().map(|pattern| format!("--exclude-regex={pattern}")))
        .arg(image)
        .arg(folder);
    if image.exists() {
        fs::remove_file(image)?;
    }
    run(&mut command)?;
    fs::remove_file(&hints)?;
    Ok(())
}

/// Makes superblock and hash tree of `image` in the file `tree`.
pub(crate) fn make_verity(tools: &Tools, image: &Path, tree: &Path) -> Result<Verity> {
    if tree.exists() {
        fs::remove_file(tree)?;
    }
    let size = fs::metadata(image)?.len();
    let digest = sha256(image)?;
    // The salt needs no secrecy; derived from the content it keeps two builds equal and two versions apart.
    let salt = hex(&Sha256::digest([b"hull verity salt ".as_slice(), &digest].concat()));
    let mut command = tools.command("usr/sbin/veritysetup");
    command
        .args(["format", "--hash=sha256", "--format=1", "--data-block-size=4096", "--hash-block-size=4096"])
        .arg(format!("--data-blocks={}", size / BLOCK))
        .arg(format!("--salt={salt}"))
        .arg(format!("--uuid={UUID}"))
        .args([image, tree]);
    let output = run(&mut command)?;
    let root_hash = root_hash(&String::from_utf8_lossy(&output))?;
    Ok(Verity { data_blocks: size / BLOCK, salt, root_hash })
}

fn root_hash(output: &str) -> Result<String> {
    let value = output.lines().find_map(|line| line.strip_prefix("Root hash:")).map(str::trim);
    match value {
        Some(hash) if hash.len() == 64 && hash.bytes().all(|byte| byte.is_ascii_hexdigit()) => Ok(hash.to_owned()),
        _ => bail!("veritysetup printed no root hash: {output}"),
    }
}

/// SHA-256 of a file.
pub(crate) fn sha256(path: &Path) -> Result<[u8; 32]> {
    let mut hash = Sha256::new();
    let mut file = File::open(path).with_context(|| format!("{}", path.display()))?;
    std::io::copy(&mut file, &mut hash)?;
    Ok(hash.finalize().into())
}

/// Lower-case hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_root_hash_is_taken_from_veritysetup() {
        let hash = "ab".repeat(32);
        assert_eq!(root_hash(&format!("Salt:  \t00\nRoot hash:      \t{hash}\n")).unwrap(), hash);
        for output in ["", "Root hash: short", "Salt: x\n"] {
            assert!(root_hash(output).is_err(), "{output}");
        }
    }
}
