//! The directory an image is unpacked into. Nothing done here leaves it: every path is resolved by openat2(2) with
//! `RESOLVE_IN_ROOT`, so links of a hostile image lead, as they will for the container, to places below its root.

use crate::error::ImageError;
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{self, AtFlags, Dir, FileType, Gid, Mode, OFlags, RawMode, ResolveFlags, Timespec, Timestamps, Uid};
use rustix::io::Errno;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

/// Mode of a directory the image has no entry for.
const DIRECTORY_MODE: RawMode = 0o755;
/// Directories a file may really be below, links followed; bounds every walk over the tree.
const MAX_DEPTH: usize = 128;

/// Who owns an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Owner {
    pub(crate) uid: u32,
    pub(crate) gid: u32,
}

/// The directory.
#[derive(Debug)]
pub(crate) struct Tree {
    root: OwnedFd,
    /// Components of the root's own path.
    above: usize,
    /// Of files made here by default; changing the owner to it needs no privilege.
    own: Owner,
}

impl Tree {
    /// Makes the root of a new image at `path`, which must not exist.
    pub(crate) fn create(path: &Path) -> Result<Self, ImageError> {
        let what = || ImageError::io::<Errno>(format!("make {}", path.display()));
        fs::mkdir(path, Mode::from_raw_mode(DIRECTORY_MODE)).map_err(what())?;
        let root =
            fs::open(path, OFlags::DIRECTORY | OFlags::CLOEXEC | OFlags::NOFOLLOW, Mode::empty()).map_err(what())?;
        // The mask of whoever runs this is not the image's matter.
        fs::fchmod(&root, Mode::from_raw_mode(DIRECTORY_MODE)).map_err(what())?;
        let own = Owner { uid: rustix::process::geteuid().as_raw(), gid: rustix::process::getegid().as_raw() };
        let above = depth(root.as_fd()).map_err(what())?;
        Ok(Self { root, above, own })
    }

    /// Writes a file in place of whatever is there.
    pub(crate) fn file(
        &self,
        path: &str,
        mode: RawMode,
        owner: Owner,
        mtime: u64,
        content: &mut impl Read,
    ) -> Result<(), ImageError> {
        let (folder, name) = self.cleared(path)?;
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let what = || ImageError::io::<io::Error>(format!("write {path}"));
        let errno = || ImageError::io::<Errno>(format!("write {path}"));
        let mut file = File::from(fs::openat(&folder, name, flags, Mode::RUSR | Mode::WUSR).map_err(errno())?);
        io::copy(content, &mut file).map_err(what())?;
        self.give(file.as_fd(), owner).map_err(errno())?;
        fs::fchmod(&file, Mode::from_raw_mode(mode)).map_err(errno())?;
        let time = Timespec { tv_sec: i64::try_from(mtime).unwrap_or(0), tv_nsec: 0 };
        fs::futimens(&file, &Timestamps { last_access: time, last_modification: time }).map_err(errno())
    }

    /// Makes a directory, or gives the one that is there another mode and owner.
    pub(crate) fn directory(&self, path: &str, mode: RawMode, owner: Owner) -> Result<(), ImageError> {
        let what = || ImageError::io::<Errno>(format!("make directory {path}"));
        let (folder, name) = self.parent(path)?;
        if kind(folder.as_fd(), name).map_err(what())? != Some(FileType::Directory) {
            remove_at(folder.as_fd(), name, MAX_DEPTH).map_err(what())?;
            fs::mkdirat(&folder, name, Mode::from_raw_mode(0o700)).map_err(what())?;
        }
        let flags = OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let made = fs::openat(&folder, name, flags, Mode::empty()).map_err(what())?;
        self.give(made.as_fd(), owner).map_err(what())?;
        fs::fchmod(&made, Mode::from_raw_mode(mode)).map_err(what())
    }

    /// Makes a symbolic link in place of whatever is there.
    pub(crate) fn symlink(&self, path: &str, target: &str, owner: Owner) -> Result<(), ImageError> {
        let (folder, name) = self.cleared(path)?;
        let what = || ImageError::io::<Errno>(format!("make link {path}"));
        fs::symlinkat(target, &folder, name).map_err(what())?;
        if owner == self.own {
            return Ok(());
        }
        let (uid, gid) = (Uid::from_raw(owner.uid), Gid::from_raw(owner.gid));
        fs::chownat(&folder, name, Some(uid), Some(gid), AtFlags::SYMLINK_NOFOLLOW).map_err(what())
    }

    /// Makes a hard link to a regular file of the image.
    pub(crate) fn link(&self, path: &str, target: &str) -> Result<(), ImageError> {
        let missing = || ImageError::refused(path, format!("a hard link to {target:?}, which is no file of the image"));
        let what = || ImageError::io::<Errno>(format!("make link {path}"));
        let (from, original) = self.parent(target)?;
        if path == target || kind(from.as_fd(), original).map_err(what())? != Some(FileType::RegularFile) {
            return Err(missing());
        }
        let (folder, name) = self.parent(path)?;
        // The path may lead to the target itself through a link; clearing it would take the target away.
        if kind(folder.as_fd(), name).map_err(what())?.is_some() {
            let of = |folder: &OwnedFd, name: &str| fs::statat(folder, name, AtFlags::SYMLINK_NOFOLLOW);
            if of(&folder, name).map_err(what())?.st_ino == of(&from, original).map_err(what())?.st_ino {
                return Ok(());
            }
            remove_at(folder.as_fd(), name, MAX_DEPTH).map_err(what())?;
            if kind(from.as_fd(), original).map_err(what())?.is_none() {
                return Err(missing());
            }
        }
        fs::linkat(&from, original, &folder, name, AtFlags::empty()).map_err(what())
    }

    /// Takes an entry out, with all below; none there is as good.
    pub(crate) fn remove(&self, path: &str) -> Result<(), ImageError> {
        let (folder, name) = self.parent(path)?;
        remove_at(folder.as_fd(), name, MAX_DEPTH).map_err(ImageError::io(format!("remove {path}")))
    }

    /// Takes everything out of a directory, and of those below that are kept, but the paths `keep` holds for.
    pub(crate) fn empty(&self, path: &str, keep: &dyn Fn(&str) -> bool) -> Result<(), ImageError> {
        let what = || ImageError::io::<Errno>(format!("empty {path}"));
        let folder = self.walk(path)?;
        let folder = fs::openat(&folder, ".", OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty()).map_err(what())?;
        for name in names(folder.as_fd()).map_err(what())? {
            let text = name.to_string_lossy();
            let child = if path.is_empty() { text.into_owned() } else { format!("{path}/{text}") };
            if !keep(&child) {
                remove_at(folder.as_fd(), name.as_c_str(), MAX_DEPTH).map_err(what())?;
            } else if kind(folder.as_fd(), name.as_c_str()).map_err(what())? == Some(FileType::Directory) {
                self.empty(&child, keep)?;
            }
        }
        Ok(())
    }

    /// Makes what a mount needs to be put on, where the image has nothing: a directory, or an empty file.
    pub(crate) fn mount_point(&self, path: &str, file: bool) -> Result<(), ImageError> {
        let path = path.trim_matches('/');
        if path.is_empty() || self.resolve(path).is_ok() {
            return Ok(());
        }
        if file {
            self.file(path, 0o644, self.own, 0, &mut io::empty())
        } else {
            self.directory(path, DIRECTORY_MODE, self.own)
        }
    }

    /// What `path` leads to for a process of the container.
    pub(crate) fn resolve(&self, path: &str) -> Result<OwnedFd, Errno> {
        let flags = OFlags::PATH | OFlags::CLOEXEC;
        let resolve = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
        fs::openat2(&self.root, path.trim_start_matches('/'), flags, Mode::empty(), resolve)
    }

    pub(crate) fn root(&self) -> BorrowedFd<'_> {
        self.root.as_fd()
    }

    fn give(&self, file: BorrowedFd<'_>, owner: Owner) -> Result<(), Errno> {
        if owner == self.own {
            return Ok(());
        }
        fs::fchown(file, Some(Uid::from_raw(owner.uid)), Some(Gid::from_raw(owner.gid)))
    }

    /// The directory an entry is in and its name there, nothing at the name.
    fn cleared<'a>(&self, path: &'a str) -> Result<(OwnedFd, &'a str), ImageError> {
        let (folder, name) = self.parent(path)?;
        remove_at(folder.as_fd(), name, MAX_DEPTH).map_err(ImageError::io(format!("replace {path}")))?;
        Ok((folder, name))
    }

    fn parent<'a>(&self, path: &'a str) -> Result<(OwnedFd, &'a str), ImageError> {
        let (folder, name) = path.rsplit_once('/').unwrap_or(("", path));
        Ok((self.walk(folder)?, name))
    }

    /// Opens a directory, made where it is missing.
    fn walk(&self, path: &str) -> Result<OwnedFd, ImageError> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let resolve = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
        let open = |path: &str| {
            fs::openat2(&self.root, if path.is_empty() { "." } else { path }, flags, Mode::empty(), resolve)
        };
        let found = match open(path) {
            Err(Errno::NOENT) => {
                let (above, name) = self.parent(path)?;
                match fs::mkdirat(&above, name, Mode::from_raw_mode(DIRECTORY_MODE)) {
                    Ok(()) => open(path),
                    // Something is there and leads nowhere.
                    Err(Errno::EXIST) => Err(Errno::NOENT),
                    Err(errno) => Err(errno),
                }
            }
            other => other,
        };
        let folder = match found {
            Ok(folder) => folder,
            Err(Errno::NOTDIR | Errno::LOOP | Errno::NOENT) => {
                return Err(ImageError::refused(path, "an entry is below it, but it leads to no directory"));
            }
            Err(errno) => return Err(ImageError::io(format!("open {path}"))(errno)),
        };
        let deep = depth(folder.as_fd()).map_err(ImageError::io(format!("open {path}")))?;
        if deep > self.above + MAX_DEPTH {
            return Err(ImageError::refused(path, format!("more than {MAX_DEPTH} directories deep by way of links")));
        }
        Ok(folder)
    }
}

/// Components of a directory's real path.
fn depth(folder: BorrowedFd<'_>) -> Result<usize, Errno> {
    use std::os::fd::AsRawFd;
    let path = fs::readlink(format!("/proc/self/fd/{}", folder.as_raw_fd()), Vec::new())?;
    Ok(path.to_bytes().iter().filter(|byte| **byte == b'/').count())
}

fn kind<P: rustix::path::Arg>(folder: BorrowedFd<'_>, name: P) -> Result<Option<FileType>, Errno> {
    match fs::statat(folder, name, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(stat) => Ok(Some(FileType::from_raw_mode(stat.st_mode))),
        Err(Errno::NOENT) => Ok(None),
        Err(errno) => Err(errno),
    }
}

fn names(folder: BorrowedFd<'_>) -> Result<Vec<std::ffi::CString>, Errno> {
    let mut names = Vec::new();
    for entry in Dir::read_from(folder)? {
        let name = entry?.file_name().to_owned();
        if !matches!(name.to_bytes(), b"." | b"..") {
            names.push(name);
        }
    }
    Ok(names)
}

/// Removes an entry and all below, never following a link.
fn remove_at<P: rustix::path::Arg + Copy>(folder: BorrowedFd<'_>, name: P, depth: usize) -> Result<(), Errno> {
    match fs::unlinkat(folder, name, AtFlags::empty()) {
        Ok(()) | Err(Errno::NOENT) => return Ok(()),
        Err(Errno::ISDIR) => {}
        Err(errno) => return Err(errno),
    }
    let Some(depth) = depth.checked_sub(1) else { return Err(Errno::NAMETOOLONG) };
    let flags = OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let inner = fs::openat(folder, name, flags, Mode::empty())?;
    for child in names(inner.as_fd())? {
        remove_at(inner.as_fd(), child.as_c_str(), depth)?;
    }
    fs::unlinkat(folder, name, AtFlags::REMOVEDIR)
}
