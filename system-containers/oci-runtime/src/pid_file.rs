//! `--pid-file`: appears whole, with the id of a process that exists.

use anyhow::{Context, Result};
use rustix::fs::{AtFlags, Mode, OFlags, openat, renameat, unlinkat};
use rustix::process::Pid;
use std::ffi::OsString;
use std::fs::File;
use std::io::Write;
use std::os::fd::OwnedFd;
use std::path::Path;

/// A file to be written later, perhaps from another mount namespace: its directory is opened now.
#[derive(Debug)]
pub(crate) struct PidFile {
    directory: OwnedFd,
    name: OsString,
    new: OsString,
    file: File,
    written: bool,
}

impl PidFile {
    pub(crate) fn new(path: &Path) -> Result<Self> {
        let context = || format!("--pid-file {}", path.display());
        let name = path.file_name().with_context(context)?.to_owned();
        let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let directory = File::open(parent).with_context(context)?.into();
        let mut new = OsString::from(".");
        new.push(&name);
        let flags = OFlags::CREATE | OFlags::TRUNC | OFlags::WRONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file = openat(&directory, &new, flags, Mode::from_raw_mode(0o644)).with_context(context)?.into();
        Ok(Self { directory, name, new, file, written: false })
    }

    pub(crate) fn write(mut self, pid: Pid) -> Result<()> {
        write!(self.file, "{}", pid.as_raw_nonzero()).context("write --pid-file")?;
        renameat(&self.directory, &self.new, &self.directory, &self.name).context("rename --pid-file")?;
        self.written = true;
        Ok(())
    }
}

impl Drop for PidFile {
    fn drop(&mut self) {
        if self.written {
            return;
        }
        if let Err(errno) = unlinkat(&self.directory, &self.new, AtFlags::empty()) {
            crate::journal::warning(&format!("remove temporary --pid-file: {errno}"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_never_written_leaves_nothing() {
        let dir = tempfile::tempdir().expect("temporary directory");
        let path = dir.path().join("pid");
        drop(PidFile::new(&path).expect("new"));
        assert_eq!(std::fs::read_dir(dir.path()).expect("list").count(), 0);
        PidFile::new(&path).expect("new").write(Pid::INIT).expect("write");
        assert_eq!(std::fs::read(&path).expect("read"), b"1");
        assert_eq!(std::fs::read_dir(dir.path()).expect("list").count(), 1);
    }
}
