//! A path in the root of a running service, to a descriptor: links lead nowhere outside that root.

use crate::lifecycle::process::Init;
use base64::Engine as _;
use hull_sys::walk::walk;
use rustix::fd::OwnedFd;
use rustix::fs::{AtFlags, FileType, OFlags, ResolveFlags, fstat, readlinkat, statat};
use serde::Serialize;
use std::io;
use std::path::{Component, Path, PathBuf};

/// The root of a running service, as its first process sees it.
#[derive(Debug)]
pub(super) struct Root(OwnedFd);

/// What is at a path, in the words of Docker's clients.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Stat {
    pub(super) name: String,
    size: i64,
    /// Go's `os.FileMode`.
    mode: u32,
    mtime: String,
    link_target: String,
}

impl Stat {
    /// Value of the header: JSON in base64.
    pub(super) fn header(&self) -> String {
        base64::engine::general_purpose::STANDARD.encode(serde_json::to_vec(self).unwrap_or_default())
    }
}

impl Root {
    pub(super) fn of(init: &Init) -> io::Result<Self> {
        init.root().map(Self)
    }

    #[cfg(test)]
    pub(super) fn folder(path: &Path) -> Self {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        Self(rustix::fs::open(path, flags, rustix::fs::Mode::empty()).unwrap())
    }

    /// Opens a folder, all links followed inside the root.
    pub(super) fn folder_at(&self, path: &Path) -> io::Result<OwnedFd> {
        self.resolve(path, OFlags::RDONLY | OFlags::DIRECTORY)
    }

    /// Opens what is at a path; a link at its end is opened as the link it is.
    pub(super) fn open(&self, path: &str) -> io::Result<OwnedFd> {
        self.resolve(Path::new(path), OFlags::PATH | OFlags::NOFOLLOW)
    }

    /// Looks at what is at a path, at the link itself if it is one.
    pub(super) fn stat(&self, path: &str) -> io::Result<Stat> {
        let wrong = |errno: rustix::io::Errno| named(path, errno);
        let found = self.open(path)?;
        let stat = fstat(&found).map_err(wrong)?;
        let link = FileType::from_raw_mode(stat.st_mode) == FileType::Symlink;
        let target = if link { readlinkat(&found, "", Vec::new()).map_err(wrong)? } else { c"".into() };
        Ok(Stat {
            name: last_name(path),
            size: stat.st_size,
            mode: go_mode(stat.st_mode),
            mtime: crate::clock::WallTime { seconds: stat.st_mtime, nanoseconds: 0 }.rfc3339(),
            link_target: target.to_string_lossy().into_owned(),
        })
    }

    fn resolve(&self, path: &Path, flags: OFlags) -> io::Result<OwnedFd> {
        let inside: PathBuf =
            path.components().filter(|part| matches!(part, Component::Normal(_) | Component::ParentDir)).collect();
        let inside = if inside.as_os_str().is_empty() { Path::new(".") } else { inside.as_path() };
        // Magic links of /proc lead out of every root.
        let resolve = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
        walk(&self.0, inside, flags | OFlags::CLOEXEC, resolve).map_err(|errno| named(&path.to_string_lossy(), errno))
    }
}

/// The error with the path it happened on.
pub(super) fn named(path: &str, errno: rustix::io::Errno) -> io::Error {
    let error = io::Error::from(errno);
    io::Error::new(error.kind(), format!("{path}: {error}"))
}

fn last_name(path: &str) -> String {
    Path::new(path).file_name().map_or_else(|| "/".into(), |name| name.to_string_lossy().into_owned())
}

/// Bits of Go's `os.FileMode`: permissions below, kind from the top.
fn go_mode(mode: u32) -> u32 {
    let kind = match FileType::from_raw_mode(mode) {
        FileType::Directory => 1 << 31,
        FileType::Symlink => 1 << 27,
        FileType::BlockDevice => 1 << 26,
        FileType::CharacterDevice => 1 << 26 | 1 << 21,
        FileType::Fifo => 1 << 25,
        FileType::Socket => 1 << 24,
        _ => 0,
    };
    let special = [(0o4000, 23), (0o2000, 22), (0o1000, 20)];
    let special = special.iter().filter(|(bit, _)| mode & bit != 0).fold(0, |bits, (_, go)| bits | 1 << go);
    kind | special | mode & 0o777
}

/// Metadata of a name in a folder, of a link itself.
pub(super) fn stat_at(folder: &OwnedFd, name: &std::ffi::CStr) -> io::Result<rustix::fs::Stat> {
    statat(folder, name, AtFlags::SYMLINK_NOFOLLOW).map_err(|errno| named(&name.to_string_lossy(), errno))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    /// CVE-2018-15664: a link in the service's root that would lead out of it.
    #[test]
    fn links_stay_inside() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("root");
        std::fs::create_dir_all(root.join("etc")).unwrap();
        std::fs::write(root.join("etc/hostname"), "inside").unwrap();
        symlink("/etc", root.join("absolute")).unwrap();
        symlink("../../../../etc", root.join("climbing")).unwrap();
        let root = Root::folder(&root);
        for path in ["/absolute/hostname", "climbing/hostname", "/../../etc/hostname"] {
            assert_eq!(root.stat(path).unwrap().size, 6, "{path}");
        }
        let link = root.stat("/absolute").unwrap();
        assert_eq!((link.link_target.as_str(), link.mode >> 27), ("/etc", 1));
        assert_eq!(root.stat("/none").unwrap_err().kind(), io::ErrorKind::NotFound);
        assert_eq!(root.stat("/").unwrap().mode >> 31, 1);
    }

    #[test]
    fn modes_in_gos_words() {
        for (mode, go) in [(0o100_644, 0o644), (0o040_755, 1 << 31 | 0o755), (0o104_755, 1 << 23 | 0o755)] {
            assert_eq!(go_mode(mode), go, "{mode:o}");
        }
    }
}
