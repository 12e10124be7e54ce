//! The NoCloud medium: a block device whose file system is labelled `cidata` or `CIDATA`.

use super::superblock::{self, Superblock};
use crate::report::{Messages, Place};
use crate::store;
use anyhow::Context;
use rustix::mount::{MountFlags, UnmountFlags};
use serde::{Deserialize, Serialize};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// Limit for each file of the medium; clouds allow 16 to 64 KiB of user data.
pub const MAX_FILE: u64 = 1 << 20;
/// Labels that cloud-init's NoCloud looks for.
const LABELS: [&str; 2] = ["cidata", "CIDATA"];
/// File systems of such media; others would only be more kernel code reading foreign bytes.
const KINDS: [&str; 2] = ["vfat", "iso9660"];
/// Devices that never are a medium, and a floppy drive takes seconds to say that it is empty.
const SKIPPED_DEVICES: [&str; 5] = ["loop", "ram", "zram", "fd", "md"];

/// The raw files of a medium.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Medium {
    /// Device it was read from.
    pub device: String,
    /// `user-data`.
    pub user_data: Option<Vec<u8>>,
    /// `meta-data`.
    pub meta_data: Option<Vec<u8>>,
    /// `network-config`.
    pub network_config: Option<Vec<u8>>,
}

/// All block devices with a readable file system, sorted by name. Devices that cannot be opened are left out: the
/// system disk is denied to this service on purpose, and an empty drive has no medium.
pub fn file_systems() -> Vec<(PathBuf, Superblock)> {
    let Ok(entries) = std::fs::read_dir("/sys/class/block") else { return Vec::new() };
    let mut names: Vec<String> =
        entries.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
        .into_iter()
        .filter(|name| !SKIPPED_DEVICES.iter().any(|skipped| name.starts_with(skipped)))
        .filter_map(|name| {
            let path = Path::new("/dev").join(name);
            let flags = i32::try_from(rustix::fs::OFlags::NONBLOCK.bits()).ok()?;
            let file = std::fs::OpenOptions::new().read(true).custom_flags(flags).open(&path).ok()?;
            Some((path, superblock::probe(&file)?))
        })
        .collect()
}

/// Finds, mounts and reads the medium; `None` when there is none. What cannot be read is reported.
pub fn read(mount_point: &Path, messages: &mut Messages) -> Option<Medium> {
    let mut found = file_systems()
        .into_iter()
        .filter(|(_, block)| KINDS.contains(&block.kind))
        .filter(|(_, block)| block.labels.iter().any(|label| LABELS.contains(&label.as_str())));
    let (device, block) = found.next()?;
    for (other, _) in found {
        let text = format!("{} is also labelled cidata and is ignored; {} is used", other.display(), device.display());
        messages.warning(Place::default(), "", text);
    }
    match read_mounted(&device, &block, mount_point, messages) {
        Ok(medium) => Some(medium),
        Err(error) => {
            messages.error(Place::default(), "", format!("{error:#}"));
            None
        }
    }
}

fn read_mounted(
    device: &Path,
    block: &Superblock,
    mount_point: &Path,
    messages: &mut Messages,
) -> anyhow::Result<Medium> {
    std::fs::create_dir_all(mount_point).with_context(|| format!("create {}", mount_point.display()))?;
    let flags = MountFlags::RDONLY | MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC;
    rustix::mount::mount(device, mount_point, block.kind, flags, None)
        .with_context(|| format!("mount {} ({}) with the label cidata", device.display(), block.kind))?;
    let mut medium = read_files(mount_point, messages);
    medium.device = device.display().to_string();
    rustix::mount::unmount(mount_point, UnmountFlags::DETACH)
        .with_context(|| format!("unmount {}", mount_point.display()))?;
    Ok(medium)
}

/// Reads the files of a mounted medium.
pub fn read_files(directory: &Path, messages: &mut Messages) -> Medium {
    let mut get = |name: &str| match store::read_bounded(&directory.join(name), MAX_FILE) {
        Ok(content) => content,
        Err(error) => {
            messages.error(Place::default(), name, format!("not used: {error:#}"));
            None
        }
    };
    let medium = Medium {
        device: String::new(),
        user_data: get("user-data"),
        meta_data: get("meta-data"),
        network_config: get("network-config"),
    };
    let vendor_data = get("vendor-data").is_some_and(|data| !data.trim_ascii().is_empty());
    if vendor_data {
        messages.warning(Place::default(), "vendor-data", "ignored: not supported");
    }
    if medium.user_data.is_none() && medium.meta_data.is_none() {
        messages.warning(Place::default(), "", "the medium has neither user-data nor meta-data");
    }
    medium
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn too_large_files_and_vendor_data_are_reported_by_name() {
        let directory = tempfile::tempdir().unwrap();
        let write = |name: &str, content: &[u8]| std::fs::write(directory.path().join(name), content).unwrap();
        write("user-data", &vec![b'x'; (1 << 20) + 1]);
        write("meta-data", b"instance-id: i-1\n");
        write("vendor-data", b"#cloud-config\n");
        let mut messages = Messages::new("medium");
        let medium = read_files(directory.path(), &mut messages);
        assert_eq!(medium.user_data, None);
        assert_eq!(medium.meta_data.as_deref(), Some(&b"instance-id: i-1\n"[..]));
        let text: Vec<String> = messages.list().iter().map(ToString::to_string).collect();
        assert!(text[0].contains("user-data") && text[0].contains("1048576"), "{text:?}");
        assert!(text[1].contains("vendor-data: ignored"), "{text:?}");
    }

    /// Needs root and a loop device: a block device is what is looked for.
    #[test]
    fn root_a_labelled_image_is_read_through_the_kernel() {
        assert!(rustix::process::getuid().is_root(), "run as root");
        let directory = tempfile::tempdir().unwrap();
        let image = directory.path().join("image");
        std::fs::write(&image, vec![0; 2 << 20]).unwrap();
        let content = directory.path().join("content");
        std::fs::create_dir(&content).unwrap();
        std::fs::write(content.join("user-data"), "#cloud-config\n").unwrap();
        let run = |program: &str, arguments: &[&str]| {
            let output = std::process::Command::new(program).args(arguments).output().unwrap();
            assert!(output.status.success(), "{program}: {}", String::from_utf8_lossy(&output.stderr));
            String::from_utf8(output.stdout).unwrap().trim().to_owned()
        };
        // ext4, because every kernel that builds and tests this has it.
        run("/usr/sbin/mkfs.ext4", &["-q", "-d", content.to_str().unwrap(), image.to_str().unwrap()]);
        let device = run("/usr/sbin/losetup", &["--find", "--show", "--read-only", image.to_str().unwrap()]);
        let block = superblock::probe(&std::fs::File::open(&device).unwrap()).unwrap();
        let mut messages = Messages::new("medium");
        let medium = read_mounted(Path::new(&device), &block, &directory.path().join("mnt"), &mut messages);
        run("/usr/sbin/losetup", &["--detach", &device]);
        let medium = medium.unwrap();
        assert_eq!(medium.user_data.as_deref(), Some(&b"#cloud-config\n"[..]));
        assert_eq!(medium.device, device);
    }
}
