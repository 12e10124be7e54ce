//! Which release a host may take, and from when. Pure.

use super::document::{Channel, Release};
use super::error::TrustError;
use super::verify::Seen;
use crate::version::Version;
use sha2::{Digest, Sha256};

/// Places of hosts in a release's order: hundredths of a percent.
const PLACES: u64 = 10_000;

/// The newest release above `running` that can be taken from it directly. With steps that cannot be left out this is the
/// first step; the one behind it follows from there.
#[must_use]
pub fn next<'a>(channel: &'a Channel, running: &Version) -> Option<&'a Release> {
    let reachable =
        channel.releases.iter().filter(|release| release.version > *running && is_reachable(release, running));
    reachable.max_by(|a, b| a.version.cmp(&b.version))
}

fn is_reachable(release: &Release, running: &Version) -> bool {
    release.minimum_from.as_ref().is_none_or(|minimum| running >= minimum)
}

/// The release of a version, where this host may take it now. `force` permits what is older than what ran well here; a
/// release that cannot be taken from the running one stays refused, as it would not work.
pub fn permitted<'a>(
    channel: &'a Channel,
    version: &Version,
    running: &Version,
    seen: &Seen,
    force: bool,
) -> Result<&'a Release, TrustError> {
    let release = channel.release(version).ok_or_else(|| TrustError::NoRelease {
        channel: channel.name.clone(),
        version: version.clone(),
        known: known(channel),
    })?;
    if let Some(blessed) = seen.highest_blessed.as_ref().filter(|blessed| release.version < **blessed && !force) {
        return Err(TrustError::Downgrade { version: release.version.clone(), blessed: blessed.clone() });
    }
    match &release.minimum_from {
        Some(minimum) if running < minimum => Err(TrustError::MinimumFrom {
            version: release.version.clone(),
            minimum: minimum.clone(),
            running: running.clone(),
            first: next(channel, running).map_or_else(|| minimum.clone(), |first| first.version.clone()),
        }),
        _ => Ok(release),
    }
}

/// When a host may take a release by itself, seconds since 1970; `None` when no wave reaches it. Its place in the order is
/// drawn anew for each release, from what only it knows: no host is always among the first.
#[must_use]
pub fn eligible_from(release: &Release, seed: &[u8]) -> Option<u64> {
    if release.waves.is_empty() {
        return Some(release.published);
    }
    let digest = Sha256::new().chain_update(seed).chain_update(release.version.as_str()).finalize();
    let place = digest.first_chunk().map_or(0, |bytes| u64::from_be_bytes(*bytes)) % PLACES;
    let wave = release.waves.iter().find(|wave| wave.percent.saturating_mul(PLACES / 100) > place);
    wave.map(|wave| release.published.saturating_add(wave.after_seconds))
}

fn known(channel: &Channel) -> String {
    let mut versions: Vec<&Version> = channel.releases.iter().map(|release| &release.version).collect();
    versions.sort();
    let text = versions.iter().rev().take(10).map(|version| version.as_str()).collect::<Vec<_>>().join(", ");
    if text.is_empty() { "none".into() } else { text }
}
