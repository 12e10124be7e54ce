//! Home directory and `authorized_keys`.
//!
//! Everything below the home directory is opened relative to its parent and never through a symbolic link: the home
//! belongs to the user, who could point `.ssh` anywhere, and this program writes as root.

use super::database::Account;
use anyhow::Context;
use rustix::fs::{AtFlags, Mode, OFlags, fchmod, fchown, mkdirat, openat, renameat, unlinkat};
use rustix::io::Errno;
use rustix::process::{Gid, Uid};
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

/// An `authorized_keys` larger than this is not ours to edit.
const MAX_KEYS: u64 = 1 << 20;
/// Name while it is written.
const TEMPORARY: &str = ".authorized_keys.new";
/// Name of a directory that has no owner yet.
const NEW_DIRECTORY: &str = ".hull-new";

/// Opens the home directory, making it where it is missing; an existing one keeps owner and mode.
pub fn ensure(path: &Path, account: &Account) -> anyhow::Result<OwnedFd> {
    let context = || format!("home directory {}", path.display());
    let parent = path.parent().with_context(context)?;
    let name = path.file_name().with_context(context)?;
    std::fs::create_dir_all(parent).with_context(context)?;
    let parent = File::open(parent).with_context(context)?;
    directory(parent.as_fd(), Path::new(name), account).with_context(context)
}

/// Adds the keys that are not there yet.
pub fn add_keys(home: &OwnedFd, account: &Account, keys: &[String]) -> anyhow::Result<()> {
    let ssh = directory(home.as_fd(), Path::new(".ssh"), account).context("directory .ssh")?;
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let mut text = String::new();
    match openat(&ssh, "authorized_keys", flags, Mode::empty()) {
        Ok(file) => {
            let file = File::from(file);
            anyhow::ensure!(file.metadata()?.is_file(), "authorized_keys is not a regular file");
            file.take(MAX_KEYS).read_to_string(&mut text).context("read authorized_keys")?;
        }
        Err(Errno::NOENT) => {}
        Err(error) => return Err(error).context("open authorized_keys"),
    }
    let missing: Vec<&String> = keys.iter().filter(|key| !text.lines().any(|line| line.trim() == *key)).collect();
    if missing.is_empty() {
        return Ok(());
    }
    if !text.is_empty() && !text.ends_with('\n') {
        text.push('\n');
    }
    for key in missing {
        text.push_str(key);
        text.push('\n');
    }
    replace(&ssh, &text, account).context("write authorized_keys")
}

fn directory(parent: std::os::fd::BorrowedFd<'_>, name: &Path, account: &Account) -> rustix::io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    match openat(parent, name, flags, Mode::empty()) {
        Err(Errno::NOENT) => {
            // Power may fail after each call: one that is there is its owner's.
            match mkdirat(parent, NEW_DIRECTORY, Mode::RWXU) {
                Ok(()) | Err(Errno::EXIST) => {}
                Err(error) => return Err(error),
            }
            let made = openat(parent, NEW_DIRECTORY, flags, Mode::empty())?;
            own(&made, account, Mode::RWXU)?;
            renameat(parent, NEW_DIRECTORY, parent, name)?;
            Ok(made)
        }
        result => result,
    }
}

fn replace(directory: &OwnedFd, text: &str, account: &Account) -> anyhow::Result<()> {
    if let Err(error) = unlinkat(directory, TEMPORARY, AtFlags::empty()) {
        anyhow::ensure!(error == Errno::NOENT, error);
    }
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let mut file = File::from(openat(directory, TEMPORARY, flags, Mode::RUSR | Mode::WUSR)?);
    file.write_all(text.as_bytes())?;
    own(&file, account, Mode::RUSR | Mode::WUSR)?;
    file.sync_all()?;
    renameat(directory, TEMPORARY, directory, "authorized_keys")?;
    Ok(())
}

fn own(file: impl AsFd, account: &Account, mode: Mode) -> rustix::io::Result<()> {
    fchown(&file, Some(Uid::from_raw(account.uid)), Some(Gid::from_raw(account.gid)))?;
    fchmod(&file, mode)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::{MetadataExt, symlink};

    fn me() -> Account {
        let (uid, gid) = (rustix::process::getuid().as_raw(), rustix::process::getgid().as_raw());
        Account { uid, gid, home: String::new() }
    }

    #[test]
    fn keys_are_added_once_with_strict_modes() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("home/web");
        let keys = |list: &[&str]| list.iter().map(|key| (*key).to_owned()).collect::<Vec<_>>();
        let home = ensure(&path, &me()).unwrap();
        add_keys(&home, &me(), &keys(&["a", "b"])).unwrap();
        std::fs::write(path.join(".ssh/authorized_keys"), "mine\na").unwrap();
        add_keys(&home, &me(), &keys(&["a", "b"])).unwrap();
        assert_eq!(std::fs::read_to_string(path.join(".ssh/authorized_keys")).unwrap(), "mine\na\nb\n");
        for (name, mode) in [("", 0o700), (".ssh", 0o700), (".ssh/authorized_keys", 0o600)] {
            assert_eq!(std::fs::metadata(path.join(name)).unwrap().mode() & 0o7777, mode, "{name}");
        }
        assert_eq!(std::fs::read_dir(path.join(".ssh")).unwrap().count(), 1);
    }

    #[test]
    fn a_directory_left_without_its_name_is_taken() {
        let directory = tempfile::tempdir().unwrap();
        std::fs::create_dir(directory.path().join(NEW_DIRECTORY)).unwrap();
        ensure(&directory.path().join("web"), &me()).unwrap();
        let names: Vec<_> =
            std::fs::read_dir(directory.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(names, ["web"]);
    }

    #[test]
    fn links_are_not_followed() {
        let directory = tempfile::tempdir().unwrap();
        let victim = directory.path().join("victim");
        std::fs::create_dir(&victim).unwrap();
        let path = directory.path().join("home");
        let home = ensure(&path, &me()).unwrap();
        symlink(&victim, path.join(".ssh")).unwrap();
        assert!(add_keys(&home, &me(), &["a".into()]).is_err());
        std::fs::remove_file(path.join(".ssh")).unwrap();
        std::fs::create_dir(path.join(".ssh")).unwrap();
        std::fs::write(victim.join("file"), "secret").unwrap();
        symlink(victim.join("file"), path.join(".ssh/authorized_keys")).unwrap();
        assert!(add_keys(&home, &me(), &["a".into()]).is_err());
        assert_eq!(std::fs::read_to_string(victim.join("file")).unwrap(), "secret");
        symlink(&victim, directory.path().join("link")).unwrap();
        assert!(ensure(&directory.path().join("link"), &me()).is_err());
    }
}
