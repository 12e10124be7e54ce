//! Host keys: those of `ssh_keys` in the place of those that the console made, and others where it made none.

use super::program;
use crate::store;
use crate::userdata::host_keys::{HostKey, TYPES};
use anyhow::{Context, ensure};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

const FOLDER: &str = "etc/ssh/keys";
/// For a type that sshd_config does not name by itself.
const RSA_FILE: &str = "etc/ssh/sshd_config.d/50-cloud-config-rsa.conf";
const RSA: &str = "# ssh_keys or ssh_genkeytypes of the user data\nHostKey /etc/ssh/keys/ssh_host_rsa_key\n";

/// Types that the console itself makes keys of at every boot that finds none.
const ALWAYS: [&str; 2] = ["ed25519", "ecdsa"];

/// Makes keys of `types` below `root`, and of those that are always there; with `renew` also where there is one already.
/// Every type is tried; the first fault is returned.
pub fn make(root: &Path, types: &[&'static str], renew: bool) -> anyhow::Result<()> {
    let mut result = Ok(());
    let further = types.iter().filter(|kind| !ALWAYS.contains(kind));
    for kind in ALWAYS.iter().chain(further) {
        if renew || !path(root, kind).exists() {
            result = result.and(make_one(root, kind).with_context(|| format!("make the {kind} key")));
        }
    }
    result
}

fn make_one(root: &Path, kind: &str) -> anyhow::Result<()> {
    let new = path(root, kind).with_extension("new");
    std::fs::create_dir_all(root.join(FOLDER)).with_context(|| format!("create /{FOLDER}"))?;
    remove(&new)?;
    let comment = std::fs::read_to_string(root.join("etc/hostname")).unwrap_or_default();
    let mut command = Command::new("ssh-keygen");
    command.args(["-q", "-t", kind, "-N", "", "-C", comment.trim(), "-f"]).arg(&new);
    program::run(&mut command, Some(program::SHORT))?;
    let private = std::fs::read_to_string(&new).with_context(|| format!("read {}", new.display()))?;
    remove(&new)?;
    remove(&new.with_extension("new.pub"))?;
    // With its public half, which is made from it.
    let known = TYPES.iter().copied().find(|known| *known == kind).context("unknown type")?;
    write(root, &HostKey { kind: known, private })
}

fn path(root: &Path, kind: &str) -> PathBuf {
    root.join(FOLDER).join(format!("ssh_host_{kind}_key"))
}

fn remove(path: &Path) -> anyhow::Result<()> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).context(format!("remove {}", path.display()))
        }
        _ => Ok(()),
    }
}

/// Writes one key below `root`, if ssh-keygen(1) can read it.
pub fn write(root: &Path, key: &HostKey) -> anyhow::Result<()> {
    let path = path(root, key.kind);
    let new = path.with_extension("new");
    store::write(&new, key.private.as_bytes(), 0o600)?;
    let public = public(&new);
    let result = public.and_then(|public| {
        if key.kind == "rsa" {
            store::write(&root.join(RSA_FILE), RSA.as_bytes(), 0o644)?;
        }
        // The key itself last: while it is missing, all of it is made again. sshd takes no private half without a public one.
        store::write(&path.with_extension("pub"), public.as_bytes(), 0o644)?;
        store::write(&path, key.private.as_bytes(), 0o600)
    });
    remove(&new)?;
    result
}

fn public(private: &Path) -> anyhow::Result<String> {
    let output = Command::new("ssh-keygen").arg("-y").arg("-f").arg(private).stdin(Stdio::null()).output();
    let output = output.context("start ssh-keygen")?;
    ensure!(output.status.success(), "ssh-keygen cannot read it; a key with a passphrase is none for a host");
    String::from_utf8(output.stdout).context("what ssh-keygen says")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_made_where_they_are_missing_or_all_anew() {
        let root = tempfile::tempdir().unwrap();
        let read = |kind: &str| std::fs::read_to_string(path(root.path(), kind)).unwrap_or_default();
        make(root.path(), &["ed25519", "rsa"], false).unwrap();
        let first = ["ed25519", "ecdsa", "rsa"].map(read);
        assert!(first.iter().all(|key| key.contains("PRIVATE KEY")));
        make(root.path(), &[], false).unwrap();
        assert_eq!(["ed25519", "ecdsa", "rsa"].map(read), first);
        make(root.path(), &[], true).unwrap();
        assert!(read("ed25519") != first[0] && read("ecdsa") != first[1] && read("rsa") == first[2]);
        let names = std::fs::read_dir(root.path().join(FOLDER)).unwrap();
        assert_eq!(names.count(), 6);
        assert!(root.path().join(RSA_FILE).exists());
    }

    #[test]
    fn a_key_takes_the_place_of_the_old_one_and_a_broken_one_does_not() {
        let root = tempfile::tempdir().unwrap();
        let made = root.path().join("made");
        let made_by =
            Command::new("ssh-keygen").args(["-q", "-t", "ed25519", "-N", "", "-C", "x", "-f"]).arg(&made).status();
        assert!(made_by.unwrap().success());
        let read = |path: &str| std::fs::read_to_string(root.path().join(path)).unwrap();
        let key = HostKey { kind: "ed25519", private: read("made") };
        write(root.path(), &key).unwrap();
        assert_eq!(read("etc/ssh/keys/ssh_host_ed25519_key"), key.private);
        let halves = |text: &str| text.split(' ').take(2).map(str::to_owned).collect::<Vec<_>>();
        assert_eq!(halves(&read("etc/ssh/keys/ssh_host_ed25519_key.pub")), halves(&read("made.pub")));
        let broken = HostKey { kind: "ed25519", private: key.private.replace('A', "B") };
        assert!(write(root.path(), &broken).unwrap_err().to_string().contains("ssh-keygen"));
        assert_eq!(read("etc/ssh/keys/ssh_host_ed25519_key"), key.private);
        assert_eq!(std::fs::read_dir(root.path().join("etc/ssh/keys")).unwrap().count(), 2);
        assert!(!root.path().join(RSA_FILE).exists());
    }
}
