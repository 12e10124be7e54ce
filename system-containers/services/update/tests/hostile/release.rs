//! A publisher, and a host that updates from it.

use hull_update::client::Client;
use hull_update::delta::{self, Job, Progress, Storage};
use hull_update::digest::Digest;
use hull_update::trust::{
    Channel, FILES, FileEntry, Kind, Manifest, Pinned, Release, Root, Seen, SigningKey, anchor, check_root, permitted,
    sign, time, write_channel, write_root,
};
use hull_update::verity::{BLOCK, BLOCK_BYTES, Tree};
use hull_update::version::Version;
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::PathBuf;
use std::time::Duration;

pub(crate) const NOW: u64 = 1_800_000_000;
const DAY: u64 = 86_400;

/// Blocks of the releases' images.
pub(crate) const BLOCKS: u32 = 400;

pub(crate) struct World {
    pub(crate) folder: tempfile::TempDir,
    pub(crate) root: Root,
    pub(crate) root_key: SigningKey,
    pub(crate) release_key: SigningKey,
    pub(crate) channel: Channel,
    pub(crate) host: Host,
}

/// A host that runs 1.0.0.
pub(crate) struct Host {
    pub(crate) folder: tempfile::TempDir,
    pub(crate) anchor: Vec<u8>,
    pub(crate) seen: Seen,
    pub(crate) now: Option<u64>,
    pub(crate) wanted: &'static str,
    pub(crate) limits: hull_http::Limits,
}

pub(crate) fn key() -> SigningKey {
    SigningKey::generate().unwrap().0
}

/// Blocks that tell their number; those in `changed` differ from those of other images.
pub(crate) fn image(shift: u32, changed: &[u32]) -> Vec<u8> {
    let block = |number: u32| {
        let mut block = vec![0x22; BLOCK];
        let name = if changed.contains(&number) { number + 1_000_000 } else { number + shift };
        block[..4].copy_from_slice(&name.to_le_bytes());
        block
    };
    (0..BLOCKS).flat_map(block).collect()
}

/// The images of the releases: one that runs, and one that differs by a shift and a few blocks.
pub(crate) fn images() -> [(&'static str, Vec<u8>); 2] {
    [("1.0.0", image(0, &[])), ("1.1.0", image(3, &[5, 8, 200, 201, 399]))]
}

impl World {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (root_key, release_key) = (key(), key());
        let root = Root::new(NOW - DAY, NOW + 100 * DAY, vec![root_key.public()], vec![release_key.public()]);
        let releases = images().map(|(version, image)| release(&folder, version, &image));
        let channel = Channel {
            version: 3,
            signed: NOW - DAY,
            expires: NOW + DAY,
            releases: releases.into(),
            ..Channel::new("stable")
        };
        write_root(folder.path(), &root, &[&root_key]).unwrap();
        let host = Host {
            folder: tempfile::tempdir().unwrap(),
            anchor: sign(Kind::Root, &root, &[&root_key]).unwrap().into(),
            seen: Seen::default(),
            now: Some(NOW),
            wanted: "1.1.0",
            limits: Client::limits(),
        };
        let world = Self { folder, root, root_key, release_key, channel, host };
        world.publish();
        world
    }

    pub(crate) fn publish(&self) {
        write_channel(self.folder.path(), &self.channel, &[&self.release_key]).unwrap();
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }
}

pub(crate) fn release(folder: &tempfile::TempDir, version: &str, image: &[u8]) -> Release {
    let tree = Tree::make(image, version.as_bytes(), [7; 16]).unwrap();
    let version: Version = version.parse().unwrap();
    let place = folder.path().join(format!("releases/{version}"));
    fs::create_dir_all(&place).unwrap();
    let entry = |name: &str| {
        let content = match name {
            "root.erofs" => image.to_vec(),
            "root.verity" => [tree.superblock(), tree.levels()].concat(),
            "cmdline" => format!("console=ttyS0 hull.version={version}").into_bytes(),
            _ => format!("{name} of {version}").repeat(5000).into_bytes(),
        };
        fs::write(place.join(name), &content).unwrap();
        (name.to_owned(), FileEntry { sha256: Digest::of(&content), size: content.len() as u64 })
    };
    let files: BTreeMap<_, _> = FILES.map(entry).into();
    let bytes = serde_json::to_vec(&Manifest::new(version.clone(), tree.geometry().clone(), files)).unwrap();
    fs::write(place.join("manifest.json"), &bytes).unwrap();
    let manifest = Pinned { sha256: Digest::of(&bytes), size: bytes.len() as u64 };
    Release { version, published: NOW - DAY, minimum_from: None, manifest, waves: vec![], notes: String::new() }
}

impl Host {
    pub(crate) fn client(&self, url: &str) -> Client {
        let roots = self.folder.path().join("ca.pem");
        Client::new(url, roots, self.limits).unwrap().with_pause(Duration::ZERO)
    }

    /// Metadata only.
    pub(crate) fn manifest(&self, client: &Client) -> Result<Manifest, String> {
        let now = time(self.now, &self.seen);
        let text = |error: hull_update::client::ClientError| describe(&error);
        let trusted = anchor("root.json", &self.anchor).map_err(|error| error.to_string())?;
        let root = client.fetch_root_chain(trusted).map_err(text)?;
        check_root(&root, now, &self.seen).map_err(|error| error.to_string())?;
        let channel = client.fetch_channel(&root, "stable", now, &self.seen).map_err(text)?;
        let wanted = self.wanted.parse().unwrap();
        let release = permitted(&channel, &wanted, &"1.0.0".parse().unwrap(), &self.seen, false);
        client.fetch_manifest(release.map_err(|error| error.to_string())?).map_err(text)
    }

    /// Everything; returns the target.
    pub(crate) fn update(&self, url: &str) -> Result<(Progress, File), String> {
        let client = self.client(url);
        let manifest = self.manifest(&client)?;
        let at = |name: &str| format!("releases/{}/{name}", manifest.version);
        for name in ["root.verity", "hull.efi"] {
            let to = self.folder.path().join(name);
            client.fetch_file(&at(name), &manifest.files[name], &to, &mut |_| ()).map_err(|error| describe(&error))?;
        }
        let tree = fs::read(self.folder.path().join("root.verity")).unwrap();
        let tree = Tree::check(tree, &manifest.root).map_err(|error| error.to_string())?;
        let running = self.slot("running");
        running.write_at(&images()[0].1, 0).unwrap();
        let target = self.slot("target");
        let running: (&dyn Storage, u64) = (&running, u64::from(BLOCKS));
        let job = Job { running: Some(running), pause: Duration::ZERO, ..Job::new(&tree, &target) };
        let fetch = |range| client.fetch_part(&at("root.erofs"), range);
        let progress = delta::write(&job, &fetch, &mut |_| ()).map_err(|error| describe(&error))?;
        Ok((progress, target))
    }

    pub(crate) fn slot(&self, name: &str) -> File {
        let path = self.folder.path().join(name);
        let file = File::options().create(true).truncate(false).read(true).write(true).open(path).unwrap();
        file.set_len(u64::from(BLOCKS + 100) * BLOCK_BYTES).unwrap();
        file
    }

    /// Whether the target is the release's image with its tree.
    pub(crate) fn is_updated(&self, world: &World) -> bool {
        let place = world.path("releases/1.1.0");
        let read = |name: &str| fs::read(place.join(name)).unwrap();
        let whole = [read("root.erofs"), read("root.verity")].concat();
        fs::read(self.folder.path().join("target")).is_ok_and(|found| found.starts_with(&whole))
    }
}

/// An error with its sources.
fn describe(error: &dyn std::error::Error) -> String {
    match error.source() {
        Some(source) => format!("{error}: {}", describe(source)),
        None => error.to_string(),
    }
}
