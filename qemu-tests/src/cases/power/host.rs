//! Everything of a cut that can be judged without booting it, by the promises of the marks and by what the boot files were
//! before and after the step.

use super::recording::{LOOKED_AT, Recording};
use crate::fault_disk::Image;
use crate::fault_disk::cut::{Grain, Temper, tempered};
use crate::power::check::{self, check};
use crate::power::points::Point;
use crate::power::story::{Promised, Step};
use anyhow::{Context, Result, bail, ensure};
use std::collections::BTreeMap;
use std::path::Path;

/// Boot files that a step leaves as they are: path → content. A cut within the step must find them so.
pub(super) type Constant = BTreeMap<String, Vec<u8>>;

/// The boot files that are the same before a step, whether or not the cache was lost, and after it.
pub(super) fn constant(recording: &Recording, step: Step, folder: &Path) -> Result<Constant> {
    let span = step.operation(recording.firmware).span(recording.records())?;
    let files = |at: usize, keep: u16| {
        let temper = Temper { keep, torn: 0, grain: Grain::Sector };
        let plan = tempered(recording.records(), at, 0, temper);
        let image = recording.base.after(&recording.trace, &plan)?;
        check::esp(&image, folder).with_context(|| format!("boot files before record {at}")).map(|esp| esp.files)
    };
    let others = [files(span.start, 1000)?, files(span.end, 1000)?];
    let mut constant = files(span.start, 0)?;
    constant.retain(|path, content| others.iter().all(|other| other.get(path) == Some(content)));
    Ok(constant)
}

/// Looks at the disk after a cut; an error says what is lost.
pub(super) fn look(
    recording: &Recording,
    point: &Point,
    image: &Image,
    constant: &Constant,
    folder: &Path,
) -> Result<()> {
    let step = recording.step(&point.operation)?;
    let promised = Promised::before(recording.records(), point.at);
    let checked = check(image, folder, &LOOKED_AT)?;
    let esp = checked.esp.context("no boot partition")?.context("boot partition")?;
    for (path, content) in constant {
        let found = esp.files.get(path).with_context(|| format!("{path} is missing on the boot partition"))?;
        ensure!(found == content, "{path} on the boot partition has changed");
    }
    let state = match checked.state {
        // Made by the first boot, from nothing: nothing can be lost yet.
        None | Some(Err(_)) if step == Step::FirstBoot => return Ok(()),
        state => state.context("no state partition")?.context("state partition")?,
    };
    let texts: Vec<Option<String>> = state
        .files
        .into_iter()
        .map(|content| content.map(|content| String::from_utf8_lossy(&content).into_owned()))
        .collect();
    if let [lines, configuration, passwd, shadow] = &texts[..] {
        promised.check_lines(lines.as_deref())?;
        promised.check_configuration(configuration.as_deref())?;
        check_users(passwd.as_deref().unwrap_or_default(), shadow.as_deref().unwrap_or_default())?;
    }
    Ok(())
}

/// Whoever is in passwd(5) has a line in shadow(5): PAM refuses all others, keys or not.
fn check_users(passwd: &str, shadow: &str) -> Result<()> {
    fn names(text: &str) -> impl Iterator<Item = &str> {
        text.lines().filter_map(|line| line.split_once(':')).map(|(name, _)| name)
    }
    match names(passwd).find(|user| !names(shadow).any(|name| name == *user)) {
        Some(user) => bail!("user {user} is in passwd and not in shadow"),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_half_user_is_found() {
        check_users("", "").unwrap();
        check_users("a:x:1:1::/:/bin/sh\n", "root:*:\na:*:\n").unwrap();
        assert!(check_users("a:x:1:1::/:/bin/sh\n", "ab:*:\n").unwrap_err().to_string().contains("user a "));
    }
}
