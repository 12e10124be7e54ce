//! A server that lies: what it says is refused with the reason, nothing on the machine changes, and an honest server is
//! believed afterwards.

use super::story::Story;
use crate::faults::release::{Wrong, now};
use crate::faults::server::Lie;
use crate::faults::table::Row;
use anyhow::{Context, Result, ensure};
use hull_update::trust::{Channel, SigningKey};

const CHANNEL: &str = "stable.json";

/// Serves a release, lets `verb` meet the lie about `file`, and asks again without it.
fn told(story: &mut Story, verb: &str, word: &str, file: &str, lie: Lie) -> Result<Row> {
    let version = story.release(Wrong::Nothing)?;
    story.server.lie(file, lie);
    let row = story.refused(verb, word);
    believed(story, &version, row?)
}

fn believed(story: &mut Story, version: &str, row: Row) -> Result<Row> {
    story.server.serve(&story.folder);
    let text = story.done("check")?;
    ensure!(text.contains(version), "{text}");
    Ok(row)
}

/// A channel that was changed and signed.
fn channel(story: &mut Story, word: &str, key: Option<&SigningKey>, change: impl FnOnce(&mut Channel)) -> Result<Row> {
    let version = story.release(Wrong::Nothing)?;
    let text = story.good.resign(&story.folder, key, change)?;
    story.server.lie(CHANNEL, Lie::Body(text));
    let row = story.refused("check", word);
    believed(story, &version, row?)
}

pub(super) fn signature(story: &mut Story) -> Result<Row> {
    let (key, _) = SigningKey::generate()?;
    channel(story, "has 0 of 1 signatures", Some(&key), |_| ())
}

pub(super) fn expired(story: &mut Story) -> Result<Row> {
    let then = now()? - 3600;
    channel(story, "expired at", None, |channel| channel.expires = then)
}

pub(super) fn replayed(story: &mut Story) -> Result<Row> {
    story.release(Wrong::Nothing)?;
    story.done("check")?;
    channel(story, "has seen", None, |channel| channel.version -= 2)
}

/// An old version is not offered: it is none for a machine that runs a newer one.
pub(super) fn downgrade(story: &mut Story) -> Result<Row> {
    let version = story.release(Wrong::Nothing)?;
    let old = "0.0.9".parse()?;
    let text = story.good.resign(&story.folder, None, |channel| {
        channel.releases.iter_mut().for_each(|release| release.version.clone_from(&old));
    })?;
    story.server.lie(CHANNEL, Lie::Body(text));
    let start = std::time::Instant::now();
    let text = story.done("fetch")?;
    let row = story.row(start.elapsed(), false, format!("passed over: {}", text.lines().last().unwrap_or_default()));
    ensure!(text.contains("nothing newer"), "{text}");
    story.holds()?;
    believed(story, &version, row)
}

pub(super) fn mixed(story: &mut Story) -> Result<Row> {
    let before = story.release(Wrong::Nothing)?;
    let manifest = story.folder.join(format!("releases/{before}/manifest.json"));
    let manifest = std::fs::read(&manifest).with_context(|| format!("{}", manifest.display()))?;
    told(story, "check", "mixes releases or forges them", "manifest.json", Lie::Body(manifest))
}

pub(super) fn oversized(story: &mut Story) -> Result<Row> {
    told(story, "check", "more than the", CHANNEL, Lie::Endless)
}

pub(super) fn redirect(story: &mut Story) -> Result<Row> {
    told(story, "check", "redirects elsewhere", CHANNEL, Lie::Redirect("ftp://10.0.2.100/stable.json"))
}

pub(super) fn drip(story: &mut Story) -> Result<Row> {
    told(story, "check", "slow", CHANNEL, Lie::Drip)
}

pub(super) fn truncated(story: &mut Story) -> Result<Row> {
    told(story, "fetch", "root.verity", "root.verity", Lie::Cut(1000))
}

pub(super) fn corrupt(story: &mut Story) -> Result<Row> {
    told(story, "fetch", "with other bytes than the release has", "root.erofs", Lie::Flipped)
}

/// Not a lie: the whole image is fetched.
pub(super) fn no_ranges(story: &mut Story) -> Result<Row> {
    let version = story.release(Wrong::Nothing)?;
    story.server.lie("root.erofs", Lie::NoRanges);
    let start = std::time::Instant::now();
    let text = story.done("fetch")?;
    ensure!(text.contains(&format!("version {version} is in the other slot")), "{text}");
    let row = story.row(start.elapsed(), false, text.lines().last().unwrap_or_default().to_owned());
    story.holds()?;
    Ok(row)
}
