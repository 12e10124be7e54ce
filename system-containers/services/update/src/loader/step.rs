//! One durable step on the ESP: when it returns it is on the disk, and before that it is done or not done.
//!
//! Order of every step: data of the file, directory, then the file system as a whole, which vfat's tables belong to.

use super::LoaderError;
use rustix::fs::{Advice, fadvise, syncfs};
use sha2::{Digest as _, Sha256};
use std::ffi::OsString;
use std::fmt;
use std::fs::{self, File};
use std::io::{self, Cursor, ErrorKind, Read, Write as _};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

/// Copied at a time.
const CHUNK: usize = 1 << 18;

/// Where the content of a file comes from.
pub struct Source<'a> {
    content: Box<dyn Read + 'a>,
    sha256: Option<[u8; 32]>,
}

/// One step; paths are relative to the ESP.
#[derive(Debug)]
pub enum Step<'a> {
    /// Remove a file if it is there.
    Remove(PathBuf),
    /// Write a new file, read it back from the disk, compare; makes its directory.
    Write(PathBuf, Source<'a>),
    /// Give a file a name nothing has.
    Rename(PathBuf, PathBuf),
    /// Overwrite a file in place, at the same length; a new one is made when there is none.
    Overwrite(PathBuf, Vec<u8>),
}

impl<'a> Source<'a> {
    /// Content of which nothing is known before.
    pub fn new(content: impl Read + 'a) -> Self {
        Self { content: Box::new(content), sha256: None }
    }

    /// Content that has to have a digest.
    pub fn expecting(content: impl Read + 'a, sha256: [u8; 32]) -> Self {
        Self { content: Box::new(content), sha256: Some(sha256) }
    }

    pub(super) fn bytes(content: impl Into<Vec<u8>>) -> Source<'static> {
        Source { content: Box::new(Cursor::new(content.into())), sha256: None }
    }
}

impl fmt::Debug for Source<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Source").field("sha256", &self.sha256).finish_non_exhaustive()
    }
}

/// The name a file has while it is written.
pub(super) fn temporary(path: &Path) -> PathBuf {
    let mut name = OsString::from(path.file_stem().unwrap_or_default());
    name.push(".new");
    path.with_file_name(name)
}

/// Removes, writes under a temporary name and renames: the three steps of a file that no loader looks at yet.
pub(super) fn place<'a>(path: PathBuf, source: Source<'a>) -> [Step<'a>; 4] {
    let new = temporary(&path);
    [Step::Remove(path.clone()), Step::Remove(new.clone()), Step::Write(new.clone(), source), Step::Rename(new, path)]
}

/// Carries out all steps in order; the first that fails ends it.
pub(super) fn carry_out<'a>(esp: &Path, steps: impl IntoIterator<Item = Step<'a>>) -> Result<(), LoaderError> {
    for step in steps {
        match step {
            Step::Remove(path) => {
                let path = esp.join(path);
                match fs::remove_file(&path) {
                    Ok(()) => sync_directory(&path)?,
                    Err(error) if error.kind() == ErrorKind::NotFound => {}
                    Err(error) => return Err(LoaderError::io("remove", &path)(error)),
                }
            }
            Step::Write(path, source) => write(&esp.join(path), source)?,
            Step::Rename(from, to) => {
                let (from, to) = (esp.join(from), esp.join(to));
                let free = || if to.exists() { Err(ErrorKind::AlreadyExists.into()) } else { Ok(()) };
                free().and_then(|()| fs::rename(&from, &to)).map_err(LoaderError::io("rename to", &to))?;
                sync_directory(&to)?;
            }
            Step::Overwrite(path, content) => {
                let path = esp.join(path);
                overwrite(&path, &content).map_err(LoaderError::io("write", &path))?;
                sync_directory(&path)?;
            }
        }
    }
    Ok(())
}

fn write(path: &Path, mut source: Source<'_>) -> Result<(), LoaderError> {
    let failed = |action| LoaderError::io(action, path);
    fs::create_dir_all(path.parent().unwrap_or(Path::new("."))).map_err(failed("make the directory of"))?;
    let mut file = File::create_new(path).map_err(failed("create"))?;
    let written = digest(&mut source.content, |bytes| file.write_all(bytes)).map_err(failed("write"))?;
    file.sync_all().map_err(failed("write"))?;
    drop(file);
    if source.sha256.is_some_and(|expected| expected != written) {
        return Err(LoaderError::Digest { path: path.to_owned() });
    }
    let read_back = || {
        let mut file = File::open(path)?;
        fadvise(&file, 0, None, Advice::DontNeed)?;
        digest(&mut file, |_| Ok(()))
    };
    if read_back().map_err(failed("read back"))? != written {
        return Err(LoaderError::ReadBack { path: path.to_owned() });
    }
    sync_directory(path)
}

fn digest(source: &mut dyn Read, mut each: impl FnMut(&[u8]) -> io::Result<()>) -> io::Result<[u8; 32]> {
    let (mut hash, mut chunk) = (Sha256::new(), vec![0; CHUNK]);
    loop {
        match source.read(&mut chunk) {
            Ok(0) => return Ok(hash.finalize().into()),
            Ok(count) => {
                hash.update(&chunk[..count]);
                each(&chunk[..count])?;
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

fn overwrite(path: &Path, content: &[u8]) -> io::Result<()> {
    let file = File::options().write(true).create(true).truncate(false).open(path)?;
    file.write_all_at(content, 0)?;
    if file.metadata()?.len() != content.len() as u64 {
        file.set_len(content.len() as u64)?;
    }
    file.sync_all()
}

/// The directory of a file, then its file system.
fn sync_directory(path: &Path) -> Result<(), LoaderError> {
    let directory = path.parent().unwrap_or(Path::new("."));
    let sync = || {
        let directory = File::open(directory)?;
        directory.sync_all()?;
        Ok(syncfs(&directory)?)
    };
    sync().map_err(LoaderError::io("sync", directory))
}
