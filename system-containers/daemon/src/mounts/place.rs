//! Paths as the console sees them, below those of its mounts that other containers see too, to directories of the
//! machine.

use super::{MountError, reason};
use crate::paths::Paths;
use hull_service::{MountType, Service};
use hull_sys::walk::walk;
use rustix::fs::{CWD, Mode, OFlags, ResolveFlags, openat};
use rustix::io::Errno;
use std::ffi::OsString;
use std::os::fd::OwnedFd;
use std::path::{Component, Path, PathBuf};

/// The console's mounts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Map(Vec<Top>);

#[derive(Debug, Clone, PartialEq, Eq)]
struct Top {
    /// In the console.
    target: PathBuf,
    /// On the machine; `None` for a mount that nobody else sees.
    source: Option<PathBuf>,
}

/// One path of the console.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// In the console.
    pub path: PathBuf,
    /// The console's mount it is below, or that it is.
    pub top: PathBuf,
    /// That mount's source on the machine.
    pub base: PathBuf,
    /// Path from there; empty for the mount itself.
    pub rest: PathBuf,
}

impl Map {
    /// From the console's definition.
    pub fn new(console: &Service, paths: &Paths) -> Self {
        let top = |mount: &hull_service::Mount| {
            let is_shared = mount.kind == MountType::Bind && mount.options.iter().any(|option| option == "shared");
            let source = mount.source.as_deref().filter(|_| is_shared).map(|source| paths.below_root(source));
            Top { target: mount.target.clone().into(), source }
        };
        Self(console.mounts.iter().map(top).collect())
    }

    /// Where a path of the console is on the machine.
    ///
    /// # Errors
    /// For a path that is not absolute, and for one that is not below a shared mount.
    pub fn find(&self, text: &str) -> Result<Place, MountError> {
        let path = Path::new(text);
        let is_plain = |part: Component<'_>| matches!(part, Component::RootDir | Component::Normal(_));
        if !path.is_absolute() || text.contains('\0') || !path.components().all(is_plain) {
            return Err(MountError::Bad(format!("{text:?}: an absolute path without \"..\" is needed")));
        }
        let path: PathBuf = path.components().collect();
        let tops = self.0.iter().filter(|top| path.starts_with(&top.target));
        let nearest = tops.max_by_key(|top| top.target.components().count());
        let found = nearest.and_then(|top| Some((top, top.source.as_ref()?)));
        let Some((top, base)) = found else {
            return Err(MountError::Forbidden(format!(
                "{}: mounts are made, and unmounted, at and below {} only, where console and engine both see them",
                path.display(),
                self.shared().join(", ")
            )));
        };
        let rest = path.strip_prefix(&top.target).unwrap_or(Path::new("")).to_owned();
        Ok(Place { top: top.target.clone(), base: base.clone(), rest, path })
    }

    fn shared(&self) -> Vec<String> {
        let shared = self.0.iter().filter(|top| top.source.is_some());
        shared.map(|top| top.target.display().to_string()).collect()
    }
}

impl Place {
    /// Opens it (`O_PATH`), with whatever is mounted there now.
    ///
    /// # Errors
    /// When it is not there, or a symbolic link in it leads out of the console's mount.
    pub fn open(&self) -> Result<OwnedFd, MountError> {
        let path = if self.rest.as_os_str().is_empty() { Path::new(".") } else { &self.rest };
        self.walk(path).map_err(|errno| self.error(errno))
    }

    /// Opens the directory it is in, without touching what is mounted there, and gives its name in it.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn open_parent(&self) -> Result<(OwnedFd, OsString), MountError> {
        let whole = if self.rest.as_os_str().is_empty() { &self.base } else { &self.rest };
        let name = whole.file_name().unwrap_or_default().to_owned();
        let parent = whole.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let opened = if self.rest.as_os_str().is_empty() { directory(parent) } else { self.walk(parent) };
        Ok((opened.map_err(|errno| self.error(errno))?, name))
    }

    fn walk(&self, path: &Path) -> Result<OwnedFd, Errno> {
        // Beneath rather than in root: a link with an absolute target means another directory to whoever made it.
        let rules = ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS;
        walk(directory(&self.base)?, path, OFlags::PATH | OFlags::CLOEXEC, rules)
    }

    fn error(&self, errno: Errno) -> MountError {
        let path = self.path.display();
        match errno {
            Errno::XDEV => MountError::Forbidden(format!(
                "{path}: a symbolic link in it leads out of {}; name the path it leads to",
                self.top.display()
            )),
            Errno::NOENT => MountError::Missing(format!("{path} does not exist; make it before")),
            errno => MountError::new(errno, format!("{path}: {}", reason(errno))),
        }
    }
}

fn directory(path: &Path) -> Result<OwnedFd, Errno> {
    openat(CWD, path, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn map(root: &Path) -> Map {
        let text = "description = \"x\"\n[[process]]\nname = \"a\"\ncommand = [\"/a\"]\n\
            [[mount]]\nsource = \"/state/data/mnt\"\ntarget = \"/mnt\"\noptions = [\"rw\", \"shared\"]\n\
            [[mount]]\nsource = \"/state/data/local\"\ntarget = \"/usr/local\"\noptions = [\"rw\", \"shared\"]\n\
            [[mount]]\nsource = \"/run/x\"\ntarget = \"/mnt/own\"\noptions = [\"rw\"]\n";
        Map::new(&hull_service::parse("console", text).unwrap(), &Paths { root: root.into(), ..Paths::machine() })
    }

    #[test]
    fn paths_below_shared_mounts_have_a_place() {
        let map = map(Path::new("/"));
        for (path, base, rest) in [
            ("/mnt/a/b", "/state/data/mnt", "a/b"),
            ("/mnt//a/./b/", "/state/data/mnt", "a/b"),
            ("/mnt", "/state/data/mnt", ""),
            ("/usr/local/x", "/state/data/local", "x"),
        ] {
            let place = map.find(path).unwrap();
            assert_eq!((place.base.to_str().unwrap(), place.rest.to_str().unwrap()), (base, rest), "{path}");
        }
    }

    #[test]
    fn others_have_none() {
        let map = map(Path::new("/"));
        for path in ["/etc", "/proc", "/", "/mntx", "/usr", "/mnt/own", "/mnt/own/x"] {
            let error = map.find(path).unwrap_err();
            assert!(matches!(error, MountError::Forbidden(_)), "{path}");
            assert!(error.to_string().contains("below /mnt, /usr/local only"), "{error}");
        }
        for path in ["mnt/a", "", "/mnt/../etc", "/mnt/a\0"] {
            assert!(matches!(map.find(path), Err(MountError::Bad(_))), "{path}");
        }
    }

    #[test]
    fn links_lead_on_inside_and_never_out() {
        let root = tempfile::tempdir().unwrap();
        let at = |path: &str| root.path().join("state/data/mnt").join(path);
        fs::create_dir_all(at("real/deep")).unwrap();
        for (link, to) in [("inside", "real"), ("up", "../.."), ("etc", "/etc"), ("magic", "/proc/self/root/etc")] {
            std::os::unix::fs::symlink(to, at(link)).unwrap();
        }
        let map = map(root.path());
        let open = |path: &str| map.find(path).unwrap().open();
        assert!(open("/mnt").is_ok() && open("/mnt/inside/deep").is_ok());
        for path in ["/mnt/up", "/mnt/etc", "/mnt/etc/ssh", "/mnt/magic", "/mnt/real/../etc"] {
            let refused = map.find(path).and_then(|place| place.open()).unwrap_err();
            assert!(matches!(refused, MountError::Forbidden(_) | MountError::Bad(_)), "{path}: {refused:?}");
        }
        assert!(matches!(open("/mnt/none"), Err(MountError::Missing(_))));
        assert_eq!(map.find("/mnt/inside/deep").unwrap().open_parent().unwrap().1, "deep");
        assert_eq!(map.find("/mnt").unwrap().open_parent().unwrap().1, "mnt");
        assert!(map.find("/mnt/etc/ssh").unwrap().open_parent().is_err());
    }
}
