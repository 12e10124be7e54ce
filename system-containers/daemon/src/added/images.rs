//! Images kept as archives, under names the owner gives them.

use super::change::ChangeError;
use super::store::Store;
use super::{job, on_thread};
use crate::lifecycle::System;
use crate::replace::replace_durably;
use hull_image_store::Digest;
use hull_image_store::job::{ARCHIVE_FILE, Credentials, Line, Request, STORED_FILE, Source, Stored, Work};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::rc::Rc;

/// Bytes of the longest name; Docker's own limit.
const NAME_MAX: usize = 255;

/// A kept image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Image {
    /// Its record.
    pub stored: Stored,
    /// Its archive.
    pub archive: PathBuf,
    /// When it was kept, seconds since 1970.
    pub kept: i64,
}

/// All kept images, by id. One whose record cannot be read is told and left out.
pub fn all(store: &Store) -> Vec<Image> {
    let mut images = Vec::new();
    for entry in fs::read_dir(store.images()).into_iter().flatten().flatten() {
        match read(&entry.path()) {
            Ok(image) => images.push(image),
            Err(error) => log::warn!("{}: {error}", entry.path().display()),
        }
    }
    images.sort_by_key(|image| image.stored.id);
    images
}

fn read(folder: &Path) -> io::Result<Image> {
    use std::os::unix::fs::MetadataExt;
    let stored: Stored = serde_json::from_slice(&fs::read(folder.join(STORED_FILE))?)?;
    let archive = folder.join(ARCHIVE_FILE);
    let kept = fs::metadata(&archive)?.mtime();
    Ok(Image { stored, archive, kept })
}

/// By name (`latest` is understood), id, beginning of an id, or digest.
///
/// # Errors
/// When there is none, or several.
pub fn find(store: &Store, name: &str) -> Result<Image, ChangeError> {
    let missing = || ChangeError::Missing(format!("No such image: {name}"));
    let digits = name.strip_prefix("sha256:").unwrap_or(name);
    let digest = name.split_once('@').and_then(|(_, digest)| digest.parse::<Digest>().ok());
    let whole = normal(name);
    let matches = |image: &Image| {
        let stored = &image.stored;
        stored.names.contains(&whole)
            || (digest.is_some() && stored.digest == digest)
            || (digits.len() >= 4 && stored.id.hex().starts_with(digits))
    };
    let mut found = all(store).into_iter().filter(matches);
    match (found.next(), found.next()) {
        (Some(one), None) => Ok(one),
        (Some(_), Some(_)) => Err(ChangeError::Conflict(format!("several images begin with {name}"))),
        (None, _) => Err(missing()),
    }
}

/// A name with its tag.
fn normal(name: &str) -> String {
    let last = name.rsplit('/').next().unwrap_or_default();
    if last.contains([':', '@']) { name.into() } else { format!("{name}:latest") }
}

/// Keeps the image of an archive or a registry; it gets `names` besides its own.
///
/// # Errors
/// See [`ChangeError`].
pub async fn keep(
    system: &Rc<System>,
    source: Source,
    names: &[String],
    credentials: Option<Credentials>,
    tell: &mut dyn FnMut(String),
) -> Result<Stored, ChangeError> {
    let _turn = system.changing.lock().await;
    let request = Request { work: Work::Keep(source), mirrors: Vec::new(), credentials };
    let line = job::run(system, &request, tell).await.map_err(ChangeError::Refused)?;
    let Line::Stored { incoming, mut stored } = line else {
        return Err(ChangeError::Failed(format!("{} answered something else", job::SERVICE)));
    };
    let mut given: Vec<String> = stored.names.iter().chain(names).map(|name| normal(name)).collect();
    given.retain(|name| is_name(name));
    stored.names.clear();
    let (store, place) = (system.store.clone(), system.store.images().join(stored.id.hex()));
    on_thread("keep an image", move || {
        if let Ok(image) = read(&place) {
            // The same content, perhaps as another kind of archive.
            stored = image.stored;
            store.discard(&store.incoming(&incoming))?;
        } else {
            // One that cannot be read is none.
            store.discard(&place)?;
            store.place(&incoming, &place)?;
            write(&store, &stored)?;
        }
        for name in given {
            give(&store, &name, stored.id)?;
        }
        Ok(read(&place)?.stored)
    })
    .await
}

/// Gives an image a further name, which another one may have had.
///
/// # Errors
/// See [`ChangeError`].
pub async fn tag(system: &System, image: &str, name: &str) -> Result<(), ChangeError> {
    let _turn = system.changing.lock().await;
    let id = find(&system.store, image)?.stored.id;
    let name = normal(name);
    if !is_name(&name) {
        return Err(ChangeError::Refused(format!("\"{name}\" is no name for an image")));
    }
    let store = system.store.clone();
    on_thread("tag", move || give(&store, &name, id)).await
}

/// Takes a name away, and the image with its last one; by id all of it goes.
///
/// # Errors
/// See [`ChangeError`].
pub async fn remove(system: &System, name: &str) -> Result<(Vec<String>, Option<Digest>), ChangeError> {
    let _turn = system.changing.lock().await;
    let mut stored = find(&system.store, name)?.stored;
    let whole = normal(name);
    let store = system.store.clone();
    on_thread("remove an image", move || {
        if stored.names.len() > 1 && stored.names.contains(&whole) {
            stored.names.retain(|name| *name != whole);
            write(&store, &stored)?;
            return Ok((vec![whole], None));
        }
        store.discard(&store.images().join(stored.id.hex()))?;
        Ok((stored.names, Some(stored.id)))
    })
    .await
}

fn give(store: &Store, name: &str, id: Digest) -> io::Result<()> {
    let mut images = all(store);
    // Taken away before it is given: where power fails in between it is nobody's, never that of two.
    images.sort_by_key(|image| image.stored.id == id);
    for image in images {
        let mut stored = image.stored;
        let (had, gets) = (stored.names.iter().any(|other| other == name), stored.id == id);
        if had != gets {
            stored.names.retain(|other| other != name);
            stored.names.extend(gets.then(|| name.to_owned()));
            write(store, &stored)?;
        }
    }
    Ok(())
}

fn write(store: &Store, stored: &Stored) -> io::Result<()> {
    let file = store.images().join(stored.id.hex()).join(STORED_FILE);
    replace_durably(&file, &serde_json::to_vec_pretty(stored)?)
}

/// `[host[:port]/]repository:tag` as Docker writes it.
fn is_name(name: &str) -> bool {
    let Some((repository, tag)) = name.rsplit_once(':') else { return false };
    let plain = |text: &str, more: &[u8]| {
        !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || more.contains(&byte))
    };
    name.len() <= NAME_MAX && repository.split('/').all(|part| plain(part, b"._-:")) && plain(tag, b"._-")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn store(folder: &Path) -> (Store, [Digest; 2]) {
        let store = Store::new(folder.into());
        let ids = [b"1", b"2"].map(|id| Digest::of(id));
        for id in ids {
            fs::create_dir_all(store.images().join(id.hex())).unwrap();
            fs::write(store.images().join(id.hex()).join(ARCHIVE_FILE), "tar").unwrap();
            write(&store, &Stored { id, digest: Some(id), names: Vec::new(), bytes: 3, defaults: Default::default() })
                .unwrap();
        }
        (store, ids)
    }

    #[test]
    fn a_name_is_one_images_at_a_time() {
        let folder = tempfile::tempdir().unwrap();
        let (store, [one, two]) = store(folder.path());
        give(&store, "web:latest", one).unwrap();
        give(&store, "web:1", one).unwrap();
        give(&store, "web:latest", two).unwrap();
        assert_eq!(find(&store, "web").unwrap().stored.id, two);
        assert_eq!(find(&store, "web:1").unwrap().stored.id, one);
        assert_eq!(find(&store, &one.to_string()).unwrap().stored.names, ["web:1"]);
        assert_eq!(find(&store, &one.hex()[..12]).unwrap().stored.id, one);
        assert_eq!(find(&store, &format!("host/x@{two}")).unwrap().stored.id, two);
        assert!(matches!(find(&store, "absent"), Err(ChangeError::Missing(_))));
    }

    #[test]
    fn a_name_is_never_that_of_two_images_when_power_fails() {
        let folder = tempfile::tempdir().unwrap();
        let (store, ids) = store(folder.path());
        for (had, gets) in [(ids[0], ids[1]), (ids[1], ids[0])] {
            for fails in ids {
                give(&store, "web:latest", had).unwrap();
                let obstacle = store.images().join(fails.hex()).join(format!("{STORED_FILE}.new"));
                fs::create_dir(&obstacle).unwrap();
                give(&store, "web:latest", gets).unwrap_err();
                fs::remove_dir(&obstacle).unwrap();
                let named = all(&store).into_iter().filter(|image| !image.stored.names.is_empty());
                let named: Vec<Digest> = named.map(|image| image.stored.id).collect();
                assert_eq!(named, if fails == had { vec![had] } else { Vec::new() });
            }
        }
    }

    #[test]
    fn names() {
        for (name, sound) in [
            ("web:latest", true),
            ("host:5000/a/b:1.2", true),
            ("web", false),
            ("a//b:1", false),
            ("a b:1", false),
            ("a:", false),
        ] {
            assert_eq!(is_name(name), sound, "{name}");
        }
        assert_eq!(normal("host:5000/a"), "host:5000/a:latest");
        assert_eq!(normal("a:1"), "a:1");
    }
}
