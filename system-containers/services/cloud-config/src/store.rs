//! Reading and writing small files: bounded reads, atomic writes.

use anyhow::Context;
use std::fs::{File, OpenOptions, Permissions};
use std::io::{Read, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::Path;

/// Reads a regular file of at most `limit` bytes; more is an error that names the limit. A missing file is `None`.
/// Symbolic links are not followed: whoever may write the directory must not choose the file.
pub fn read_bounded(path: &Path, limit: u64) -> anyhow::Result<Option<Vec<u8>>> {
    let flags = rustix::fs::OFlags::NOFOLLOW | rustix::fs::OFlags::NONBLOCK;
    let flags = i32::try_from(flags.bits()).context("open flags")?;
    let file = match OpenOptions::new().read(true).custom_flags(flags).open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error).with_context(|| format!("open {}", path.display())),
    };
    let kind = file.metadata().with_context(|| format!("stat {}", path.display()))?.file_type();
    anyhow::ensure!(kind.is_file(), "{} is not a regular file", path.display());
    let mut content = Vec::new();
    file.take(limit + 1).read_to_end(&mut content).with_context(|| format!("read {}", path.display()))?;
    anyhow::ensure!(
        u64::try_from(content.len()).is_ok_and(|length| length <= limit),
        "{} is larger than the limit of {limit} bytes",
        path.display()
    );
    Ok(Some(content))
}

/// Writes a whole file: temporary file, fsync, rename, fsync of the directory. `mode` is exact, not cut by the umask.
pub fn write(path: &Path, content: &[u8], mode: u32) -> anyhow::Result<()> {
    write_owned(path, content, mode, None)
}

/// Like [`fn@write`], with the ids of its owner and group: the file never appears with others.
pub fn write_owned(path: &Path, content: &[u8], mode: u32, owner: Option<(u32, u32)>) -> anyhow::Result<()> {
    let directory = path.parent().with_context(|| format!("{} has no parent directory", path.display()))?;
    let name = path.file_name().with_context(|| format!("{} has no file name", path.display()))?;
    std::fs::create_dir_all(directory).with_context(|| format!("create {}", directory.display()))?;
    let temporary = directory.join(format!(".{}.{}", name.to_string_lossy(), std::process::id()));
    let result = write_new(&temporary, content, mode, owner)
        .and_then(|()| std::fs::rename(&temporary, path))
        .and_then(|()| File::open(directory)?.sync_all());
    if result.is_err() {
        // The first error is the one to tell; a left-over temporary file is harmless.
        std::fs::remove_file(&temporary).ok();
    }
    result.with_context(|| format!("write {}", path.display()))
}

fn write_new(path: &Path, content: &[u8], mode: u32, owner: Option<(u32, u32)>) -> std::io::Result<()> {
    if let Err(error) = std::fs::remove_file(path) {
        if error.kind() != std::io::ErrorKind::NotFound {
            return Err(error);
        }
    }
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(content)?;
    if let Some((uid, gid)) = owner {
        // Before the mode: it takes set-id bits away.
        std::os::unix::fs::fchown(&file, Some(uid), Some(gid))?;
    }
    file.set_permissions(Permissions::from_mode(mode))?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn content_and_mode_are_exact() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a/b");
        write(&path, b"one", 0o600).unwrap();
        write(&path, b"two", 0o644).unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"two");
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o7777, 0o644);
        assert_eq!(std::fs::read_dir(directory.path().join("a")).unwrap().count(), 1);
    }

    #[test]
    fn size_limit_is_an_error_and_a_missing_file_is_none() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("f");
        std::fs::write(&path, [0; 10]).unwrap();
        assert_eq!(read_bounded(&path, 10).unwrap().unwrap().len(), 10);
        assert!(read_bounded(&path, 9).unwrap_err().to_string().contains("limit of 9 bytes"));
        assert!(read_bounded(&directory.path().join("none"), 9).unwrap().is_none());
        std::os::unix::fs::symlink(&path, directory.path().join("link")).unwrap();
        assert!(read_bounded(&directory.path().join("link"), 10).is_err());
        assert!(read_bounded(directory.path(), 10).is_err());
    }
}
