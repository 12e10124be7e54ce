//! The other slot, written from what is there and what is fetched, and its kernel files on the ESP.

use super::Worker;
use super::releases::{Candidate, entry};
use crate::delta::{self, Job, Progress};
use crate::job::{Done, Firmware};
use crate::loader::{BootControl, BootFiles, Source};
use crate::record::Image;
use crate::slot::SlotState;
use crate::trust::{Manifest, manifest_path};
use crate::verity::{BLOCK_BYTES, Tree};
use anyhow::{Context, Result, ensure};
use serde_json::Map;
use std::cell::Cell;
use std::fs::{self, File, OpenOptions};
use std::path::{Path, PathBuf};

/// Folder of kernel files and trees on their way; what a failed run left is gone on with.
const DOWNLOADS: &str = "downloads";
/// The longest kernel command line.
const COMMAND_LINE_BYTES: u64 = 4096;

impl Worker<'_> {
    pub(super) fn fetch(&mut self, force: bool) -> Result<Done> {
        let (candidate, newest) = self.candidate(force)?;
        let Some(candidate) = candidate else { return Ok(Done::UpToDate { newest }) };
        let version = candidate.release.version.to_string();
        if candidate.eligible_from > self.now && !force {
            return Ok(Done::Available { version, eligible_from: candidate.eligible_from });
        }
        let manifest = &candidate.manifest;
        let root_hash = manifest.root.root_hash.to_string();
        ensure!(root_hash != self.machine.root_hash, "version {version} is the image that runs");
        let other = self.machine.slot.other();
        let loader = self.loader()?;
        let image = self.record.image(other);
        let known = loader.read()?.state(other);
        // A good one is not put on trial again: it is written anew.
        let is_there = known != SlotState::Good && image.is_some_and(|image| image.root_hash == root_hash);
        if is_there && is_complete(self, loader.as_ref(), manifest) {
            return Ok(Done::Written { version, fetched: 0, copied: 0 });
        }
        // From here on the other slot is nothing until it is whole.
        let stale: Vec<u64> = image.map(|image| image.data_blocks).into_iter().collect();
        self.record.set_image(other, None);
        if known != SlotState::Empty {
            loader.clear(other)?;
        }
        let downloads = self.places.state.join(DOWNLOADS).join(&version);
        self.sweep(&downloads)?;
        let progress = self.slot(&candidate, &downloads, &stale)?;
        let fetched = self.kernel(&candidate, loader.as_ref(), &downloads)?;
        self.record.set_image(
            other,
            Some(Image {
                version: version.clone(),
                root_hash,
                data_blocks: manifest.root.data_blocks,
                later: Map::new(),
            }),
        );
        fs::remove_dir_all(&downloads).with_context(|| downloads.display().to_string())?;
        Ok(Done::Written { version, fetched: progress.fetched + fetched, copied: progress.copied + progress.in_place })
    }

    /// Makes the folder; what is left of other versions goes.
    fn sweep(&self, wanted: &Path) -> Result<()> {
        let all = self.places.state.join(DOWNLOADS);
        for entry in fs::read_dir(&all).into_iter().flatten().flatten() {
            if entry.path() != wanted {
                fs::remove_dir_all(entry.path()).with_context(|| entry.path().display().to_string())?;
            }
        }
        fs::create_dir_all(wanted).with_context(|| wanted.display().to_string())
    }

    fn slot(&self, candidate: &Candidate, downloads: &Path, stale: &[u64]) -> Result<Progress> {
        let Candidate { manifest, client, .. } = candidate;
        let tree_file = downloads.join("root.verity");
        let tree_entry = entry(manifest, "root.verity")?;
        ensure!(
            tree_entry.size == manifest.root.tree_blocks() * BLOCK_BYTES,
            "{}: root.verity has another size than a tree over root.erofs",
            manifest_path(&manifest.version)
        );
        (self.tell)(format!("fetching the hash tree of version {}", manifest.version));
        client.fetch_file(&path(manifest, "root.verity"), &tree_entry, &tree_file, &mut |_| {})?;
        let bytes = fs::read(&tree_file).with_context(|| tree_file.display().to_string())?;
        let tree = Tree::check(bytes, &manifest.root)?;
        let open = |path: &PathBuf, write| {
            let file = OpenOptions::new().read(true).write(write).open(path);
            file.with_context(|| path.display().to_string())
        };
        let running = open(&self.machine.running, false)?;
        let target = open(&self.machine.other, true)?;
        let job = Job { running: Some((&running, self.machine.data_blocks)), stale, ..Job::new(&tree, &target) };
        (self.tell)("looking for what is here already".into());
        let (told, file) = (Cell::new(101), path(manifest, "root.erofs"));
        let mut report = |progress: Progress| {
            let there = progress.in_place + progress.copied + progress.used;
            let percent = there.saturating_mul(100) / progress.total.max(1);
            // A line each tenth part, and the last one.
            if told.get() != percent && (percent % 10 == 0 || there == progress.total) {
                told.set(percent);
                let mib = |bytes: u64| bytes >> 20;
                (self.tell)(format!(
                    "{percent} %: {} MiB were here, {} MiB fetched",
                    mib(progress.in_place + progress.copied),
                    mib(progress.fetched)
                ));
            }
        };
        let progress = delta::write(&job, &|range| client.fetch_part(&file, range), &mut report)?;
        Ok(Progress { fetched: progress.fetched + tree_entry.size, ..progress })
    }

    /// Returns the bytes fetched.
    fn kernel(&self, candidate: &Candidate, loader: &dyn BootControl, downloads: &Path) -> Result<u64> {
        let Candidate { manifest, client, .. } = candidate;
        let mut fetched = 0;
        let mut get = |name: &str| -> Result<(File, [u8; 32])> {
            let (entry, to) = (entry(manifest, name)?, downloads.join(name));
            (self.tell)(format!("fetching {name}"));
            client.fetch_file(&path(manifest, name), &entry, &to, &mut |_| {})?;
            fetched += entry.size;
            Ok((File::open(&to).with_context(|| to.display().to_string())?, entry.sha256.0))
        };
        let other = self.machine.slot.other();
        match self.machine.firmware {
            Firmware::Uefi => {
                let (image, sha256) = get("hull.efi")?;
                loader.install(other, BootFiles::Uefi { image: Source::expecting(image, sha256) })?;
            }
            Firmware::Bios => {
                let (vmlinuz, initrd) = (get("vmlinuz")?, get("initrd")?);
                ensure!(entry(manifest, "cmdline")?.size <= COMMAND_LINE_BYTES, "the kernel command line is too long");
                get("cmdline")?;
                let command_line = fs::read_to_string(downloads.join("cmdline")).context("cmdline")?;
                loader.install(
                    other,
                    BootFiles::Bios {
                        vmlinuz: Source::expecting(vmlinuz.0, vmlinuz.1),
                        initrd: Source::expecting(initrd.0, initrd.1),
                        command_line: command_line.trim_end(),
                    },
                )?;
            }
        }
        Ok(fetched)
    }
}

/// Whether the other slot still holds what the record says: its superblock is written last, its kernel files behind that.
fn is_complete(worker: &Worker<'_>, loader: &dyn BootControl, manifest: &Manifest) -> bool {
    let superblock = File::open(&worker.machine.other).ok().and_then(|device| {
        let mut block = vec![0; crate::verity::BLOCK];
        let at = manifest.root.data_blocks * BLOCK_BYTES;
        std::os::unix::fs::FileExt::read_exact_at(&device, &mut block, at).ok()?;
        crate::verity::Superblock::parse(&block).ok()
    });
    let files: &[&str] = match worker.machine.firmware {
        Firmware::Uefi => &["hull.efi"],
        Firmware::Bios => &["vmlinuz", "initrd", "boot.cfg"],
    };
    let folder = loader.esp().join("hull").join(worker.machine.slot.other().to_string());
    superblock.is_some_and(|superblock| superblock.check(&manifest.root).is_ok())
        && files.iter().all(|file| folder.join(file).exists())
}

fn path(manifest: &Manifest, name: &str) -> String {
    format!("releases/{}/{name}", manifest.version)
}
