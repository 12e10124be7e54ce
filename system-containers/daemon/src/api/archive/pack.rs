//! Files to an archive, reached by descriptor and without following links.

use super::inside::{named, stat_at};
use rustix::fd::OwnedFd;
use rustix::fs::{Dir, FileType, Mode, OFlags, fstat, openat, readlinkat};
use std::ffi::{CStr, CString};
use std::fs::File;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use tar::{Builder, EntryType, Header};

/// Deepest nesting packed: more is no tree that people made.
const DEPTH: usize = 200;

/// Packs what an `O_PATH` descriptor refers to under a name.
pub(super) fn one(name: &str, source: &OwnedFd, sink: impl Write) -> io::Result<()> {
    let mut archive = Builder::new(sink);
    let stat = fstat(source)?;
    match FileType::from_raw_mode(stat.st_mode) {
        FileType::Symlink => {
            let target = readlinkat(source, "", Vec::new())?;
            link(&mut archive, Path::new(name), &stat, &target)?;
        }
        // Opened anew through the descriptor, which no link can change any more.
        FileType::RegularFile => {
            let file = File::open(format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(source)))?;
            regular(&mut archive, Path::new(name), &stat, file)?;
        }
        FileType::Directory => {
            let open = openat(source, ".", OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
            folder(&mut archive, Path::new(name), open)?;
        }
        _ => return Err(io::Error::new(io::ErrorKind::InvalidInput, format!("{name} is neither file nor folder"))),
    }
    archive.into_inner()?.flush()
}

/// Packs everything below a folder.
pub(super) fn all(path: &Path, sink: impl Write) -> io::Result<()> {
    let mut archive = Builder::new(sink);
    let open = rustix::fs::open(path, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
    folder(&mut archive, Path::new("."), open)?;
    archive.into_inner()?.flush()
}

/// A folder that is being packed.
struct Level {
    open: OwnedFd,
    path: PathBuf,
    names: std::vec::IntoIter<CString>,
}

impl Level {
    fn begin<W: Write>(archive: &mut Builder<W>, path: PathBuf, open: OwnedFd) -> io::Result<Self> {
        let mut head = header(&fstat(&open)?, EntryType::Directory, 0);
        archive.append_data(&mut head, path.join(""), io::empty())?;
        let mut names = Vec::new();
        for entry in Dir::read_from(&open)? {
            let entry = entry?.file_name().to_owned();
            if entry.as_c_str() != c"." && entry.as_c_str() != c".." {
                names.push(entry);
            }
        }
        names.sort();
        Ok(Self { open, path, names: names.into_iter() })
    }
}

/// A list of levels, not recursion: how deep a tree is depends on who made it.
fn folder<W: Write>(archive: &mut Builder<W>, name: &Path, open: OwnedFd) -> io::Result<()> {
    let mut levels = vec![Level::begin(archive, name.to_owned(), open)?];
    while let Some(level) = levels.last_mut() {
        let Some(entry) = level.names.next() else {
            levels.pop();
            continue;
        };
        let path = level.path.join(entry.to_string_lossy().as_ref());
        match pack(archive, &level.open, &entry, &path) {
            Ok(Some(_)) if levels.len() > DEPTH => {
                return Err(io::Error::other(format!("{}: nested more than {DEPTH} deep", path.display())));
            }
            Ok(Some(below)) => levels.push(Level::begin(archive, path, below)?),
            Ok(None) => {}
            // What vanished meanwhile is left out.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Packs one entry; a folder is only opened.
fn pack<W: Write>(archive: &mut Builder<W>, above: &OwnedFd, entry: &CStr, path: &Path) -> io::Result<Option<OwnedFd>> {
    let stat = stat_at(above, entry)?;
    match FileType::from_raw_mode(stat.st_mode) {
        FileType::Directory => {
            let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            return openat(above, entry, flags, Mode::empty()).map(Some).map_err(|errno| wrong(path, errno));
        }
        FileType::RegularFile => {
            let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
            let file = openat(above, entry, flags, Mode::empty()).map_err(|errno| wrong(path, errno))?;
            let stat = fstat(&file)?;
            if FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile {
                regular(archive, path, &stat, file.into())?;
            }
        }
        FileType::Symlink => {
            let target = readlinkat(above, entry, Vec::new()).map_err(|errno| wrong(path, errno))?;
            link(archive, path, &stat, &target)?;
        }
        // Sockets, pipes and devices mean nothing elsewhere.
        _ => {}
    }
    Ok(None)
}

fn wrong(path: &Path, errno: rustix::io::Errno) -> io::Error {
    named(&path.to_string_lossy(), errno)
}

/// Exactly the size in the header, however the file grows or shrinks meanwhile.
fn regular<W: Write>(archive: &mut Builder<W>, path: &Path, stat: &rustix::fs::Stat, file: File) -> io::Result<()> {
    let size = u64::try_from(stat.st_size).unwrap_or(0);
    let mut head = header(stat, EntryType::Regular, size);
    archive.append_data(&mut head, path, file.chain(io::repeat(0)).take(size))
}

fn link<W: Write>(archive: &mut Builder<W>, path: &Path, stat: &rustix::fs::Stat, target: &CStr) -> io::Result<()> {
    let mut head = header(stat, EntryType::Symlink, 0);
    archive.append_link(&mut head, path, target.to_string_lossy().as_ref())
}

fn header(stat: &rustix::fs::Stat, kind: EntryType, size: u64) -> Header {
    let mut header = Header::new_gnu();
    header.set_entry_type(kind);
    header.set_size(size);
    header.set_mode(stat.st_mode & 0o7777);
    header.set_uid(stat.st_uid.into());
    header.set_gid(stat.st_gid.into());
    header.set_mtime(u64::try_from(stat.st_mtime).unwrap_or(0));
    header
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deep_tree_is_refused_on_a_small_stack() {
        let folder = tempfile::tempdir().unwrap();
        let mut path = folder.path().to_owned();
        (0..DEPTH + 10).for_each(|_| path.push("d"));
        std::fs::create_dir_all(&path).unwrap();
        let root = folder.path().to_owned();
        let packed = std::thread::Builder::new().stack_size(64 << 10).spawn(move || all(&root, io::sink())).unwrap();
        assert!(packed.join().unwrap().unwrap_err().to_string().contains("nested"));
    }

    #[test]
    fn a_tree_is_packed_without_following_links() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("d")).unwrap();
        std::fs::write(folder.path().join("d/f"), "text").unwrap();
        std::os::unix::fs::symlink("/etc/passwd", folder.path().join("d/l")).unwrap();
        let mut bytes = Vec::new();
        all(folder.path(), &mut bytes).unwrap();
        let mut archive = tar::Archive::new(bytes.as_slice());
        let seen: Vec<_> = archive
            .entries()
            .unwrap()
            .map(|entry| {
                let entry = entry.unwrap();
                (entry.path().unwrap().display().to_string(), entry.header().entry_type(), entry.size())
            })
            .collect();
        let expected = [
            ("./", EntryType::Directory, 0),
            ("d/", EntryType::Directory, 0),
            ("d/f", EntryType::Regular, 4),
            ("d/l", EntryType::Symlink, 0),
        ];
        assert_eq!(seen, expected.map(|(path, kind, size)| (path.to_owned(), kind, size)));
    }
}
