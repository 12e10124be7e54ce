//! Block devices by path or tag, and that they are not the OS's own: the device program that keeps the system disk from
//! every container does not hold for the daemon.

use super::source::tag;
use super::{MountError, reason};
use hull_sys::walk::walk;
use rustix::fs::{FileType, Mode, OFlags, ResolveFlags, fstat, major, minor, open};
use rustix::io::Errno;
use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};

/// A block device that may be used.
#[derive(Debug)]
pub struct Device {
    /// Its node's own path.
    pub path: PathBuf,
    /// Major and minor number.
    pub number: (u32, u32),
    /// Its node, `O_PATH`.
    pub node: OwnedFd,
}

/// Where device nodes are.
const DEV: &str = "/dev";

/// Finds a device by a path below `/dev` or by a tag; `own` are those nobody else may use.
///
/// # Errors
/// When there is none, it is no block device, or it is the OS's own.
pub fn find(source: &str, own: &BTreeSet<(u32, u32)>) -> Result<Device, MountError> {
    let path = match tag(source) {
        Some((folder, value)) => link(folder, value),
        None => PathBuf::from(source),
    };
    let below = path
        .strip_prefix(DEV)
        .map_err(|_| MountError::Bad(format!("{source}: a device below {DEV}, LABEL= or UUID= is needed")))?;
    let failed = |errno: Errno| match errno {
        Errno::NOENT => MountError::Missing(format!("{source}: there is no such device; lsblk -f lists all")),
        Errno::XDEV => MountError::Forbidden(format!("{source}: a symbolic link in it leads out of {DEV}")),
        errno => MountError::new(errno, format!("{source}: {}", reason(errno))),
    };
    let folder = open(DEV, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty()).map_err(failed)?;
    let rules = ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS;
    let node = walk(folder, below, OFlags::PATH | OFlags::CLOEXEC, rules).map_err(failed)?;
    let status = fstat(&node).map_err(failed)?;
    if FileType::from_raw_mode(status.st_mode) != FileType::BlockDevice {
        return Err(MountError::Bad(format!("{source} is no block device; lsblk -f lists all")));
    }
    let number = (major(status.st_rdev), minor(status.st_rdev));
    if own.contains(&number) {
        return Err(MountError::Forbidden(format!(
            "{source} is, or is a part of, the system disk, which is the OS's alone; lsblk -f lists the others"
        )));
    }
    let path = std::fs::read_link(by_descriptor(&node)).unwrap_or(path);
    Ok(Device { path, number, node })
}

/// A path of the open file that no rename changes.
pub fn by_descriptor(file: &OwnedFd) -> String {
    format!("/proc/self/fd/{}", file.as_raw_fd())
}

/// udev's link; identifiers are in lower case, but for those of vfat.
fn link(folder: &str, value: &str) -> PathBuf {
    let named = |value: &str| Path::new("/dev/disk").join(folder).join(encode(value));
    let exact = named(value);
    let lower = named(&value.to_ascii_lowercase());
    if folder.ends_with("uuid") && !exact.exists() && lower.exists() { lower } else { exact }
}

/// As udev writes labels into names of links: `\x20` for a blank (`udev_device_encode` of systemd, `encode_devnode_name`).
fn encode(value: &str) -> String {
    let mut name = String::new();
    for character in value.chars() {
        if character.is_ascii_alphanumeric() || "#+-.:=@_".contains(character) || !character.is_ascii() {
            name.push(character);
        } else {
            // Writing to a string cannot fail.
            write!(name, "\\x{:02x}", u32::from(character)).ok();
        }
    }
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_block_devices_below_dev() {
        let none = BTreeSet::new();
        for (source, part) in [
            ("/dev/null", "no block device"),
            ("/dev/../etc/passwd", "leads out of /dev"),
            ("/dev/hull-none", "no such device"),
            ("/etc/passwd", "below /dev"),
            ("LABEL=no such/label", "no such device"),
            ("UUID=../../null", "no such device"),
        ] {
            let error = find(source, &none).unwrap_err().to_string();
            assert!(error.contains(part) && error.contains(source), "{source}: {error}");
        }
    }

    #[test]
    fn labels_are_written_as_udev_writes_them() {
        assert_eq!(encode("my data/ä"), "my\\x20data\\x2fä");
        assert_eq!(link("by-uuid", "AB-1"), Path::new("/dev/disk/by-uuid/AB-1"));
    }
}
