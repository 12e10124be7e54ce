//! A bad release: the files of a good one with one thing wrong, hashed and signed as if all were well.

use super::erofs::Image;
use anyhow::{Context, Result, ensure};
use hull_update::digest::Digest;
use hull_update::trust::{
    Channel, FileEntry, Manifest, Pinned, Release, SigningKey, channel_path, manifest_path, read_channel, write_channel,
};
use hull_update::verity::{Geometry, Tree};
use hull_update::version::Version;
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

/// A file that is not compressed in the image, and that no boot needs: its content is free.
pub const SPARE: &str = "services/docker/rootfs/usr/sbin/docker-proxy";
const CHANNEL: &str = "stable";
/// Of the image builder's trees.
const UUID: [u8; 16] = *b"HULL\0\0\x40\0\x80\0\0\0\0\0\0\x01";
const DAY: u64 = 86_400;
/// A guest's clock may be behind this machine's.
const CLOCK_SLACK: u64 = 60;

/// A release that works, and the key of its publisher.
#[derive(Debug)]
pub struct Good {
    folder: PathBuf,
    place: PathBuf,
    version: Version,
    manifest: Manifest,
    channel: Channel,
    key: SigningKey,
    command_line: String,
}

/// What is wrong with a release.
#[derive(Debug, Clone, Copy)]
pub enum Wrong {
    /// Nothing.
    Nothing,
    /// The root, changed by this.
    Root(fn(&Image) -> Result<()>),
    /// The initrd is no archive.
    Initrd,
    /// The kernel ends in the middle: UKI and vmlinuz.
    Kernel,
}

impl Good {
    /// The newest release in `build/test-release`, signed with `build/keys`.
    pub fn open(build: &Path) -> Result<Self> {
        let folder = build.join("test-release");
        let channel = read_channel(&folder, CHANNEL)?;
        let release = channel.newest().with_context(|| format!("no release in {}; make release", folder.display()))?;
        let version = release.version.clone();
        let place = folder.join(format!("releases/{version}"));
        let manifest = folder.join(manifest_path(&version));
        let manifest = fs::read(&manifest).with_context(|| format!("{}", manifest.display()))?;
        let key = build.join("keys/release.key");
        let key = fs::read_to_string(&key).with_context(|| format!("{}", key.display()))?;
        Ok(Self {
            command_line: fs::read_to_string(place.join("cmdline"))?,
            manifest: serde_json::from_slice(&manifest)?,
            key: SigningKey::parse(&key)?,
            folder,
            place,
            version,
            channel,
        })
    }

    /// Makes the release number `number` (from 1) in the folder `to`, which is emptied; returns its version.
    pub fn spoil(&self, number: u64, wrong: Wrong, to: &Path) -> Result<Version> {
        // As long as the good one's, so that it fits in its place on the command line within the UKI.
        let version: Version = format!("0.{}.{}", 3 + number / 10, number % 10).parse()?;
        ensure!(version.to_string().len() == self.version.to_string().len(), "{} has another length", self.version);
        if to.exists() {
            fs::remove_dir_all(to)?;
        }
        let place = to.join(format!("releases/{version}"));
        fs::create_dir_all(&place)?;
        for name in self.manifest.files.keys() {
            fs::copy(self.place.join(name), place.join(name)).with_context(|| name.clone())?;
        }
        fs::copy(self.folder.join("1.root.json"), to.join("1.root.json"))?;
        let root = self.root(&place, &version, wrong)?;
        let command_line = self.command_line(&root, &version)?;
        fs::write(place.join("cmdline"), &command_line)?;
        let uki = place.join("hull.efi");
        replace(&uki, self.command_line.as_bytes(), command_line.as_bytes())?;
        match wrong {
            Wrong::Nothing | Wrong::Root(_) => {}
            Wrong::Initrd => {
                let initrd = fs::read(place.join("initrd"))?;
                let garbage = vec![0x5a; initrd.len()];
                replace(&uki, &initrd, &garbage)?;
                fs::write(place.join("initrd"), garbage)?;
            }
            Wrong::Kernel => {
                for name in ["hull.efi", "vmlinuz"] {
                    let file = File::options().write(true).open(place.join(name))?;
                    file.set_len(file.metadata()?.len() / 2)?;
                }
            }
        }
        self.publish(to, number, Manifest::new(version.clone(), root, files(&place, self.manifest.files.keys())?))?;
        Ok(version)
    }

    /// Changes and hashes the root: always in some way, for a release has a root of its own.
    fn root(&self, place: &Path, version: &Version, wrong: Wrong) -> Result<Geometry> {
        let path = place.join("root.erofs");
        let image = Image::open(&path)?;
        // Behind any program that is put there.
        image.overwrite(SPARE, 1024, version.to_string().as_bytes())?;
        if let Wrong::Root(change) = wrong {
            change(&image)?;
        }
        let reader = std::io::BufReader::with_capacity(1 << 20, File::open(&path)?);
        let tree = Tree::make(reader, &self.manifest.root.salt, UUID)?;
        fs::write(place.join("root.verity"), [tree.superblock(), tree.levels()].concat())?;
        Ok(tree.geometry().clone())
    }

    fn command_line(&self, root: &Geometry, version: &Version) -> Result<String> {
        let old = [format!(":{}", self.manifest.root.root_hash), format!("hull.version={}", self.version)];
        let new = [format!(":{}", root.root_hash), format!("hull.version={version}")];
        let mut text = self.command_line.clone();
        for (old, new) in old.iter().zip(&new) {
            ensure!(text.matches(old).count() == 1, "the command line of {} has no {old}", self.version);
            text = text.replace(old, new);
        }
        Ok(text)
    }

    fn publish(&self, to: &Path, number: u64, manifest: Manifest) -> Result<()> {
        let bytes = serde_json::to_vec(&manifest)?;
        fs::write(to.join(manifest_path(&manifest.version)), &bytes)?;
        let now = now()?;
        let release = Release {
            version: manifest.version,
            published: now - CLOCK_SLACK,
            minimum_from: None,
            manifest: Pinned { sha256: Digest::of(&bytes), size: bytes.len() as u64 },
            waves: Vec::new(),
            notes: String::new(),
        };
        let version = self.channel.version + number;
        let (signed, expires) = (now - CLOCK_SLACK, now + DAY);
        let channel = Channel { version, signed, expires, releases: vec![release], ..self.channel.clone() };
        Ok(write_channel(to, &channel, &[&self.key])?)
    }

    /// Signs the channel of `folder` anew after `change`, by another key if wanted; returns its text.
    pub fn resign(
        &self,
        folder: &Path,
        key: Option<&SigningKey>,
        change: impl FnOnce(&mut Channel),
    ) -> Result<Vec<u8>> {
        let mut channel = read_channel(folder, CHANNEL)?;
        change(&mut channel);
        let scratch = tempfile::tempdir()?;
        write_channel(scratch.path(), &channel, &[key.unwrap_or(&self.key)])?;
        Ok(fs::read(scratch.path().join(channel_path(CHANNEL)))?)
    }
}

/// Seconds since 1970.
pub fn now() -> Result<u64> {
    Ok(SystemTime::now().duration_since(UNIX_EPOCH).context("the clock is before 1970")?.as_secs())
}

fn files<'a>(place: &Path, names: impl Iterator<Item = &'a String>) -> Result<BTreeMap<String, FileEntry>> {
    let entry = |name: &String| -> Result<(String, FileEntry)> {
        let file = File::open(place.join(name))?;
        let size = file.metadata()?.len();
        Ok((name.clone(), FileEntry { sha256: Digest::of_reader(file)?, size }))
    };
    names.map(entry).collect()
}

/// Replaces the one place of `old` in a file by `new`, which is as long.
fn replace(path: &Path, old: &[u8], new: &[u8]) -> Result<()> {
    let mut bytes = fs::read(path)?;
    let place = only_place(&bytes, old).with_context(|| format!("{}: what is to be replaced", path.display()))?;
    ensure!(old.len() == new.len(), "{}: the replacement has another length", path.display());
    bytes[place..place + new.len()].copy_from_slice(new);
    Ok(fs::write(path, bytes)?)
}

fn only_place(bytes: &[u8], wanted: &[u8]) -> Result<usize> {
    let mut places = bytes.windows(wanted.len()).enumerate().filter(|(_, window)| *window == wanted);
    let (place, _) = places.next().context("it is not there")?;
    ensure!(places.next().is_none(), "it is there more than once");
    Ok(place)
}

#[cfg(test)]
mod tests {
    use super::only_place;

    #[test]
    fn one_place_is_found() {
        assert_eq!(only_place(b"abcabd", b"abd").unwrap(), 3);
        for wanted in [b"ab".as_slice(), b"x"] {
            assert!(only_place(b"abcabd", wanted).is_err());
        }
    }
}
