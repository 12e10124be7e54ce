//! `mount`, `umount`, `swapon`, `swapoff`, `rescan`: the daemon does it; lists come from the kernel.

use crate::arguments::mount::{Mount, Swap};
use crate::client::Client;
use anyhow::{Context, Result};
use serde_json::json;
use std::fmt::Write as _;
use std::path::{Component, Path, PathBuf};

/// What is mounted where this process sees it.
const MOUNTS: &str = "/proc/self/mounts";
/// Swap areas.
const SWAPS: &str = "/proc/swaps";

/// Mounts, or gives the list of mounts.
pub(crate) fn mount(client: &Client, wanted: &Mount) -> Result<String> {
    let (source, target, kind, options) = match wanted {
        Mount::List { kind } => return Ok(table(&read(MOUNTS)?, kind.as_deref())),
        Mount::Make { source, target, kind, options } => (source, target, kind, options),
    };
    let is_bind = options.iter().any(|option| option == "bind" || option == "rbind");
    let source = match source {
        Some(source) if is_bind => absolute(Path::new(source))?.display().to_string(),
        source => source.clone().unwrap_or_default(),
    };
    let target = absolute(target)?;
    let request = json!({ "source": source, "target": target, "kind": kind, "options": options });
    let answer = client.post("/hull/mounts", Some(&request))?;
    let asked = options.iter().any(|option| option == "ro" || option == "remount");
    if answer["read-only"] == true && !asked {
        eprintln!("mount: {source} is write-protected, mounted read-only");
    }
    Ok(String::new())
}

/// Unmounts one path, or the path a device is mounted at.
pub(crate) fn umount(client: &Client, lazy: bool, target: &Path) -> Result<()> {
    let target = match device_target(&read(MOUNTS)?, &target.to_string_lossy()) {
        Some(found) => found.into(),
        // The name itself is left alone: looking at what is mounted there may take forever.
        None => named(target)?,
    };
    let lazy = if lazy { "&lazy=1" } else { "" };
    client.delete(&format!("/hull/mounts?target={}{lazy}", encode(&target.to_string_lossy())))
}

/// Starts or stops swapping, or gives the list of areas.
pub(crate) fn swap(client: &Client, wanted: &Swap) -> Result<String> {
    match wanted {
        Swap::List => return read(SWAPS),
        Swap::On { devices, priority } => {
            for device in devices {
                let request = json!({ "device": area(device)?, "priority": priority });
                client.post("/hull/swaps", Some(&request))?;
            }
        }
        Swap::Off { devices } => {
            for device in devices {
                client.delete(&format!("/hull/swaps?device={}", encode(&area(device)?)))?;
            }
        }
    }
    Ok(String::new())
}

/// Has the kernel read a partition table again.
pub(crate) fn rescan(client: &Client, device: &str) -> Result<()> {
    client.post("/hull/rescan", Some(&json!({ "device": device }))).map(drop)
}

fn read(path: &str) -> Result<String> {
    std::fs::read_to_string(path).with_context(|| path.to_owned())
}

/// Without links and `..` where it exists; the daemon says what does not.
fn absolute(path: &Path) -> Result<PathBuf> {
    path.canonicalize().or_else(|_| plain(path))
}

/// The same, but for its last name.
fn named(path: &Path) -> Result<PathBuf> {
    let path = plain(path)?;
    Ok(match (path.parent().map(absolute), path.file_name()) {
        (Some(parent), Some(name)) => parent?.join(name),
        _ => path,
    })
}

fn plain(path: &Path) -> Result<PathBuf> {
    let path = std::path::absolute(path).with_context(|| path.display().to_string())?;
    let mut plain = PathBuf::new();
    for part in path.components() {
        match part {
            Component::ParentDir => plain = plain.parent().unwrap_or(Path::new("/")).to_owned(),
            part => plain.push(part),
        }
    }
    Ok(plain)
}

/// A file by its whole path; tags are no paths.
fn area(device: &str) -> Result<String> {
    if device.starts_with("/dev/") || device.contains('=') {
        return Ok(device.into());
    }
    Ok(absolute(Path::new(device))?.display().to_string())
}

/// The kernel's lines in mount(8)'s words.
fn table(mounts: &str, kind: Option<&str>) -> String {
    let mut text = String::new();
    for line in mounts.lines() {
        let fields: Vec<&str> = line.split(' ').collect();
        let &[source, target, found, options, ..] = fields.as_slice() else { continue };
        if kind.is_none_or(|kind| kind == found) {
            // Writing to a string cannot fail.
            writeln!(text, "{} on {} type {found} ({options})", unescape(source), unescape(target)).ok();
        }
    }
    text
}

/// Where a device was mounted last.
fn device_target(mounts: &str, device: &str) -> Option<String> {
    let fields = mounts.lines().rev().map(|line| line.split(' ').collect::<Vec<_>>());
    let found = fields.filter(|fields| device.starts_with("/dev/") && fields.len() > 1);
    found.into_iter().find(|fields| unescape(fields[0]) == device).map(|fields| unescape(fields[1]))
}

/// Blanks are octal numbers in the kernel's tables: proc(5).
fn unescape(field: &str) -> String {
    [("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\043", "#"), ("\\134", "\\")]
        .iter()
        .fold(field.to_owned(), |text, (code, character)| text.replace(code, character))
}

/// As a value of a query.
fn encode(text: &str) -> String {
    let mut query = String::new();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"/-_.".contains(&byte) {
            query.push(char::from(byte));
        } else {
            // Writing to a string cannot fail.
            write!(query, "%{byte:02X}").ok();
        }
    }
    query
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: &str = "overlay / overlay ro,relatime 0 0\n/dev/vdb /mnt/my\\040data ext4 rw,noatime 0 0\n\
        /dev/vdb /srv/x ext4 rw 0 0\n";

    #[test]
    fn lists_are_in_mounts_form() {
        assert_eq!(table(TABLE, Some("overlay")), "overlay on / type overlay (ro,relatime)\n");
        assert!(table(TABLE, None).contains("/dev/vdb on /mnt/my data type ext4 (rw,noatime)\n"));
    }

    #[test]
    fn a_device_is_unmounted_where_it_was_mounted_last() {
        assert_eq!(device_target(TABLE, "/dev/vdb").as_deref(), Some("/srv/x"));
        assert_eq!(device_target(TABLE, "/dev/vdc"), None);
        assert_eq!(device_target(TABLE, "overlay"), None);
    }

    #[test]
    fn paths_are_whole_and_queries_safe() {
        let here = std::env::current_dir().unwrap();
        assert_eq!(plain(Path::new("a/../b")).unwrap(), here.join("b"));
        assert_eq!(plain(Path::new("/mnt/../../x")).unwrap(), Path::new("/x"));
        assert_eq!(named(Path::new("/proc/self/fd/../none")).unwrap().file_name().unwrap(), "none");
        assert_eq!(encode("/mnt/a b&ü+"), "/mnt/a%20b%26%C3%BC%2B");
        assert_eq!(area("LABEL=swap").unwrap(), "LABEL=swap");
    }
}
