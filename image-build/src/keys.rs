//! Whom images trust for updates, and the keys of those who sign.
//!
//! ```text
//! root.json     signed; goes into images
//! root.key      signs the next root: when keys change or the root expires; best kept off line
//! release.key   signs channels: with every release, and before a channel expires
//! ```

use anyhow::{Context, Result, ensure};
use hull_update::trust::{Kind, Root, SigningKey, anchor as parse_anchor, sign};
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

const ROOT: &str = "root.json";
const ROOT_KEY: &str = "root.key";
const RELEASE_KEY: &str = "release.key";
/// Ten years: a root that expires makes hosts deaf that saw no newer one.
const EXPIRES_SECONDS: u64 = 3653 * 86_400;

/// Everything a release is signed with.
#[derive(Debug)]
pub(crate) struct Signing {
    /// Text of `root.json`.
    pub(crate) root_text: Vec<u8>,
    /// The same, parsed.
    pub(crate) root: Root,
    /// Signs channels.
    pub(crate) release_key: SigningKey,
}

/// The text of `root.json`. A folder without one gets one, with fresh keys.
pub(crate) fn anchor(folder: &Path) -> Result<Vec<u8>> {
    let file = folder.join(ROOT);
    if !file.exists() {
        make(folder)?;
    }
    let text = fs::read(&file).with_context(|| format!("{}", file.display()))?;
    parse_anchor(&file.display().to_string(), &text)?;
    Ok(text)
}

/// What signs releases.
pub(crate) fn signing(folder: &Path) -> Result<Signing> {
    let root_text = anchor(folder)?;
    let root = parse_anchor(ROOT, &root_text)?;
    let file = folder.join(RELEASE_KEY);
    let text = fs::read_to_string(&file).with_context(|| format!("{}", file.display()))?;
    let release_key = SigningKey::parse(&text).with_context(|| format!("{}", file.display()))?;
    ensure!(
        root.release_keys.contains(&release_key.public()) && root.release_threshold == 1,
        "{} does not sign for {ROOT} beside it: hosts would refuse the release",
        file.display()
    );
    Ok(Signing { root_text, root, release_key })
}

fn make(folder: &Path) -> Result<()> {
    for name in [ROOT_KEY, RELEASE_KEY] {
        let path = folder.join(name);
        ensure!(!path.exists(), "{} is there, but no {ROOT}: bring it back, or move the key away", path.display());
    }
    fs::create_dir_all(folder).with_context(|| format!("{}", folder.display()))?;
    let signed = SystemTime::now().duration_since(UNIX_EPOCH).context("the clock is before 1970")?.as_secs();
    let (root_key, root_file) = SigningKey::generate()?;
    let (release_key, release_file) = SigningKey::generate()?;
    let root = Root::new(signed, signed + EXPIRES_SECONDS, vec![root_key.public()], vec![release_key.public()]);
    write(&folder.join(ROOT_KEY), 0o600, &root_file)?;
    write(&folder.join(RELEASE_KEY), 0o600, &release_file)?;
    // Last: where it is, the others are.
    write(&folder.join(ROOT), 0o644, &sign(Kind::Root, &root, &[&root_key])?)?;
    eprintln!(
        "==> {}: new keys for updates; images built with them take releases signed by them only, so keep a copy",
        folder.display()
    );
    Ok(())
}

fn write(path: &Path, mode: u32, text: &str) -> Result<()> {
    let file = OpenOptions::new().create_new(true).write(true).mode(mode).open(path);
    let mut file = file.with_context(|| format!("{}", path.display()))?;
    file.write_all(text.as_bytes())?;
    Ok(file.sync_all()?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn keys_are_made_once() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("keys");
        let first = anchor(&folder).unwrap();
        assert_eq!(anchor(&folder).unwrap(), first);
        let signing = signing(&folder).unwrap();
        assert_eq!((signing.root.version, signing.root_text), (1, first));
        for (name, mode) in [(ROOT, 0o644), (ROOT_KEY, 0o600), (RELEASE_KEY, 0o600)] {
            let found = fs::metadata(folder.join(name)).unwrap().permissions().mode() & 0o777;
            assert_eq!(found, mode, "{name}");
        }
    }

    #[test]
    fn an_image_needs_no_private_keys_and_a_release_the_right_one() {
        let dir = tempfile::tempdir().unwrap();
        anchor(dir.path()).unwrap();
        fs::remove_file(dir.path().join(ROOT_KEY)).unwrap();
        fs::write(dir.path().join(RELEASE_KEY), SigningKey::generate().unwrap().1).unwrap();
        anchor(dir.path()).unwrap();
        assert!(signing(dir.path()).unwrap_err().to_string().contains("would refuse"));
        // Keys whose root is lost are not replaced.
        fs::remove_file(dir.path().join(ROOT)).unwrap();
        assert!(anchor(dir.path()).unwrap_err().to_string().contains("bring it back"));
    }
}
