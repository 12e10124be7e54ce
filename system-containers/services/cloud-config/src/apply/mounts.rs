//! Carries `mounts` out with mount(2).

use crate::report::Messages;
use crate::seed::medium;
use crate::seed::superblock;
use crate::userdata::mounts::Mount;
use anyhow::Context;
use rustix::mount::{MountFlags, mount, mount_bind};
use std::ffi::CString;
use std::path::{Path, PathBuf};

/// What mount(2) gets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// Flags of options it has flags for.
    pub flags: MountFlags,
    /// The others, for the file system.
    pub data: String,
    /// `bind` or `rbind`.
    pub bind: bool,
    /// `noauto`: not mounted at boot.
    pub skip: bool,
}

/// Mounts everything that is not mounted yet; failures are reported.
pub fn mount_all(root: &Path, mounts: &[Mount], messages: &mut Messages) {
    let table = std::fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    for entry in mounts {
        let target = root.join(entry.target.trim_start_matches('/'));
        if is_mounted(&table, &target) {
            continue;
        }
        if let Err(error) = mount_one(entry, &target) {
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

fn mount_one(entry: &Mount, target: &Path) -> anyhow::Result<()> {
    let options = options(&entry.options);
    if options.skip {
        return Ok(());
    }
    std::fs::create_dir_all(target).context("create the mount point")?;
    let source = resolve(&entry.source)?;
    if options.bind {
        return mount_bind(&source, target).context("bind mount");
    }
    let probed;
    let kind = if entry.kind == "auto" {
        probed = std::fs::File::open(&source).ok().and_then(|file| superblock::probe(&file));
        probed.as_ref().map(|block| block.kind).context("no known file system on it; name the type")?
    } else {
        entry.kind.as_str()
    };
    let data = CString::new(options.data).context("options")?;
    mount(&source, target, kind, options.flags, data.as_c_str()).with_context(|| format!("mount as {kind}"))
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

/// Splits fstab options; what only fstab or systemd knows is left out.
pub fn options(words: &[String]) -> Options {
    let mut options = Options { flags: MountFlags::empty(), data: String::new(), bind: false, skip: false };
    let mut data: Vec<&str> = Vec::new();
    for word in words.iter().map(String::as_str) {
        let (flag, on) = match word {
            "ro" => (MountFlags::RDONLY, true),
            "rw" => (MountFlags::RDONLY, false),
            "nosuid" => (MountFlags::NOSUID, true),
            "suid" => (MountFlags::NOSUID, false),
            "nodev" => (MountFlags::NODEV, true),
            "dev" => (MountFlags::NODEV, false),
            "noexec" => (MountFlags::NOEXEC, true),
            "exec" => (MountFlags::NOEXEC, false),
            "noatime" => (MountFlags::NOATIME, true),
            "nodiratime" => (MountFlags::NODIRATIME, true),
            "relatime" => (MountFlags::RELATIME, true),
            "strictatime" => (MountFlags::STRICTATIME, true),
            "sync" => (MountFlags::SYNCHRONOUS, true),
            "dirsync" => (MountFlags::DIRSYNC, true),
            "lazytime" => (MountFlags::LAZYTIME, true),
            "bind" | "rbind" => {
                options.bind = true;
                continue;
            }
            "noauto" => {
                options.skip = true;
                continue;
            }
            "" | "defaults" | "nofail" | "auto" | "_netdev" | "async" | "atime" | "user" | "nouser" | "users" => {
                continue;
            }
            word if word.starts_with("x-") || word.starts_with("comment=") => continue,
            word => {
                data.push(word);
                continue;
            }
        };
        options.flags.set(flag, on);
    }
    options.data = data.join(",");
    options
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

    fn words(text: &str) -> Vec<String> {
        text.split(',').map(str::to_owned).collect()
    }

    #[test]
    fn options_are_flags_or_data() {
        let found = options(&words("defaults,nofail,ro,noatime,x-systemd.device-timeout=5,compress=zstd,uid=5"));
        assert_eq!(found.flags, MountFlags::RDONLY | MountFlags::NOATIME);
        assert_eq!(found.data, "compress=zstd,uid=5");
        assert!(options(&words("ro,rw")).flags.is_empty());
        assert!(options(&words("noauto")).skip && options(&words("bind")).bind);
    }

    #[test]
    fn mount_points_are_found_with_blanks() {
        let table = "36 35 98:0 / /mnt/a\\040b rw,noatime shared:1 - ext4 /dev/vdb rw\n";
        assert!(is_mounted(table, Path::new("/mnt/a b")) && is_mounted(table, Path::new("/mnt/a b/")));
        assert!(!is_mounted(table, Path::new("/mnt/a")));
    }

    #[test]
    fn missing_devices_are_warnings_with_nofail() {
        let root = tempfile::tempdir().unwrap();
        let entry = |options: &str| Mount {
            place: Place { line: 7, column: 3 },
            index: 1,
            source: "LABEL=no-such-label".into(),
            target: "/mnt/x".into(),
            kind: "auto".into(),
            options: words(options),
        };
        for (options, errors) in [("defaults", 1), ("defaults,nofail", 0)] {
            let mut messages = Messages::new("user-data");
            mount_all(root.path(), &[entry(options)], &mut messages);
            assert_eq!(messages.errors(), errors);
            assert!(
                messages.list()[0]
                    .to_string()
                    .contains("line 7 column 3 mounts[1]: LABEL=no-such-label on /mnt/x: there is no such device")
            );
        }
    }

    /// Really mounts, in a mount namespace of its own.
    #[test]
    fn root_mounts_are_made_once() {
        assert!(rustix::process::getuid().is_root(), "run as root");
        std::thread::spawn(|| {
            nix::sched::unshare(nix::sched::CloneFlags::CLONE_NEWNS).unwrap();
            let private = rustix::mount::MountPropagationFlags::PRIVATE | rustix::mount::MountPropagationFlags::REC;
            rustix::mount::mount_change("/", private).unwrap();
            let root = tempfile::tempdir().unwrap();
            let entry = Mount {
                place: Place::default(),
                index: 0,
                source: "tmpfs".into(),
                target: "/mnt/a b".into(),
                kind: "tmpfs".into(),
                options: words("ro,size=1m"),
            };
            // /proc/self is the thread group's; this thread alone has the namespace.
            let lines = || {
                let table = std::fs::read_to_string("/proc/thread-self/mountinfo").unwrap();
                table.lines().filter(|line| line.contains("a\\040b") && line.contains("ro,")).count()
            };
            mount_one(&entry, &root.path().join("mnt/a b")).unwrap();
            assert_eq!(lines(), 1);
            rustix::mount::unmount(root.path().join("mnt/a b"), rustix::mount::UnmountFlags::DETACH).unwrap();
        })
        .join()
        .unwrap();
    }
}
