//! Contents of a private `/dev`: device nodes and links.

use crate::error::{StartError, Step};
use oci_spec::runtime::{LinuxDevice, LinuxDeviceType};
use rustix::io::Errno;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// A node to be made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Node {
    pub(crate) path: PathBuf,
    pub(crate) block: bool,
    pub(crate) major: u32,
    pub(crate) minor: u32,
    pub(crate) mode: u32,
    pub(crate) uid: u32,
    pub(crate) gid: u32,
}

/// Character devices every container has (OCI runtime specification, "Default Devices"): path, major, minor.
const STANDARD: [(&str, u32, u32); 6] = [
    ("/dev/null", 1, 3),
    ("/dev/zero", 1, 5),
    ("/dev/full", 1, 7),
    ("/dev/random", 1, 8),
    ("/dev/urandom", 1, 9),
    ("/dev/tty", 5, 0),
];

/// Links every container has ("Dev symbolic links" there): path, target.
pub(crate) const STANDARD_LINKS: [(&str, &str); 5] = [
    ("/dev/ptmx", "pts/ptmx"),
    ("/dev/fd", "/proc/self/fd"),
    ("/dev/stdin", "/proc/self/fd/0"),
    ("/dev/stdout", "/proc/self/fd/1"),
    ("/dev/stderr", "/proc/self/fd/2"),
];

/// Mode of a node when the specification gives none.
const MODE: u32 = 0o666;

/// The standard nodes, but for those the specification has itself, then the specification's.
pub(super) fn plan(devices: &[LinuxDevice]) -> Result<Vec<Node>, StartError> {
    let given = |path: &str| devices.iter().any(|device| device.path() == Path::new(path));
    let standard = STANDARD.into_iter().filter(|(path, ..)| !given(path)).map(|(path, major, minor)| {
        Ok(Node { path: path.into(), block: false, major, minor, mode: MODE, uid: 0, gid: 0 })
    });
    standard.chain(devices.iter().map(node)).collect()
}

fn node(device: &LinuxDevice) -> Result<Node, StartError> {
    let invalid = || StartError::at(Step::Specification, device.path(), Errno::INVAL);
    let block = match device.typ() {
        LinuxDeviceType::B => true,
        LinuxDeviceType::C | LinuxDeviceType::U => false,
        _ => return Err(invalid()),
    };
    let climbs = device.path().components().any(|part| part == std::path::Component::ParentDir);
    if !device.path().starts_with("/dev") || climbs {
        return Err(invalid());
    }
    Ok(Node {
        path: device.path().clone(),
        block,
        major: device.major().try_into().map_err(|_| invalid())?,
        minor: device.minor().try_into().map_err(|_| invalid())?,
        mode: device.file_mode().unwrap_or(MODE),
        uid: device.uid().unwrap_or(0),
        gid: device.gid().unwrap_or(0),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use oci_spec::runtime::LinuxDeviceBuilder;

    fn device(path: &str, typ: LinuxDeviceType, major: i64) -> LinuxDevice {
        LinuxDeviceBuilder::default().path(path).typ(typ).major(major).minor(1).build().expect("device")
    }

    #[test]
    fn specified_nodes_follow_the_standard_ones() {
        let nodes = plan(&[device("/dev/rtc0", LinuxDeviceType::C, 252)]).expect("plan");
        assert_eq!(nodes.len(), STANDARD.len() + 1);
        let last = nodes.last().expect("node");
        assert_eq!((last.path.to_str(), last.block, last.major, last.mode), (Some("/dev/rtc0"), false, 252, MODE));
    }

    #[test]
    fn odd_nodes_are_refused() {
        for bad in [
            device("/etc/x", LinuxDeviceType::C, 1),
            device("/dev/../etc/x", LinuxDeviceType::C, 1),
            device("/dev/x", LinuxDeviceType::C, -1),
            device("/dev/x", LinuxDeviceType::P, 0),
        ] {
            assert!(plan(std::slice::from_ref(&bad)).is_err(), "{bad:?}");
        }
    }
}
