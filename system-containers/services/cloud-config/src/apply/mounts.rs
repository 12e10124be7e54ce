//! Carries `mounts` out by the command `hull`: the system daemon mounts, this program and the console may not.

use crate::report::Messages;
use crate::seed::medium;
use crate::seed::superblock;
use crate::userdata::mounts::Mount;
use anyhow::{Context, bail};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Mounts everything that is not mounted yet; failures are reported.
pub fn mount_all(root: &Path, program: &Path, mounts: &[Mount], messages: &mut Messages) {
    let table = std::fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    for entry in mounts {
        let target = root.join(entry.target.trim_start_matches('/'));
        if is_mounted(&table, &target) {
            continue;
        }
        if let Err(error) = mount_one(entry, program, &target) {
            let key = format!("mounts[{}]", entry.index);
            let text = format!("{} on {}: {error:#}", entry.source, entry.target);
            if entry.nofail() {
                messages.warning(entry.place, &key, text)
            } else {
                messages.error(entry.place, &key, text)
            }
        }
    }
}

fn mount_one(entry: &Mount, program: &Path, target: &Path) -> anyhow::Result<()> {
    if entry.options.iter().any(|option| option == "noauto") {
        return Ok(());
    }
    std::fs::create_dir_all(target).context("create the mount point")?;
    let source = resolve(&entry.source)?;
    let mut command = Command::new(program);
    command.arg("mount");
    if entry.kind != "auto" {
        command.args(["-t", &entry.kind]);
    }
    command.args(["-o", &entry.options.join(","), "--"]).arg(&source).arg(target);
    let output = command.stdin(Stdio::null()).output().with_context(|| program.display().to_string())?;
    if !output.status.success() {
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        bail!("{}", text.lines().last().unwrap_or("not mounted").trim_start_matches("hull: "));
    }
    Ok(())
}

/// Device of `LABEL=` and `UUID=`: what udev says, else what the superblocks say.
fn resolve(source: &str) -> anyhow::Result<PathBuf> {
    let Some((tag, value)) = source.split_once('=') else { return Ok(source.into()) };
    let value = value.trim_matches('"');
    let link = match tag {
        "LABEL" => "by-label",
        "UUID" => "by-uuid",
        "PARTUUID" => "by-partuuid",
        "PARTLABEL" => "by-partlabel",
        _ => return Ok(source.into()),
    };
    anyhow::ensure!(!value.contains('/'), "expected a label or UUID without /");
    let link = Path::new("/dev/disk").join(link).join(value);
    if link.exists() {
        return Ok(link);
    }
    let is_it = |block: &superblock::Superblock| match tag {
        "LABEL" => block.labels.iter().any(|label| label == value),
        "UUID" => block.uuid.as_ref().is_some_and(|uuid| uuid.eq_ignore_ascii_case(value)),
        _ => false,
    };
    let found = medium::file_systems().into_iter().find(|(_, block)| is_it(block));
    found.map(|(path, _)| path).context("there is no such device")
}

/// Whether `target` is a mount point by the text of /proc/self/mountinfo (proc(5): octal escapes for blanks).
fn is_mounted(table: &str, target: &Path) -> bool {
    let target = target.display().to_string();
    let escaped = target.trim_end_matches('/').replace('\\', "\\134").replace(' ', "\\040").replace('\t', "\\011");
    table.lines().any(|line| line.split(' ').nth(4) == Some(&escaped))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::Place;
    use std::os::unix::fs::PermissionsExt;

    fn words(text: &str) -> Vec<String> {
        text.split(',').map(str::to_owned).collect()
    }

    #[test]
    fn mount_points_are_found_with_blanks() {
        let table = "36 35 98:0 / /mnt/a\\040b rw,noatime shared:1 - ext4 /dev/vdb rw\n";
        assert!(is_mounted(table, Path::new("/mnt/a b")) && is_mounted(table, Path::new("/mnt/a b/")));
        assert!(!is_mounted(table, Path::new("/mnt/a")));
    }

    fn entry(source: &str, kind: &str, options: &str) -> Mount {
        Mount {
            place: Place { line: 7, column: 3 },
            index: 1,
            source: source.into(),
            target: "/mnt/my x".into(),
            kind: kind.into(),
            options: words(options),
        }
    }

    /// Says what it is called with, and refuses what is on `bad`.
    fn fake_hull(directory: &Path) -> PathBuf {
        let program = directory.join("hull");
        let calls = directory.join("calls");
        let script = format!(
            "#!/bin/sh\nfor word; do printf '%s|' \"$word\"; done >> {0}\necho >> {0}\ncase \"$*\" in *bad*) echo 'a remark' >&2; echo 'hull: bad: no such server' >&2; exit 1; esac\n",
            calls.display()
        );
        std::fs::write(&program, script).unwrap();
        std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
        program
    }

    #[test]
    fn the_command_mounts() {
        let directory = tempfile::tempdir().unwrap();
        let program = fake_hull(directory.path());
        let root = directory.path().join("root");
        let mounts = [
            entry("/dev/vdb", "auto", "defaults,nofail"),
            entry("10.0.0.1:/x", "nfs", "ro,vers=3"),
            entry("/dev/vdc", "ext4", "noauto"),
        ];
        let mut messages = Messages::new("user-data");
        mount_all(&root, &program, &mounts, &mut messages);
        assert_eq!(messages.list().len(), 0);
        let target = root.join("mnt/my x");
        assert!(target.is_dir());
        let expected = format!(
            "mount|-o|defaults,nofail|--|/dev/vdb|{0}|\nmount|-t|nfs|-o|ro,vers=3|--|10.0.0.1:/x|{0}|\n",
            target.display()
        );
        assert_eq!(std::fs::read_to_string(directory.path().join("calls")).unwrap(), expected);
    }

    #[test]
    fn failures_are_warnings_with_nofail() {
        let root = tempfile::tempdir().unwrap();
        let program = fake_hull(root.path());
        for (source, reason) in [("LABEL=no-such-label", "there is no such device"), ("bad:/x", "bad: no such server")]
        {
            for (options, errors) in [("defaults", 1), ("defaults,nofail", 0)] {
                let mut messages = Messages::new("user-data");
                mount_all(root.path(), &program, &[entry(source, "auto", options)], &mut messages);
                assert_eq!(messages.errors(), errors);
                let text = messages.list()[0].to_string();
                let expected = format!("line 7 column 3 mounts[1]: {source} on /mnt/my x: {reason}");
                assert!(text.contains(&expected), "{text}");
            }
        }
    }
}
