//! Files to a release in a folder that any web server hands out.
//!
//! ```text
//! 1.root.json                     whom hosts trust
//! channels/stable.json            releases; replaced last, so that what it names is there
//! releases/1.2.0/manifest.json    files of the release with their digests
//! releases/1.2.0/root.erofs, …
//! ```

use crate::keys::Signing;
use anyhow::{Context, Result, bail, ensure};
use hull_update::digest::Digest;
use hull_update::trust::{
    FileEntry, Manifest, Pinned, Release, Wave, channel_path, check_name, manifest_path, read_channel, root_path,
    write_channel,
};
use hull_update::verity::Geometry;
use hull_update::version::Version;
use std::collections::BTreeMap;
use std::fs::{self, File, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// A release to publish.
#[derive(Debug)]
pub(crate) struct Publication<'a> {
    /// What a web server hands out.
    pub(crate) folder: &'a Path,
    /// Channel.
    pub(crate) channel: &'a str,
    /// Now, seconds since 1970.
    pub(crate) signed: u64,
    /// The channel's expiry, seconds since 1970.
    pub(crate) expires: u64,
    /// Version.
    pub(crate) version: Version,
    /// Least version that may update to it directly.
    pub(crate) minimum_from: Option<Version>,
    /// Who takes it when.
    pub(crate) waves: Vec<Wave>,
    /// For people.
    pub(crate) notes: String,
    /// Verity parameters, once they are known.
    pub(crate) root: Option<Geometry>,
    /// Names and where their content is.
    pub(crate) files: Vec<(&'static str, PathBuf)>,
}

impl Publication<'_> {
    fn place(&self) -> PathBuf {
        self.folder.join(format!("releases/{}", self.version))
    }

    /// Whether the version is still free: what hosts may have fetched does not change.
    pub(crate) fn check(&self) -> Result<()> {
        check_name(self.channel)?;
        let channel = read_channel(self.folder, self.channel).with_context(|| channel_path(self.channel))?;
        ensure!(
            channel.release(&self.version).is_none() && !self.place().exists(),
            "{} is published already: releases do not change, give this one another --version",
            self.place().display()
        );
        Ok(())
    }
}

/// Copies the files, writes the manifest, and adds the release to the channel.
pub(crate) fn publish(publication: &Publication<'_>, keys: &Signing) -> Result<Release> {
    publication.check()?;
    let Some(root) = publication.root.clone() else { bail!("a release has verity parameters") };
    let place = publication.place();
    let scratch = publication.folder.join("releases").join(format!(".{}", publication.version));
    if scratch.exists() {
        fs::remove_dir_all(&scratch)?;
    }
    fs::create_dir_all(&scratch).with_context(|| format!("{}", scratch.display()))?;
    let mut files = BTreeMap::new();
    for (name, from) in &publication.files {
        let to = scratch.join(name);
        fs::copy(from, &to).with_context(|| format!("{} to {}", from.display(), to.display()))?;
        // A web server is another user; veritysetup makes its file for its own only.
        fs::set_permissions(&to, Permissions::from_mode(0o644))?;
        files.insert((*name).to_owned(), entry(&to)?);
    }
    let manifest = Manifest::new(publication.version.clone(), root, files);
    let bytes = serde_json::to_vec_pretty(&manifest)?;
    fs::write(scratch.join("manifest.json"), &bytes)?;

    let release = Release {
        version: publication.version.clone(),
        published: publication.signed,
        minimum_from: publication.minimum_from.clone(),
        manifest: Pinned { sha256: Digest::of(&bytes), size: bytes.len() as u64 },
        waves: publication.waves.clone(),
        notes: publication.notes.clone(),
    };
    // What hosts would refuse is not published.
    hull_update::trust::manifest(&release, &bytes).with_context(|| manifest_path(&release.version))?;
    fs::rename(&scratch, &place).with_context(|| format!("{}", place.display()))?;
    let mut channel = read_channel(publication.folder, publication.channel)?;
    channel.version += 1;
    channel.signed = publication.signed;
    channel.expires = publication.expires;
    channel.releases.push(release.clone());
    fs::write(publication.folder.join(root_path(keys.root.version)), &keys.root_text)?;
    write_channel(publication.folder, &channel, &[&keys.release_key])?;
    Ok(release)
}

fn entry(path: &Path) -> Result<FileEntry> {
    let file = File::open(path)?;
    let size = file.metadata()?.len();
    Ok(FileEntry { sha256: Digest::of_reader(file)?, size })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys;
    use hull_update::trust::{FILES, Seen, channel, manifest, time};
    use hull_update::verity::Tree;

    const NOW: u64 = 1_800_000_000;

    fn publication<'a>(folder: &'a Path, source: &Path, version: &str) -> Publication<'a> {
        let image = version.repeat(4096);
        let tree = Tree::make(&image.as_bytes()[..8192], b"s", [0; 16]).unwrap();
        let files = FILES.map(|name| (name, source.join(name)));
        for (name, path) in &files {
            let content = match *name {
                "root.erofs" => image.as_bytes()[..8192].to_vec(),
                "root.verity" => [tree.superblock(), tree.levels()].concat(),
                _ => name.as_bytes().to_vec(),
            };
            fs::write(path, content).unwrap();
            fs::set_permissions(path, Permissions::from_mode(0o600)).unwrap();
        }
        Publication {
            folder,
            channel: "stable",
            signed: NOW,
            expires: NOW + 60,
            version: version.parse().unwrap(),
            minimum_from: None,
            waves: Vec::new(),
            notes: "new".into(),
            root: Some(tree.geometry().clone()),
            files: files.into(),
        }
    }

    #[test]
    fn hosts_take_what_is_published() {
        let [keys_dir, out, source] = [(); 3].map(|()| tempfile::tempdir().unwrap());
        let keys = keys::signing(keys_dir.path()).unwrap();
        for version in ["1.0.0", "1.1.0"] {
            publish(&publication(out.path(), source.path(), version), &keys).unwrap();
        }
        let again = publish(&publication(out.path(), source.path(), "1.1.0"), &keys).unwrap_err();
        assert!(again.to_string().contains("published already"), "{again}");
        let read = |path: &str| fs::read(out.path().join(path)).unwrap();
        assert_eq!(read("1.root.json"), keys.root_text);
        let seen = Seen::default();
        let bytes = read("channels/stable.json");
        let channel = channel(&keys.root, "stable", &bytes, time(Some(NOW), &seen), &seen).unwrap();
        assert_eq!((channel.version, channel.releases.len()), (2, 2));
        for release in &channel.releases {
            let folder = format!("releases/{}", release.version);
            let manifest = manifest(release, &read(&format!("{folder}/manifest.json"))).unwrap();
            Tree::check(read(&format!("{folder}/root.verity")), &manifest.root).unwrap();
            for (name, entry) in manifest.files {
                let metadata = fs::metadata(out.path().join(format!("{folder}/{name}"))).unwrap();
                assert_eq!(metadata.permissions().mode() & 0o777, 0o644, "{name}");
                assert_eq!(Digest::of(&read(&format!("{folder}/{name}"))), entry.sha256, "{name}");
            }
        }
    }

    #[test]
    fn what_hosts_would_refuse_is_not_published() {
        let [keys_dir, out, source] = [(); 3].map(|()| tempfile::tempdir().unwrap());
        let keys = keys::signing(keys_dir.path()).unwrap();
        let mut publication = publication(out.path(), source.path(), "1.0.0");
        publication.files.retain(|(name, _)| *name != "hull.efi");
        let error = publish(&publication, &keys).unwrap_err();
        assert!(format!("{error:#}").contains("no file hull.efi"), "{error:#}");
        assert!(!out.path().join("channels").exists() && !out.path().join("releases/1.0.0").exists());
        publication.channel = "../stable";
        assert!(publication.check().is_err());
    }
}
