//! How the kernel is made: extract, configure from nothing but the fragments, check, compile.
//!
//! Two builds with the same key give the same bytes, in whatever folder, on whatever day, by whomever: names and
//! dates that the kernel would take from the machine are fixed here.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{self, Command};
use std::thread;

use anyhow::{Context, Result, bail};

use super::run::run;
use super::{Kernel, check_built, entry, read};

/// Part of the cache key: raised when this file changes what comes out.
pub(super) const VERSION: u32 = 1;

/// Appended to the kernel's version, shown by `uname -r`.
const LOCAL_VERSION: &str = "-hull";

/// Programs the build starts, the Debian package of each, and whether its version shapes the result.
const TOOLS: [(&str, &str, bool); 10] = [
    ("gcc", "gcc", true),
    ("ld", "binutils", true),
    ("zstd", "zstd", true),
    ("make", "make", false),
    ("flex", "flex", false),
    ("bison", "bison", false),
    ("bc", "bc", false),
    ("perl", "perl", false),
    ("tar", "tar", false),
    ("xz", "xz-utils", false),
];

/// Names and versions of the tools that shape the result.
///
/// # Errors
/// Names every missing tool and the Debian packages that bring them.
pub(super) fn toolchain() -> Result<String> {
    let mut versions = String::new();
    let mut missing = Vec::new();
    for (program, package, shapes_result) in TOOLS {
        match Command::new(program).arg("--version").env("LC_ALL", "C").output() {
            Ok(output) if shapes_result => {
                let text = String::from_utf8_lossy(&output.stdout);
                versions += &format!("{program}: {}\n", text.lines().next().unwrap_or_default());
            }
            Ok(_) => {}
            Err(_) => missing.push((program, package)),
        }
    }
    if missing.is_empty() {
        return Ok(versions);
    }
    let (programs, packages): (Vec<_>, Vec<_>) = missing.into_iter().unzip();
    bail!("the kernel build needs {}; install {}", programs.join(", "), packages.join(" "));
}

/// Builds a kernel and puts it into the cache below `store` under `key`.
pub(super) fn make(
    source_tarball: &Path,
    fragments: &str,
    config_dir: &Path,
    store: &Path,
    key: &str,
    progress: &mut dyn FnMut(&str),
) -> Result<Kernel> {
    fs::create_dir_all(store).with_context(|| format!("cannot create {}", store.display()))?;
    let work = WorkFolder::create(store)?;
    let log = store.join(format!("{key}.log"));
    fs::write(&log, "").with_context(|| format!("cannot write {}", log.display()))?;

    let source = work.path.join("linux");
    fs::create_dir(&source).with_context(|| format!("cannot create {}", source.display()))?;
    let mut tar = Command::new("tar");
    tar.arg("--extract").arg("--file").arg(source_tarball).arg("--strip-components=1").arg("--directory").arg(&source);
    run(&mut tar, "kernel: unpacking the source", &log, progress)?;

    let merged = work.path.join("fragments");
    fs::write(&merged, fragments).with_context(|| format!("cannot write {}", merged.display()))?;
    let build = Build::new(&source)?;
    // allnoconfig answers "no" to everything the fragments do not name; olddefconfig after tinyconfig would answer
    // with the default of each option that a fragment makes visible.
    let mut configure = build.make(&["allnoconfig"]);
    configure.env("KCONFIG_ALLCONFIG", &merged);
    run(&mut configure, "kernel: configuring", &log, progress)?;
    let config = source.join(".config");
    check_built(&config, config_dir)?;

    let jobs = format!("-j{}", thread::available_parallelism().map_or(1, usize::from));
    run(&mut build.make(&[&jobs, "bzImage"]), "kernel: compiling", &log, progress)?;
    let release = read(&source.join("include/config/kernel.release"))?.trim().to_owned();
    let built = Kernel { bzimage: source.join("arch/x86/boot/bzImage"), config, release };
    entry::store(store, key, &work.path, &built)
}

/// A configured source tree and the settings every call of make on it gets.
struct Build<'a> {
    source: &'a Path,
    timestamp: String,
}

impl<'a> Build<'a> {
    fn new(source: &'a Path) -> Result<Self> {
        let makefile = source.join("Makefile");
        // Written by the kernel's authors at each release; nothing here touches it.
        let released = fs::metadata(&makefile).with_context(|| format!("{} holds no kernel", makefile.display()))?;
        Ok(Self { source, timestamp: utc_date(released.mtime())? })
    }

    fn make(&self, arguments: &[&str]) -> Command {
        let mut make = Command::new("make");
        make.arg("-C").arg(self.source).args(arguments);
        // A caller's ARCH, KCFLAGS, MAKEFLAGS and the like must not shape the kernel.
        make.env_clear().env("LC_ALL", "C");
        for inherited in ["PATH", "HOME", "TMPDIR"] {
            if let Some(value) = std::env::var_os(inherited) {
                make.env(inherited, value);
            }
        }
        // Folder names would reach assertion texts.
        let folders = format!("-ffile-prefix-map={}=.", self.source.display());
        make.arg(format!("KCFLAGS={folders}")).arg(format!("KAFLAGS={folders}"));
        make.arg(format!("LOCALVERSION={LOCAL_VERSION}"));
        make.arg(format!("KBUILD_BUILD_TIMESTAMP={}", self.timestamp));
        make.args(["KBUILD_BUILD_USER=hull", "KBUILD_BUILD_HOST=hull", "KBUILD_BUILD_VERSION=1"]);
        // No part is written in Rust, but the version of a compiler found would be written into the configuration.
        make.arg("RUSTC=false");
        make
    }
}

/// The day of a time in seconds since 1970, as the kernel shows it in `uname -v`: year-month-day.
fn utc_date(seconds: i64) -> Result<String> {
    let output = Command::new("date")
        .args(["--utc", "+%Y-%m-%d"])
        .arg(format!("--date=@{seconds}"))
        .output()
        .context("cannot run date")?;
    let date = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    if date.is_empty() {
        bail!("date cannot print the time {seconds}");
    }
    Ok(date)
}

/// A folder for one build, removed in the end. An interrupted build cannot remove its own; the next one does.
struct WorkFolder {
    path: PathBuf,
}

impl WorkFolder {
    const PREFIX: &str = "build-";

    fn create(store: &Path) -> Result<Self> {
        for folder in fs::read_dir(store).with_context(|| format!("cannot list {}", store.display()))? {
            let folder = folder.with_context(|| format!("cannot list {}", store.display()))?;
            let name = folder.file_name();
            let builder = name.to_str().and_then(|name| name.strip_prefix(Self::PREFIX)?.parse::<u32>().ok());
            if builder.is_some_and(|pid| pid == process::id() || !Path::new("/proc").join(pid.to_string()).exists()) {
                let path = folder.path();
                fs::remove_dir_all(&path).with_context(|| format!("cannot remove the old build {}", path.display()))?;
            }
        }
        let path = store.join(format!("{}{}", Self::PREFIX, process::id()));
        fs::create_dir(&path).with_context(|| format!("cannot create {}", path.display()))?;
        // The compiler records the folder's real name, which is the one to be mapped away.
        let path = path.canonicalize().with_context(|| format!("cannot resolve {}", path.display()))?;
        Ok(Self { path })
    }
}

impl Drop for WorkFolder {
    fn drop(&mut self) {
        // What is left costs disk space only, and the next build removes it.
        drop(fs::remove_dir_all(&self.path));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_date_is_that_of_greenwich() {
        assert_eq!(utc_date(0).unwrap(), "1970-01-01");
        assert_eq!(utc_date(1_700_000_000).unwrap(), "2023-11-14");
    }

    #[test]
    fn builds_of_dead_processes_are_removed_and_those_of_living_ones_kept() {
        let store = tempfile::tempdir().unwrap();
        // Above the largest process id Linux gives out.
        for name in ["build-4194305", "build-1", "other"] {
            fs::create_dir(store.path().join(name)).unwrap();
        }
        let work = WorkFolder::create(store.path()).unwrap();
        let exists = |name| store.path().join(name).exists();
        assert!(!exists("build-4194305") && exists("build-1") && exists("other"));
        let path = work.path.clone();
        assert!(path.exists());
        drop(work);
        assert!(!path.exists());
    }

    #[test]
    fn make_gets_nothing_of_the_callers_environment_but_paths() {
        let build = Build { source: Path::new("/src"), timestamp: "2023-11-14".into() };
        let command = build.make(&["bzImage"]);
        let names: Vec<_> = command.get_envs().filter_map(|(name, _)| name.to_str()).collect();
        assert!(names.iter().all(|name| ["HOME", "LC_ALL", "PATH", "TMPDIR"].contains(name)), "{names:?}");
    }
}
