//! In the child: files of the container, found without being led out of it.
//!
//! What lies below the root may be the container's own work, such as a symbolic link in a volume, so paths are walked by
//! openat2(2): `..` and absolute links end at the root, and the magic links of `/proc/<pid>/fd` and the like, which lead
//! to whatever this process still has open of the host, are refused. A path is walked once; what is done afterwards is
//! done to the descriptor, which nobody can exchange. Where the kernel's own files are meant, their file system is asked
//! what it is.

use hull_sys::walk::walk;
use rustix::fs::{FileType, Mode, OFlags, ResolveFlags, fstat, fstatfs, makedev, mkdirat};
use rustix::io::Errno;
use std::fs::File;
use std::io::Write;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

// Magic numbers of statfs(2), linux/magic.h.
const PROC_SUPER_MAGIC: u64 = 0x9fa0;
const DEVPTS_SUPER_MAGIC: u64 = 0x1cd1;

/// Major and minor of `/dev/null`, `Documentation/admin-guide/devices.txt`.
const NULL: (u32, u32) = (1, 3);

/// For names that are the kernel's: nothing but what they say, on the file system they were asked of.
const KERNELS_OWN: ResolveFlags = ResolveFlags::BENEATH.union(ResolveFlags::NO_MAGICLINKS).union(ResolveFlags::NO_XDEV);

/// Opens what `path` is in the container, as a place (`O_PATH`); `more` is added to the rules above.
pub(super) fn find(path: &Path, more: ResolveFlags) -> Result<OwnedFd, Errno> {
    open(path, OFlags::empty(), more)
}

/// As [`find`], but a directory.
pub(super) fn find_directory(path: &Path) -> Result<OwnedFd, Errno> {
    open(path, OFlags::DIRECTORY, ResolveFlags::empty())
}

fn open(path: &Path, flags: OFlags, more: ResolveFlags) -> Result<OwnedFd, Errno> {
    let place = OFlags::PATH | OFlags::CLOEXEC;
    let root = rustix::fs::open("/", place | OFlags::DIRECTORY, Mode::empty())?;
    let rules = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS | more;
    walk(root, path, place | flags, rules)
}

/// As [`find`], and makes what is missing, directories on the way included. The root answers `EROFS`.
pub(super) fn find_or_make(path: &Path, directory: bool, more: ResolveFlags) -> Result<OwnedFd, Errno> {
    match find(path, more) {
        Err(Errno::NOENT) => {}
        found => return found,
    }
    let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else { return Err(Errno::NOENT) };
    let parent = find_or_make(parent, true, more)?;
    // Neither call follows a link that has been put here meanwhile.
    if directory {
        mkdirat(&parent, name, Mode::from_raw_mode(0o755))?;
    } else {
        let flags = OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY | OFlags::CLOEXEC;
        drop(rustix::fs::openat(&parent, name, flags, Mode::from_raw_mode(0o644))?);
    }
    find(path, more)
}

/// Whether it is a directory.
pub(super) fn is_directory(place: impl AsFd) -> Result<bool, Errno> {
    Ok(FileType::from_raw_mode(fstat(place)?.st_mode) == FileType::Directory)
}

/// Whether it lies on procfs.
pub(super) fn is_on_procfs(place: impl AsFd) -> Result<bool, Errno> {
    is_on(place, PROC_SUPER_MAGIC)
}

fn is_on(place: impl AsFd, magic: u64) -> Result<bool, Errno> {
    Ok(u64::try_from(fstatfs(place)?.f_type).is_ok_and(|found| found == magic))
}

/// The null device; `ENODEV` when the container's `/dev/null` is something else.
pub(super) fn null() -> Result<OwnedFd, Errno> {
    let node = find(Path::new("/dev/null"), ResolveFlags::NO_SYMLINKS)?;
    let stat = fstat(&node)?;
    let is_null =
        FileType::from_raw_mode(stat.st_mode) == FileType::CharacterDevice && stat.st_rdev == makedev(NULL.0, NULL.1);
    if is_null { Ok(node) } else { Err(Errno::NODEV) }
}

/// Writes `value` to a file below `/proc`; `ENODEV` when that is no procfs, `EXDEV` when something covers the file.
pub(super) fn write_procfs(file: &Path, value: &[u8]) -> Result<(), Errno> {
    let procfs = find(Path::new("/proc"), ResolveFlags::NO_SYMLINKS)?;
    if !is_on(&procfs, PROC_SUPER_MAGIC)? {
        return Err(Errno::NODEV);
    }
    let name = file.strip_prefix("/proc").map_err(|_| Errno::INVAL)?;
    let file = walk(procfs, name, OFlags::WRONLY | OFlags::CLOEXEC, KERNELS_OWN)?;
    File::from(file).write_all(value).map_err(|error| super::of_io(&error))
}

/// Opens the multiplexer of the container's terminals; `ENODEV` when `/dev/pts` is no devpts.
pub(super) fn open_ptmx() -> Result<OwnedFd, Errno> {
    let devpts = find(Path::new("/dev/pts"), ResolveFlags::NO_SYMLINKS)?;
    if !is_on(&devpts, DEVPTS_SUPER_MAGIC)? {
        return Err(Errno::NODEV);
    }
    let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC;
    walk(devpts, Path::new("ptmx"), flags, KERNELS_OWN)
}

#[cfg(test)]
mod tests {
    use super::*;
    use nix::sched::{CloneFlags, unshare};
    use rustix::mount::{MountFlags, MountPropagationFlags, mount, mount_bind, mount_change};

    /// CVE-2025-52881: what a container puts over files of `/proc` does not get what is meant for the kernel. No start
    /// comes that far, for nothing can be mounted there; this is the second line.
    #[test]
    fn root_cve_2025_52881_writes_go_to_procfs_alone() {
        // A mount namespace of this thread alone.
        unshare(CloneFlags::CLONE_NEWNS).expect("this test needs root");
        mount_change("/", MountPropagationFlags::PRIVATE | MountPropagationFlags::REC).expect("make / private");
        let directory = tempfile::tempdir().expect("temporary directory");
        let volume = directory.path().join("oom_score_adj");
        std::fs::write(&volume, "untouched").expect("write");
        // One value at a time: the score is the whole process's.
        let score = std::fs::read("/proc/thread-self/oom_score_adj").expect("read");
        let file = format!("/proc/{}/oom_score_adj", std::process::id());
        assert_eq!(write_procfs(Path::new(&file), &score), Ok(()));
        mount_bind(&volume, &file).expect("cover the file");
        assert_eq!(write_procfs(Path::new(&file), &score), Err(Errno::XDEV));
        mount("tmpfs", "/proc", "tmpfs", MountFlags::empty(), None).expect("cover /proc");
        std::fs::create_dir("/proc/self").expect("make directory");
        std::fs::write("/proc/self/oom_score_adj", "untouched").expect("write");
        assert_eq!(write_procfs(Path::new("/proc/self/oom_score_adj"), &score), Err(Errno::NODEV));
        assert_eq!(std::fs::read_to_string("/proc/self/oom_score_adj").expect("read"), "untouched");
        assert_eq!(std::fs::read_to_string(&volume).expect("read"), "untouched");
    }
}
