//! The NoCloud medium: a block device whose file system is labelled `cidata` or `CIDATA`.

use super::superblock::{self, Superblock};
use super::volume::Volume;
use crate::report::{Messages, Place};
use anyhow::Context;
use serde::{Deserialize, Serialize};
use std::fs::{File, OpenOptions};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// Limit for each file of the medium; clouds allow 16 to 64 KiB of user data.
pub const MAX_FILE: usize = 1 << 20;
/// Labels that cloud-init's NoCloud looks for.
const LABELS: [&str; 2] = ["cidata", "CIDATA"];
/// File systems of such media; [`Volume`] reads these.
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
            let block = superblock::probe(&open(&path).ok()?)?;
            Some((path, block))
        })
        .collect()
}

/// Finds and reads the medium; `None` when there is none. What cannot be read is reported.
pub fn read(messages: &mut Messages) -> Option<Medium> {
    let mut found = file_systems()
        .into_iter()
        .filter(|(_, block)| KINDS.contains(&block.kind))
        .filter(|(_, block)| block.labels.iter().any(|label| LABELS.contains(&label.as_str())));
    let (device, block) = found.next()?;
    for (other, _) in found {
        let text = format!("{} is also labelled cidata and is ignored; {} is used", other.display(), device.display());
        messages.warning(Place::default(), "", text);
    }
    match read_device(&device, block.kind, messages) {
        Ok(medium) => Some(medium),
        Err(error) => {
            messages.error(Place::default(), "", format!("{error:#}"));
            None
        }
    }
}

fn read_device(device: &Path, kind: &str, messages: &mut Messages) -> anyhow::Result<Medium> {
    let what = format!("{} ({kind}) with the label cidata", device.display());
    let file = open(device).with_context(|| format!("open {what}"))?;
    let volume = Volume::open(&file, kind).with_context(|| format!("read {what}"))?;
    let mut get = |name: &str| match volume.read(name, MAX_FILE) {
        Ok(content) => content,
        Err(error) => {
            let error = anyhow::Error::new(error).context(format!("{name} of {what}"));
            messages.error(Place::default(), name, format!("not used: {error:#}"));
            None
        }
    };
    let medium = Medium {
        device: device.display().to_string(),
        user_data: get("user-data"),
        meta_data: get("meta-data"),
        network_config: get("network-config"),
    };
    let vendor_data = get("vendor-data").is_some_and(|data| !data.trim_ascii().is_empty());
    if vendor_data {
        messages.warning(Place::default(), "vendor-data", "ignored: not supported");
    }
    if medium.user_data.is_none() && medium.meta_data.is_none() {
        let text = match kind {
            "iso9660" => "; on iso9660 it takes Rock Ridge or Joliet to name them (mkisofs -J -r)",
            _ => "",
        };
        let text = format!("{what} has neither user-data nor meta-data in its root directory{text}");
        messages.warning(Place::default(), "", text);
    }
    Ok(medium)
}

fn open(device: &Path) -> std::io::Result<File> {
    // Without waiting for a medium in an empty drive.
    let flags = i32::try_from(rustix::fs::OFlags::NONBLOCK.bits()).map_err(std::io::Error::other)?;
    OpenOptions::new().read(true).custom_flags(flags).open(device)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    /// A vfat image with these files.
    fn image(directory: &Path, files: &[(&str, &[u8])]) -> PathBuf {
        let image = directory.join("image");
        File::create(&image).unwrap().set_len(4 << 20).unwrap();
        assert!(
            Command::new("/usr/sbin/mkfs.vfat").args(["-n", "CIDATA"]).arg(&image).output().unwrap().status.success()
        );
        for (name, content) in files {
            let file = directory.join(name);
            std::fs::write(&file, content).unwrap();
            assert!(Command::new("mcopy").arg("-i").arg(&image).arg(file).arg("::/").status().unwrap().success());
        }
        image
    }

    fn texts(messages: &Messages) -> Vec<String> {
        messages.list().iter().map(ToString::to_string).collect()
    }

    #[test]
    fn files_are_read_and_too_large_ones_and_vendor_data_are_reported_by_name() {
        let directory = tempfile::tempdir().unwrap();
        let files: [(&str, &[u8]); 3] = [
            ("user-data", &vec![b'x'; MAX_FILE + 1]),
            ("meta-data", b"instance-id: i-1\n"),
            ("vendor-data", b"#cloud-config\n"),
        ];
        let image = image(directory.path(), &files);
        let mut messages = Messages::new("medium");
        let medium = read_device(&image, "vfat", &mut messages).unwrap();
        assert_eq!((medium.user_data, medium.network_config), (None, None));
        assert_eq!(medium.meta_data.as_deref(), Some(&b"instance-id: i-1\n"[..]));
        assert_eq!(medium.device, image.display().to_string());
        let want = format!(
            "medium user-data: not used: user-data of {} (vfat) with the label cidata: larger than the limit of 1048576 bytes",
            image.display()
        );
        assert_eq!(texts(&messages), [want.as_str(), "medium vendor-data: ignored: not supported"]);
    }

    #[test]
    fn a_medium_without_files_and_one_that_is_damaged_are_reported_by_device() {
        let directory = tempfile::tempdir().unwrap();
        let image = image(directory.path(), &[]);
        let mut messages = Messages::new("medium");
        read_device(&image, "vfat", &mut messages).unwrap();
        let name = image.display().to_string();
        let texts = texts(&messages);
        assert!(texts[0].contains(&name) && texts[0].contains("neither user-data nor meta-data"), "{texts:?}");
        std::fs::write(&image, [0; 512]).unwrap();
        let error = format!("{:#}", read_device(&image, "vfat", &mut messages).unwrap_err());
        assert!(error.contains(&name) && error.contains("make the medium again"), "{error}");
    }

    /// Needs root and a loop device.
    #[test]
    fn root_a_block_device_is_read() {
        assert!(rustix::process::getuid().is_root(), "run as root");
        let directory = tempfile::tempdir().unwrap();
        let image = image(directory.path(), &[("user-data", b"#cloud-config\n")]);
        let losetup = |arguments: &[&str]| {
            let output = Command::new("/usr/sbin/losetup").args(arguments).output().unwrap();
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
            String::from_utf8(output.stdout).unwrap().trim().to_owned()
        };
        let device = losetup(&["--find", "--show", "--read-only", image.to_str().unwrap()]);
        let kind = superblock::probe(&open(Path::new(&device)).unwrap()).map(|block| block.kind);
        let medium = read_device(Path::new(&device), "vfat", &mut Messages::new("medium"));
        losetup(&["--detach", &device]);
        let medium = medium.unwrap();
        assert_eq!((kind, medium.device), (Some("vfat"), device));
        assert_eq!(medium.user_data.as_deref(), Some(&b"#cloud-config\n"[..]));
    }
}
