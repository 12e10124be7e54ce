//! Carries `mounts` out by the command `hull`: the system daemon mounts, this program and the console may not.

use super::program;
use crate::report::Messages;
use crate::seed::medium;
use crate::seed::superblock;
use crate::userdata::mounts::{Mount, SWAP};
use anyhow::Context;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

/// Between two looks at a device that is not there.
const INTERVAL: Duration = Duration::from_millis(100);

/// Where the system daemon mounts to, and by what.
#[derive(Debug, Clone, Copy)]
pub struct Setting<'a> {
    /// Of the tree.
    pub root: &'a Path,
    /// The `hull` command.
    pub program: &'a Path,
    /// Until when devices are waited for: udev may not have named them yet.
    pub until: Instant,
}

/// Mounts everything that is not mounted yet; failures are reported.
pub fn mount_all(setting: Setting<'_>, mounts: &[Mount], messages: &mut Messages) {
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    let (table, swaps) = (read("/proc/self/mountinfo"), read("/proc/swaps"));
    for entry in mounts {
        let target = setting.root.join(entry.target.trim_start_matches('/'));
        let is_there = if entry.kind == SWAP { is_used(&swaps, &entry.source) } else { is_mounted(&table, &target) };
        if is_there {
            continue;
        }
        if let Err(error) = mount_one(entry, setting, &target) {
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

fn mount_one(entry: &Mount, setting: Setting<'_>, target: &Path) -> anyhow::Result<()> {
    if entry.options.iter().any(|option| option == "noauto") {
        return Ok(());
    }
    let source = resolve_until(&entry.source, setting.until)?;
    let mut command = Command::new(setting.program);
    if entry.kind == SWAP {
        command.arg("swapon");
        if let Some(priority) = entry.options.iter().find_map(|option| option.strip_prefix("pri=")) {
            command.args(["-p", priority]);
        }
        return program::run(command.arg("--").arg(source), Some(program::SHORT));
    }
    command.arg("mount");
    std::fs::create_dir_all(target).context("create the mount point")?;
    if entry.kind != "auto" {
        command.args(["-t", &entry.kind]);
    }
    command.args(["-o", &entry.options.join(","), "--"]).arg(&source).arg(target);
    program::run(&mut command, Some(program::SHORT))
}

/// The same, as soon as the device is there.
fn resolve_until(source: &str, end: Instant) -> anyhow::Result<PathBuf> {
    loop {
        let found = resolve(source);
        let is_missing = found.as_ref().map_or(true, |path| path.starts_with("/dev/") && !path.exists());
        if !is_missing || Instant::now() >= end {
            return found;
        }
        std::thread::sleep(INTERVAL);
    }
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

/// Whether the kernel swaps to the device, by the text of /proc/swaps.
fn is_used(table: &str, source: &str) -> bool {
    let device = resolve(source).and_then(|path| Ok(path.canonicalize()?));
    device.is_ok_and(|device| table.lines().any(|line| line.split_whitespace().next() == device.to_str()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::Place;
    use std::os::unix::fs::PermissionsExt;

    fn setting<'a>(root: &'a Path, program: &'a Path) -> Setting<'a> {
        Setting { root, program, until: Instant::now() }
    }

    #[test]
    fn a_device_that_comes_late_is_waited_for() {
        let soon = Instant::now() + Duration::from_millis(150);
        assert!(resolve_until("LABEL=no-such-label", soon).is_err() && Instant::now() >= soon);
        let late = Instant::now() + Duration::from_secs(60);
        assert_eq!(resolve_until("10.0.0.1:/x", late).unwrap(), Path::new("10.0.0.1:/x"));
        assert_eq!(resolve_until("/dev/null", late).unwrap(), Path::new("/dev/null"));
    }

    fn words(text: &str) -> Vec<String> {
        text.split(',').map(str::to_owned).collect()
    }

    #[test]
    fn mount_points_are_found_with_blanks() {
        let table = "36 35 98:0 / /mnt/a\\040b rw,noatime shared:1 - ext4 /dev/vdb rw\n";
        assert!(is_mounted(table, Path::new("/mnt/a b")) && is_mounted(table, Path::new("/mnt/a b/")));
        assert!(!is_mounted(table, Path::new("/mnt/a")));
    }

    #[test]
    fn areas_in_use_are_found() {
        let table = "Filename Type Size Used Priority\n/dev/null partition 8 0 -2\n";
        assert!(is_used(table, "/dev/null") && !is_used(table, "/dev/zero") && !is_used(table, "/no/such"));
    }

    fn entry(source: &str, kind: &str, options: &str) -> Mount {
        Mount {
            place: Place::new(7, 3),
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
            entry("/dev/vdd", "swap", "sw,pri=5"),
        ];
        let mut messages = Messages::new("user-data");
        mount_all(setting(&root, &program), &mounts, &mut messages);
        assert_eq!(messages.list().len(), 0);
        let target = root.join("mnt/my x");
        assert!(target.is_dir());
        let expected = format!(
            "mount|-o|defaults,nofail|--|/dev/vdb|{0}|\nmount|-t|nfs|-o|ro,vers=3|--|10.0.0.1:/x|{0}|\nswapon|-p|5|--|/dev/vdd|\n",
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
                mount_all(setting(root.path(), &program), &[entry(source, "auto", options)], &mut messages);
                assert_eq!(messages.errors(), errors);
                let text = messages.list()[0].to_string();
                let expected = format!("line 7 column 3 mounts[1]: {source} on /mnt/my x: {reason}");
                assert!(text.contains(&expected), "{text}");
            }
        }
    }
}
