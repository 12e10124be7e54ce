//! The inventory: what an unpacked image holds, so that it can be verified at every start.
//!
//! One line an entry, in the order of a walk that sorts names; fields are separated by tabs:
//!
//! ```text
//! kind  mode  uid  gid  size  content                path
//! d     0755  0    0    0     -                      usr/bin
//! f     0755  0    0    3     <64 digits of SHA-256> usr/bin/app
//! l     0777  0    0    0     app                    usr/bin/link
//! ```
//!
//! fs-verity would verify each page as it is read, but only content: names, modes, owners, link targets and added files
//! need such a list all the same, and the state partition of a machine may be a tmpfs or older than the feature. So the
//! list is all there is: one pass over the image's files at a start, and the digest of the list in the record.

use crate::digest::Digest;
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{self, AtFlags, Dir, FileType, Mode, OFlags};
use rustix::io::Errno;
use std::ffi::CString;
use std::fs::File;
use std::io;
use std::path::Path;

/// Directories a file of an unpacked image may be below, generously: the importer allows fewer.
const MAX_DEPTH: usize = 160;

/// Why the files of a service are not those that were added.
#[derive(Debug, thiserror::Error)]
pub enum VerifyError {
    /// A file cannot be read.
    #[error("{path}: {source}")]
    Io {
        /// The file or directory.
        path: String,
        /// Why not.
        source: io::Error,
    },
    /// The list itself is not the one in the record.
    #[error("the inventory was changed: its digest is {found}, the record says {expected}")]
    Inventory {
        /// Digest of the list found.
        found: Digest,
        /// Digest in the record.
        expected: Digest,
    },
    /// Content, mode, owner or target of an entry.
    #[error("{path} is not what was added: \"{found}\" instead of \"{expected}\"")]
    Changed {
        /// The entry.
        path: String,
        /// What is there.
        found: String,
        /// What should be.
        expected: String,
    },
    /// An entry is gone.
    #[error("{path} is missing")]
    Missing {
        /// The entry.
        path: String,
    },
    /// An entry is not in the list.
    #[error("{path} was added by somebody")]
    Added {
        /// The entry.
        path: String,
    },
}

/// Lists everything below `root`.
pub fn scan(root: &Path) -> Result<String, VerifyError> {
    let mut text = String::new();
    walk(root, &mut |line, _| {
        text.push_str(line);
        text.push('\n');
        Ok(())
    })?;
    Ok(text)
}

/// Compares everything below `root` with the list in `file`, whose own digest is `expected`.
pub fn verify(root: &Path, file: &Path, expected: Digest) -> Result<(), VerifyError> {
    let text =
        std::fs::read_to_string(file).map_err(|source| VerifyError::Io { path: file.display().to_string(), source })?;
    let found = Digest::of(text.as_bytes());
    if found != expected {
        return Err(VerifyError::Inventory { found, expected });
    }
    let mut lines = text.lines();
    walk(root, &mut |line, path| match lines.next() {
        Some(expected) if expected == line => Ok(()),
        Some(expected) if path_of(expected) == path => {
            Err(VerifyError::Changed { path: path.into(), found: fields(line), expected: fields(expected) })
        }
        Some(expected) if root.join(path_of(expected)).symlink_metadata().is_err() => {
            Err(VerifyError::Missing { path: path_of(expected).into() })
        }
        _ => Err(VerifyError::Added { path: path.into() }),
    })?;
    match lines.next() {
        Some(line) => Err(VerifyError::Missing { path: path_of(line).into() }),
        None => Ok(()),
    }
}

fn path_of(line: &str) -> &str {
    line.rsplit('\t').next().unwrap_or_default()
}

fn fields(line: &str) -> String {
    line.rsplit_once('\t').map_or(line, |(fields, _)| fields).replace('\t', " ")
}

type Visit<'a> = dyn FnMut(&str, &str) -> Result<(), VerifyError> + 'a;

fn walk(root: &Path, visit: &mut Visit<'_>) -> Result<(), VerifyError> {
    let flags = OFlags::DIRECTORY | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    let folder = fs::open(root, flags, Mode::empty()).map_err(fault(&root.display().to_string()))?;
    walk_folder(&folder, "", MAX_DEPTH, visit)
}

fn walk_folder(folder: &OwnedFd, path: &str, depth: usize, visit: &mut Visit<'_>) -> Result<(), VerifyError> {
    let Some(depth) = depth.checked_sub(1) else { return Err(fault(path)(Errno::NAMETOOLONG)) };
    for name in sorted(folder.as_fd()).map_err(fault(path))? {
        let text = name.to_string_lossy();
        let path = if path.is_empty() { text.into_owned() } else { format!("{path}/{text}") };
        let entry = describe(folder.as_fd(), &name).map_err(fault(&path))?;
        visit(&format!("{}\t{path}", entry.fields), &path)?;
        if let Some(inner) = entry.folder {
            walk_folder(&inner, &path, depth, visit)?;
        }
    }
    Ok(())
}

struct Entry {
    fields: String,
    folder: Option<OwnedFd>,
}

fn describe(folder: BorrowedFd<'_>, name: &CString) -> io::Result<Entry> {
    let stat = fs::statat(folder, name, AtFlags::SYMLINK_NOFOLLOW)?;
    let kind = FileType::from_raw_mode(stat.st_mode);
    let flags = OFlags::CLOEXEC | OFlags::NOFOLLOW;
    let (letter, size, content, inner) = match kind {
        FileType::RegularFile => {
            let file = File::from(fs::openat(folder, name, flags | OFlags::NONBLOCK, Mode::empty())?);
            let (digest, size) = Digest::of_reader(file)?;
            ('f', size, digest.hex(), None)
        }
        FileType::Directory => {
            let inner = fs::openat(folder, name, flags | OFlags::DIRECTORY, Mode::empty())?;
            ('d', 0, "-".to_owned(), Some(inner))
        }
        FileType::Symlink => {
            let target = fs::readlinkat(folder, name, Vec::new())?;
            ('l', 0, target.to_string_lossy().into_owned(), None)
        }
        _ => ('?', 0, format!("{kind:?}"), None),
    };
    let mode = stat.st_mode & 0o7777;
    Ok(Entry {
        fields: format!("{letter}\t{mode:04o}\t{}\t{}\t{size}\t{content}", stat.st_uid, stat.st_gid),
        folder: inner,
    })
}

fn sorted(folder: BorrowedFd<'_>) -> io::Result<Vec<CString>> {
    let mut names = Vec::new();
    for entry in Dir::read_from(folder)? {
        let name = entry?.file_name().to_owned();
        if !matches!(name.to_bytes(), b"." | b"..") {
            names.push(name);
        }
    }
    names.sort();
    Ok(names)
}

fn fault<E: Into<io::Error>>(path: &str) -> impl FnOnce(E) -> VerifyError {
    let path = path.to_owned();
    move |error| VerifyError::Io { path, source: error.into() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::{PermissionsExt, symlink};

    fn image() -> (tempfile::TempDir, Digest) {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("rootfs");
        fs::create_dir_all(root.join("bin")).unwrap();
        fs::write(root.join("bin/app"), "app").unwrap();
        fs::write(root.join("bin.conf"), "x").unwrap();
        symlink("app", root.join("bin/link")).unwrap();
        let text = scan(&root).unwrap();
        fs::write(folder.path().join("inventory"), &text).unwrap();
        (folder, Digest::of(text.as_bytes()))
    }

    fn check(folder: &tempfile::TempDir, digest: Digest) -> Result<(), String> {
        verify(&folder.path().join("rootfs"), &folder.path().join("inventory"), digest)
            .map_err(|error| error.to_string())
    }

    #[test]
    fn lines_are_sorted_and_complete() {
        let (folder, digest) = image();
        let text = fs::read_to_string(folder.path().join("inventory")).unwrap();
        assert_eq!(text.lines().map(path_of).collect::<Vec<_>>(), ["bin", "bin/app", "bin/link", "bin.conf"]);
        assert_eq!(check(&folder, digest), Ok(()));
    }

    #[test]
    fn every_change_is_named() {
        type Change = fn(&Path);
        let changes: [(&str, Change); 8] = [
            ("bin/app is not what was added", |root| fs::write(root.join("bin/app"), "apq").unwrap()),
            ("bin/app is not what was added", |root| {
                fs::set_permissions(root.join("bin/app"), fs::Permissions::from_mode(0o4755)).unwrap();
            }),
            ("bin/link is not what was added", |root| {
                fs::remove_file(root.join("bin/link")).unwrap();
                symlink("/etc", root.join("bin/link")).unwrap();
            }),
            ("bin/app is missing", |root| fs::remove_file(root.join("bin/app")).unwrap()),
            ("bin.conf is missing", |root| fs::remove_file(root.join("bin.conf")).unwrap()),
            ("bin/a was added by somebody", |root| fs::write(root.join("bin/a"), "").unwrap()),
            ("z was added by somebody", |root| fs::write(root.join("z"), "").unwrap()),
            ("the inventory was changed", |root| fs::write(root.join("../inventory"), "").unwrap()),
        ];
        for (expected, change) in changes {
            let (folder, digest) = image();
            change(&folder.path().join("rootfs"));
            let error = check(&folder, digest).unwrap_err();
            assert!(error.contains(expected), "{expected}: {error}");
        }
    }
}
