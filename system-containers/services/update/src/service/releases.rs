//! Which release this machine may take.

use super::Worker;
use crate::client::Client;
use crate::job::Done;
use crate::record::Available;
use crate::trust::{self, Channel, Manifest, Release, Seen, TrustError, eligible_from};
use crate::version::Version;
use anyhow::{Context, Result, bail};
use serde_json::Map;

/// The key set the image trusts.
const ANCHOR: &str = "root.json";

/// A release that may be taken.
pub(super) struct Candidate {
    pub(super) release: Release,
    pub(super) manifest: Manifest,
    /// From when on without being told to, seconds since 1970.
    pub(super) eligible_from: u64,
    pub(super) client: Client,
}

impl Worker<'_> {
    pub(super) fn check(&mut self, force: bool) -> Result<Done> {
        self.record.available = None;
        let (candidate, newest) = self.candidate(force)?;
        let Some(candidate) = candidate else { return Ok(Done::UpToDate { newest }) };
        let Candidate { release, eligible_from, .. } = candidate;
        Ok(Done::Available { version: release.version.to_string(), eligible_from })
    }

    /// The release to take and the newest there is; remembers what can be had.
    pub(super) fn candidate(&mut self, force: bool) -> Result<(Option<Candidate>, Option<String>)> {
        let client = self.client()?;
        let channel = self.channel(&client)?;
        let newest = channel.newest().map(|release| release.version.to_string());
        let running: Version = self.machine.version.parse().context("the running version has no version number")?;
        let Some(release) = self.choose(&channel, &running, force)? else { return Ok((None, newest)) };
        let manifest = client.fetch_manifest(&release)?;
        let turn = eligible_from(&release, self.record.seed.as_bytes()).unwrap_or(u64::MAX);
        self.record.available = Some(Available {
            version: release.version.to_string(),
            size: manifest.files.values().fold(0, |sum, file| sum.saturating_add(file.size)),
            notes: release.notes.clone(),
            eligible_from: turn,
            later: Map::new(),
        });
        Ok((Some(Candidate { release, manifest, eligible_from: turn, client }), newest))
    }

    fn choose(&self, channel: &Channel, running: &Version, force: bool) -> Result<Option<Release>> {
        let seen = self.seen();
        let release = if force {
            channel.newest().filter(|release| release.version != *running)
        } else {
            trust::next(channel, running)
        };
        let Some(release) = release else {
            // One that is out of reach from here is worth a word, one that is older is not.
            let beyond = channel.newest().filter(|newest| newest.version > *running);
            let refused = beyond.map(|newest| trust::permitted(channel, &newest.version, running, &seen, force));
            return Ok(refused.transpose()?.cloned());
        };
        let bad = self.record.bad.iter().find(|bad| bad.version == release.version.as_str());
        if let Some(bad) = bad.filter(|_| !force) {
            bail!("version {} failed here before: {}; --force tries it again", bad.version, bad.reason);
        }
        Ok(Some(trust::permitted(channel, &release.version, running, &seen, force)?.clone()))
    }

    fn channel(&mut self, client: &Client) -> Result<Channel> {
        let path = self.places.trust.join(ANCHOR);
        let bytes = std::fs::read(&path).with_context(|| {
            format!("{}: this image was built without keys and trusts nobody's updates", path.display())
        })?;
        let mut seen = self.seen();
        let time = trust::time(Some(self.now), &seen);
        let root = client.fetch_root_chain(trust::anchor(&path.display().to_string(), &bytes)?)?;
        trust::check_root(&root, time, &seen)?;
        seen.note(&root, None);
        let channel = client.fetch_channel(&root, &self.settings.channel, time, &seen);
        if let Ok(channel) = &channel {
            seen.note(&root, Some(channel));
        }
        let memory = &mut self.record.seen;
        (memory.root_version, memory.channel_version) = (seen.root_version, seen.channel_version);
        memory.last_signed_time = seen.last_signed_time;
        // A clock that fell back does not keep this machine waiting for its turn.
        self.now = self.now.max(seen.last_signed_time);
        Ok(channel?)
    }

    pub(super) fn seen(&self) -> Seen {
        let memory = &self.record.seen;
        Seen {
            root_version: memory.root_version,
            channel_version: memory.channel_version,
            highest_blessed: self.record.highest_blessed.as_ref().and_then(|version| version.parse().ok()),
            last_signed_time: memory.last_signed_time,
        }
    }
}

/// The release's file, checked to be in the manifest.
pub(super) fn entry(manifest: &Manifest, name: &str) -> Result<trust::FileEntry> {
    let missing =
        || TrustError::Malformed { file: trust::manifest_path(&manifest.version), what: format!("no {name}") };
    Ok(*manifest.files.get(name).ok_or_else(missing)?)
}
