//! What is on the state partition.
//!
//! ```text
//! /state/added/
//!   installed/<name>/   a service: service.toml, origin.json, seccomp.bpf, seccomp.calls, inventory, rootfs/
//!   staged/<name>/      a new version of it whose definition the owner has not allowed yet
//!   enabled/<name>      digest of the definition the owner allowed
//!   images/<id>/        an image kept as an archive: image.tar, image.json
//!   uploads/            archives as they come from clients
//!   incoming/           the importer's, see hull_image_store::job
//! ```
//!
//! Everything appears and goes by one rename, so a power cut leaves the old or the new. A new version takes the place of
//! an old one by two; [`Store::settle`] does the second where the first was all there was time for.

use hull_image_store::job::{INCOMING, UPLOADS};
use hull_image_store::origin::{DEFINITION_FILE, ORIGIN_FILE};
use hull_image_store::{Digest, Origin, space};
use hull_service::{Service, added};
use std::fs::{self, DirBuilder, File};
use std::io::{self, ErrorKind};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use crate::replace::replace_durably;

const INSTALLED: &str = "installed";
const STAGED: &str = "staged";
const ENABLED: &str = "enabled";
const IMAGES: &str = "images";

/// The folders.
#[derive(Debug, Clone)]
pub struct Store {
    folder: PathBuf,
}

/// A definition as it lies in the store.
#[derive(Debug, Clone)]
pub struct Definition {
    /// Its text.
    pub text: String,
    /// The text's digest, which the owner allows.
    pub digest: Digest,
    /// What it says; the reason where that may not be.
    pub service: Result<Service, String>,
}

impl Store {
    /// The store in a folder that need not exist.
    pub fn new(folder: PathBuf) -> Self {
        Self { folder }
    }

    /// Folder of a service.
    pub fn installed(&self, name: &str) -> PathBuf {
        self.folder.join(INSTALLED).join(name)
    }

    /// Folder of a service's new version.
    pub fn staged(&self, name: &str) -> PathBuf {
        self.folder.join(STAGED).join(name)
    }

    /// Folder of kept images.
    pub fn images(&self) -> PathBuf {
        self.folder.join(IMAGES)
    }

    /// Folder of a result of the importer.
    pub fn incoming(&self, id: &str) -> PathBuf {
        self.folder.join(INCOMING).join(id)
    }

    /// A path below the store.
    pub fn path(&self, path: &str) -> PathBuf {
        self.folder.join(path)
    }

    /// Names of all services, sorted.
    ///
    /// # Errors
    /// When the folder is there and cannot be read.
    pub fn names(&self) -> io::Result<Vec<String>> {
        self.list(INSTALLED)
    }

    fn list(&self, kind: &str) -> io::Result<Vec<String>> {
        let entries = match fs::read_dir(self.folder.join(kind)) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries?,
        };
        let names = entries.map(|entry| entry.map(|entry| entry.file_name().to_string_lossy().into_owned()));
        let mut names = names.collect::<io::Result<Vec<_>>>()?;
        names.retain(|name| added::is_name(name));
        names.sort();
        Ok(names)
    }

    /// The definition the owner allowed; `None` for a service that is not enabled.
    pub fn allowed(&self, name: &str) -> Option<Digest> {
        fs::read_to_string(self.folder.join(ENABLED).join(name)).ok()?.trim().parse().ok()
    }

    /// Remembers that the owner allows a definition.
    ///
    /// # Errors
    /// When that cannot be written.
    pub fn allow(&self, name: &str, definition: Digest) -> io::Result<()> {
        replace_durably(&self.folder.join(ENABLED).join(name), format!("{definition}\n").as_bytes())
    }

    /// Forgets it.
    ///
    /// # Errors
    /// When it cannot be removed.
    pub fn forbid(&self, name: &str) -> io::Result<()> {
        match fs::remove_file(self.folder.join(ENABLED).join(name)) {
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
            done => done.and_then(|()| sync(&self.folder.join(ENABLED))),
        }
    }

    /// Renames a result of the importer to a place where nothing is.
    ///
    /// # Errors
    /// When it cannot be renamed.
    pub fn place(&self, incoming: &str, place: &Path) -> io::Result<()> {
        let parent = place.parent().unwrap_or(&self.folder);
        make(parent)?;
        fs::rename(self.incoming(incoming), place)?;
        sync(parent)
    }

    /// Puts a staged version in the installed one's place; the old one goes. The old one is never in `staged/`, where it
    /// would look like a newer one: power that fails between the two renames leaves none installed, see [`Self::settle`].
    ///
    /// # Errors
    /// When one of them cannot be renamed. That the old one cannot be removed is only told.
    pub fn promote(&self, name: &str) -> io::Result<()> {
        let (staged, installed) = (self.staged(name), self.installed(name));
        let old = self.set_aside(&installed)?;
        if let Err(error) = fs::rename(&staged, &installed) {
            fs::rename(&old, &installed).ok();
            return Err(error);
        }
        sync(&self.folder.join(INSTALLED))?;
        if let Err(error) = remove(&old) {
            log::warn!("{}: {error}", old.display());
        }
        Ok(())
    }

    /// Ends what the daemon before this one began. A staged version goes in its place where the old one is out of it
    /// already, or the owner allows the staged one's definition and not the old one's; what is allowed under a name that
    /// no service has is forgotten.
    ///
    /// # Errors
    /// When a folder is there and cannot be read, or the first thing that cannot be changed.
    pub fn settle(&self) -> io::Result<()> {
        for name in self.list(STAGED)? {
            let (installed, staged, allowed) = (self.installed(&name), self.staged(&name), self.allowed(&name));
            let is_allowed = |folder: &Path| {
                let definition = definition(&name, folder).ok();
                definition.is_some_and(|definition| allowed == Some(definition.digest))
            };
            if !installed.exists() || (!is_allowed(&installed) && is_allowed(&staged)) {
                log::info!("{name}: its new version takes the place of the old one");
                self.promote(&name)?;
            }
        }
        for name in self.list(ENABLED)?.into_iter().filter(|name| !self.installed(name).exists()) {
            self.forbid(&name)?;
        }
        Ok(())
    }

    /// Gives a service another name, under which there is none.
    ///
    /// # Errors
    /// When it cannot be renamed.
    pub fn rename(&self, name: &str, new: &str) -> io::Result<()> {
        self.discard(&self.staged(name))?;
        fs::rename(self.installed(name), self.installed(new))?;
        sync(&self.folder.join(INSTALLED))
    }

    /// Takes a folder away: at once out of sight, so that nothing half removed is ever found.
    ///
    /// # Errors
    /// When it cannot be renamed or removed; what is absent is no error.
    pub fn discard(&self, folder: &Path) -> io::Result<()> {
        remove(&self.set_aside(folder)?)
    }

    /// Renames a folder, which may be absent, to where the importer removes what a crash leaves.
    fn set_aside(&self, folder: &Path) -> io::Result<PathBuf> {
        let parent = self.folder.join(INCOMING);
        make(&parent)?;
        let name = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let trash = parent.join(format!("removed-{name}"));
        remove(&trash)?;
        match fs::rename(folder, &trash) {
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            renamed => renamed.and_then(|()| sync(folder.parent().unwrap_or(folder)))?,
        }
        Ok(trash)
    }

    /// Removes archives whose clients went away with the daemon before this one.
    pub fn sweep(&self) {
        if let Err(error) = remove(&self.folder.join(UPLOADS)) {
            log::warn!("{}: {error}", self.folder.join(UPLOADS).display());
        }
    }

    /// A new file below `uploads/` and its path below the store.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn upload(&self) -> io::Result<(File, String)> {
        let folder = self.folder.join(UPLOADS);
        make(&folder)?;
        let number = crate::clock::boot_micros();
        let path = format!("{UPLOADS}/{number}.tar");
        Ok((File::create_new(self.folder.join(&path))?, path))
    }

    /// Bytes that may be written, see [`space::available`].
    ///
    /// # Errors
    /// When the file system cannot be asked.
    pub fn available(&self) -> io::Result<u64> {
        make(&self.folder)?;
        space::available(&self.folder)
    }
}

/// Where a service in `folder` is from.
///
/// # Errors
/// When the record cannot be read or is none.
pub fn origin(folder: &Path) -> io::Result<Origin> {
    let file = folder.join(ORIGIN_FILE);
    let named = |error: io::Error| io::Error::new(error.kind(), format!("{}: {error}", file.display()));
    serde_json::from_slice(&fs::read(&file).map_err(named)?).map_err(|error| named(error.into()))
}

/// The definition of the service `name` in `folder`.
///
/// # Errors
/// When there is none.
pub fn definition(name: &str, folder: &Path) -> io::Result<Definition> {
    let file = folder.join(DEFINITION_FILE);
    let text = fs::read_to_string(&file)
        .map_err(|error| io::Error::new(error.kind(), format!("{}: {error}", file.display())))?;
    Ok(read(name, text, &file.to_string_lossy()))
}

/// A definition's text for the service `name`; `place` is for messages.
pub fn read(name: &str, text: String, place: &str) -> Definition {
    let digest = Digest::of(text.as_bytes());
    let parsed = crate::definition::load::read(name, place, &text);
    let service = parsed.and_then(|service| match added::problems(name, &service).as_slice() {
        [] => Ok(service),
        problems => {
            let list: Vec<String> = problems.iter().map(ToString::to_string).collect();
            Err(format!("{place}: {}", list.join("; ")))
        }
    });
    Definition { text, digest, service }
}

fn make(folder: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(folder)
}

fn sync(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        done => done,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_version_takes_the_place_of_the_old_one() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::new(folder.path().join("added"));
        assert_eq!(store.names().unwrap(), [""; 0]);
        for (id, place) in [("1", store.installed("web")), ("2", store.staged("web"))] {
            fs::create_dir_all(store.incoming(id)).unwrap();
            fs::write(store.incoming(id).join("id"), id).unwrap();
            store.place(id, &place).unwrap();
        }
        fs::create_dir_all(store.installed("Not-A-Name")).unwrap();
        assert_eq!(store.names().unwrap(), ["web"]);
        store.promote("web").unwrap();
        assert_eq!(fs::read_to_string(store.installed("web").join("id")).unwrap(), "2");
        assert!(!store.staged("web").exists());
        // There is no new one: the old one stays.
        store.promote("web").unwrap_err();
        assert_eq!(fs::read_to_string(store.installed("web").join("id")).unwrap(), "2");
        store.discard(&store.installed("web")).unwrap();
        store.discard(&store.installed("web")).unwrap();
        assert!(!store.installed("web").exists());
        assert_eq!(fs::read_dir(folder.path().join("added/incoming")).unwrap().count(), 0);
    }

    #[test]
    fn what_a_power_cut_left_undone_is_ended() {
        // Definitions: installed, staged, allowed; and afterwards.
        for (before, after) in [
            ([Some("a"), Some("b"), Some("a")], [Some("a"), Some("b"), Some("a")]),
            ([Some("a"), Some("b"), None], [Some("a"), Some("b"), None]),
            ([Some("a"), Some("a"), Some("a")], [Some("a"), Some("a"), Some("a")]),
            ([Some("a"), None, Some("b")], [Some("a"), None, Some("b")]),
            ([Some("a"), Some("b"), Some("b")], [Some("b"), None, Some("b")]),
            ([None, Some("b"), Some("b")], [Some("b"), None, Some("b")]),
            ([None, Some("b"), None], [Some("b"), None, None]),
            ([None, None, Some("a")], [None, None, None]),
        ] {
            let folder = tempfile::tempdir().unwrap();
            let store = Store::new(folder.path().into());
            fs::create_dir_all(store.installed("other")).unwrap();
            let [installed, staged, allowed] = before;
            for (text, place) in [(installed, store.installed("web")), (staged, store.staged("web"))] {
                if let Some(text) = text {
                    fs::create_dir_all(&place).unwrap();
                    fs::write(place.join(DEFINITION_FILE), text).unwrap();
                }
            }
            if let Some(text) = allowed {
                store.allow("web", Digest::of(text.as_bytes())).unwrap();
            }
            store.settle().unwrap();
            let digest = |folder: PathBuf| definition("web", &folder).ok().map(|definition| definition.digest);
            let found = [digest(store.installed("web")), digest(store.staged("web")), store.allowed("web")];
            assert_eq!(found, after.map(|text| text.map(|text| Digest::of(text.as_bytes()))), "{before:?}");
        }
    }

    /// A new version that is in its place must never be next to one in `staged/` that looks like a newer one.
    #[test]
    fn the_old_version_is_not_staged_when_power_fails() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::new(folder.path().into());
        for (id, place) in [("1", store.installed("web")), ("2", store.staged("web"))] {
            fs::create_dir_all(store.incoming(id)).unwrap();
            fs::write(store.incoming(id).join("id"), id).unwrap();
            store.place(id, &place).unwrap();
        }
        // Nothing gets out of sight any more.
        fs::write(folder.path().join("incoming/removed-web"), "").unwrap();
        store.promote("web").unwrap_err();
        assert_eq!(fs::read_to_string(store.installed("web").join("id")).unwrap(), "1");
        assert_eq!(fs::read_to_string(store.staged("web").join("id")).unwrap(), "2");
    }

    #[test]
    fn what_is_allowed_is_one_definition() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::new(folder.path().into());
        assert_eq!(store.allowed("web"), None);
        store.allow("web", Digest::of(b"a")).unwrap();
        assert_eq!(store.allowed("web"), Some(Digest::of(b"a")));
        store.forbid("web").unwrap();
        store.forbid("web").unwrap();
        assert_eq!(store.allowed("web"), None);
    }

    #[test]
    fn a_definition_that_asks_for_too_much_says_what() {
        let text = "description = \"x\"\nrequired = true\n[[process]]\nname = \"a\"\ncommand = [\"/a\"]\n";
        let found = read("web", text.into(), "web.toml");
        let reason = found.service.unwrap_err();
        assert!(reason.contains("web.toml: required:") && reason.contains("security.seccomp"), "{reason}");
    }
}
