//! Carries `swap` out: makes the file where there is none, and has the system daemon swap to it.

use super::program;
use crate::userdata::swap::Swap;
use anyhow::{Context, ensure};
use rustix::fs::{FallocateFlags, fallocate, statvfs};
use std::fs::{File, OpenOptions};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;
use std::process::Command;

/// Makes a swap area of a file.
const MKSWAP: &str = "mkswap";
/// Sizes that are chosen here are whole MiB.
const MIB: u64 = 1 << 20;
/// Where the signature is on pages of 4 KiB: swapon(8).
const SIGNATURE: (u64, &[u8; 10]) = (4086, b"SWAPSPACE2");

/// Swaps to the file below `root` by the `hull` command `program`. An area that is there is used as it is.
///
/// # Errors
/// The file is something else, the disk has no room, or the daemon does not take it.
pub fn on(root: &Path, program: &Path, swap: &Swap) -> anyhow::Result<()> {
    let path = root.join(swap.file.trim_start_matches('/'));
    match File::open(&path) {
        Ok(file) => {
            let mut found = [0; SIGNATURE.1.len()];
            let is_area = file.read_exact_at(&mut found, SIGNATURE.0).is_ok() && found == *SIGNATURE.1;
            ensure!(is_area, "{} is no swap area, and is left alone: name another file, or remove it", swap.file);
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => make(&path, swap)?,
        Err(error) => return Err(error).with_context(|| swap.file.clone()),
    }
    program::run(Command::new(program).arg("swapon").arg(&path), Some(program::SHORT))
}

/// Under another name first: a file that is there is whole.
fn make(path: &Path, swap: &Swap) -> anyhow::Result<()> {
    let directory = path.parent().context("no directory")?;
    std::fs::create_dir_all(directory).with_context(|| directory.display().to_string())?;
    let space = statvfs(directory).context("free space")?;
    let free = space.f_bavail.saturating_mul(space.f_frsize);
    let size = match swap.size {
        Some(size) => size,
        None => chosen(memory(&std::fs::read_to_string("/proc/meminfo")?), free, swap.max),
    };
    ensure!(size <= free, "{} MiB are wanted, and {} MiB are free", size / MIB, free / MIB);
    let name = path.file_name().context("no file name")?;
    let new = path.with_file_name(format!(".{}.new", name.to_string_lossy()));
    std::fs::remove_file(&new).ok();
    let result = fill(&new, size).and_then(|()| program::run(Command::new(MKSWAP).arg(&new), Some(program::SHORT)));
    let result = result.and_then(|()| std::fs::rename(&new, path).with_context(|| path.display().to_string()));
    if result.is_err() {
        // The first error is the one to tell.
        std::fs::remove_file(&new).ok();
    }
    result
}

fn fill(path: &Path, size: u64) -> anyhow::Result<()> {
    let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    fallocate(&file, FallocateFlags::empty(), 0, size).with_context(|| format!("reserve {} MiB", size / MIB))?;
    Ok(file.sync_all()?)
}

/// As much as there is memory, but at most a quarter of the free space.
fn chosen(memory: u64, free: u64, max: Option<u64>) -> u64 {
    memory.min(free / 4).min(max.unwrap_or(u64::MAX)) / MIB * MIB
}

/// Bytes, of the text of /proc/meminfo: proc_meminfo(5).
fn memory(text: &str) -> u64 {
    let line = text.lines().find_map(|line| line.strip_prefix("MemTotal:"));
    line.and_then(|line| line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()).unwrap_or(0) << 10
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::Place;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_file_is_made_once_and_foreign_ones_are_left_alone() {
        let root = tempfile::tempdir().unwrap();
        let hull = root.path().join("hull");
        std::fs::write(&hull, format!("#!/bin/sh\necho \"$@\" >> {}/calls\n", root.path().display())).unwrap();
        std::fs::set_permissions(&hull, std::fs::Permissions::from_mode(0o755)).unwrap();
        let swap = |file: &str, size| Swap { place: Place::default(), file: file.into(), size: Some(size), max: None };
        for _ in 0..2 {
            on(root.path(), &hull, &swap("/srv/x/swap", 2 << 20)).unwrap();
        }
        let file = root.path().join("srv/x/swap");
        let calls = std::fs::read_to_string(root.path().join("calls")).unwrap();
        assert_eq!(calls, format!("swapon {0}\nswapon {0}\n", file.display()));
        let stat = std::fs::metadata(&file).unwrap();
        assert_eq!((stat.len(), stat.permissions().mode() & 0o777), (2 << 20, 0o600));
        std::fs::write(root.path().join("srv/data"), "mine").unwrap();
        for (swap, expected) in [
            (swap("/srv/data", 2 << 20), "is no swap area, and is left alone"),
            (swap("/srv/big", 1 << 60), "MiB are free"),
            (swap("/srv/small", 4096), ""),
        ] {
            let error = on(root.path(), &hull, &swap).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        }
        assert_eq!(std::fs::read(root.path().join("srv/data")).unwrap(), b"mine");
        assert_eq!(std::fs::read_dir(root.path().join("srv")).unwrap().count(), 2);
    }

    #[test]
    fn sizes_are_chosen_by_memory_and_space() {
        let gib = 1 << 30;
        for (memory, free, max, expected) in [
            (gib, 100 * gib, None, gib),
            (16 * gib, 8 * gib, None, 2 * gib),
            (16 * gib, 80 * gib, Some(gib + 5), gib),
            (0, gib, None, 0),
        ] {
            assert_eq!(chosen(memory, free, max), expected);
        }
        assert_eq!(memory("MemFree: 1 kB\nMemTotal:        2048 kB\n"), 2 << 20);
    }
}
