//! An archive to files in a service's root. Everything becomes root's; links are made and never followed by a write.

use super::inside::{Root, named};
use rustix::fd::OwnedFd;
use rustix::fs::{AtFlags, FileType, Mode, OFlags, fchmod, mkdirat, openat, symlinkat, unlinkat};
use rustix::io::Errno;
use std::cell::Cell;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Component, Path, PathBuf};
use tar::{Archive, EntryType};

/// Most entries of one archive.
const MAX_ENTRIES: usize = 100_000;
/// Most bytes of headers before one entry's content.
const MAX_HEADERS: usize = 1 << 20;

/// Unpacks into the folder at `path`, which must exist.
pub(super) fn all(root: &Root, path: &str, source: impl Read) -> io::Result<()> {
    drop(root.folder_at(Path::new(path))?);
    let budget = Cell::new(MAX_HEADERS);
    let mut archive = Archive::new(Budgeted { source, budget: &budget });
    let mut entries = archive.entries()?;
    for number in 0.. {
        // The library reads the headers of an entry whole, with long names and attributes of whatever size they claim.
        budget.set(MAX_HEADERS);
        let Some(entry) = entries.next() else { break };
        let mut entry = entry?;
        budget.set(usize::MAX);
        let name = entry.path()?.into_owned();
        if number >= MAX_ENTRIES {
            return Err(invalid(&name, "the archive has more than 100000 entries"));
        }
        let Some((folder, last)) = split(&name)? else { continue };
        let above = root.folder_at(&Path::new(path).join(folder))?;
        let mode = Mode::from_raw_mode(entry.header().mode()? & 0o777);
        let wrong = |errno: Errno| named(&name.to_string_lossy(), errno);
        match entry.header().entry_type() {
            EntryType::Directory => make_folder(&above, &last, mode).map_err(wrong)?,
            EntryType::Regular | EntryType::Continuous => {
                clear(&above, &last).map_err(wrong)?;
                let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
                let made = openat(&above, &last, flags, mode).map_err(wrong)?;
                fchmod(&made, mode).map_err(wrong)?;
                io::copy(&mut entry, &mut File::from(made))?;
            }
            EntryType::Symlink => {
                let target = entry.link_name()?.ok_or_else(|| invalid(&name, "a link without a target"))?;
                clear(&above, &last).map_err(wrong)?;
                symlinkat(target.as_os_str(), &above, &last).map_err(wrong)?;
            }
            EntryType::XGlobalHeader => {}
            other => return Err(invalid(&name, &format!("entries of kind {other:?} are not unpacked"))),
        }
    }
    Ok(())
}

/// A source that gives no more than the budget.
struct Budgeted<'a, R> {
    source: R,
    budget: &'a Cell<usize>,
}

impl<R: Read> Read for Budgeted<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.source.read(buffer)?;
        match self.budget.get().checked_sub(count) {
            Some(rest) => self.budget.set(rest),
            None => return Err(invalid(Path::new("archive"), "an entry with more than 1 MiB of headers")),
        }
        Ok(count)
    }
}

/// Folder and last name; `None` for the folder itself.
fn split(name: &Path) -> io::Result<Option<(PathBuf, PathBuf)>> {
    let mut parts = Vec::new();
    for part in name.components() {
        match part {
            Component::Normal(part) => parts.push(part),
            Component::CurDir | Component::RootDir => {}
            Component::ParentDir | Component::Prefix(_) => return Err(invalid(name, "\"..\" in an archive")),
        }
    }
    Ok(parts.pop().map(|last| (parts.iter().collect(), PathBuf::from(last))))
}

fn make_folder(above: &OwnedFd, name: &Path, mode: Mode) -> Result<(), Errno> {
    match mkdirat(above, name, mode) {
        Err(Errno::EXIST) => {
            let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            openat(above, name, flags, Mode::empty()).map(drop)
        }
        other => other,
    }
}

/// Takes away a file or link of that name.
fn clear(above: &OwnedFd, name: &Path) -> Result<(), Errno> {
    match rustix::fs::statat(above, name, AtFlags::SYMLINK_NOFOLLOW) {
        Err(Errno::NOENT) => Ok(()),
        Err(errno) => Err(errno),
        Ok(stat) if FileType::from_raw_mode(stat.st_mode) == FileType::Directory => Err(Errno::ISDIR),
        Ok(_) => unlinkat(above, name, AtFlags::empty()),
    }
}

fn invalid(name: &Path, what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("{}: {what}", name.display()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    fn archive(entries: &[(&str, EntryType, &str)]) -> Vec<u8> {
        let mut builder = tar::Builder::new(Vec::new());
        for (name, kind, content) in entries {
            let mut header = tar::Header::new_gnu();
            header.set_entry_type(*kind);
            header.set_mode(0o640);
            // Past the library's own checks: names a careful archiver would not write.
            header.as_gnu_mut().unwrap().name[..name.len()].copy_from_slice(name.as_bytes());
            if *kind == EntryType::Symlink {
                header.set_link_name(content).unwrap();
            }
            let data = if *kind == EntryType::Regular { content.as_bytes() } else { b"" };
            header.set_size(data.len().try_into().unwrap());
            header.set_cksum();
            builder.append(&header, data).unwrap();
        }
        builder.into_inner().unwrap()
    }

    #[test]
    fn hostile_archives_write_nothing_outside() {
        let folder = tempfile::tempdir().unwrap();
        let (root, outside) = (folder.path().join("root"), folder.path().join("outside"));
        std::fs::create_dir_all(root.join("in")).unwrap();
        std::fs::create_dir_all(&outside).unwrap();
        std::fs::write(outside.join("file"), "old").unwrap();
        symlink(&outside, root.join("in/way")).unwrap();
        let inside = Root::folder(&root);
        use EntryType::{Block, Regular, Symlink};
        for (entries, refused) in [
            (vec![("f", Regular, "new")], false),
            (vec![("../f", Regular, "x")], true),
            (vec![("way/file", Regular, "x")], true),
            (vec![("l", Symlink, outside.to_str().unwrap()), ("l/file", Regular, "x")], true),
            (vec![("way", Regular, "replaces the link")], false),
            (vec![("node", Block, "")], true),
        ] {
            let result = all(&inside, "/in", archive(&entries).as_slice());
            assert_eq!(result.is_err(), refused, "{entries:?}: {result:?}");
        }
        assert_eq!(std::fs::read_to_string(outside.join("file")).unwrap(), "old");
        assert_eq!(std::fs::read_dir(&outside).unwrap().count(), 1);
        assert_eq!(std::fs::read_to_string(root.join("in/f")).unwrap(), "new");
        assert!(all(&inside, "/none", archive(&[]).as_slice()).is_err());
    }

    #[test]
    fn a_name_of_gigabytes_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(EntryType::GNULongName);
        header.set_size(8 << 30);
        header.set_cksum();
        let endless = header.as_bytes().chain(io::repeat(b'a'));
        let error = all(&Root::folder(folder.path()), "/", endless).unwrap_err();
        assert!(error.to_string().contains("headers"), "{error}");
    }
}
