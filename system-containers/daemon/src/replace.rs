//! Files that are exchanged as a whole: written under another name, then renamed, so that a daemon killed meanwhile
//! leaves the old one or the new one.

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// Exchanges the file for one with this content; its folder is made where missing.
pub fn replace(path: &Path, content: &[u8]) -> io::Result<()> {
    let new = write(path, content)?.0;
    std::fs::rename(new, path)
}

/// The same, and the power may fail when it returns: the new one is there.
pub fn replace_durably(path: &Path, content: &[u8]) -> io::Result<()> {
    let (new, file) = write(path, content)?;
    file.sync_all()?;
    std::fs::rename(new, path)?;
    File::open(path.parent().unwrap_or(Path::new("/")))?.sync_all()
}

fn write(path: &Path, content: &[u8]) -> io::Result<(PathBuf, File)> {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)?;
    }
    let mut name = OsString::from(path);
    name.push(".new");
    let mut file = File::create(&name)?;
    file.write_all(content)?;
    Ok((name.into(), file))
}
