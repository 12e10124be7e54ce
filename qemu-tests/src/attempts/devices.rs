//! The system disk and the kernel's log, by their device nodes.

use super::Attempt;
use rustix::fs::{CWD, FileType, Mode, OFlags, mknodat, open, stat, unlink};
use rustix::io::{Errno, Result};

/// Where a service has no node the answer is `ENOENT`; where it has one the device program says `EPERM`, or the node's
/// owner `EACCES`.
const CLOSED: &[Errno] = &[Errno::NOENT, Errno::PERM, Errno::ACCESS];

pub(super) const ATTEMPTS: &[Attempt] = &[
    Attempt {
        name: "make_a_node_of_the_system_disk",
        call: "mknodat",
        refusals: &[Errno::PERM],
        free: None,
        may: &[],
        act: make_a_node,
    },
    Attempt {
        name: "read_the_system_disk",
        call: "openat",
        refusals: CLOSED,
        free: None,
        may: &["udev"],
        act: |disk| open_disk(disk, OFlags::RDONLY),
    },
    Attempt {
        name: "write_to_the_system_disk",
        call: "openat",
        refusals: CLOSED,
        free: None,
        may: &[],
        act: |disk| open_disk(disk, OFlags::RDWR),
    },
    Attempt {
        name: "open_the_kernel_log",
        call: "openat",
        refusals: CLOSED,
        free: None,
        may: &[],
        act: |_| open("/dev/kmsg", OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty()).map(drop),
    },
];

/// In memory, in every container and on the machine; world-writable, so that only the node's kind is refused.
const NODE: &str = "/tmp/hull-check-node";

fn make_a_node(disk: &str) -> Result<()> {
    // sysfs knows the numbers wherever the node is out of sight.
    let text = std::fs::read_to_string(format!("/sys/class/block/{disk}/dev")).map_err(|_| Errno::NODEV)?;
    let (major, minor) = text.trim().split_once(':').ok_or(Errno::INVAL)?;
    let number = |text: &str| text.parse().map_err(|_| Errno::INVAL);
    let device = rustix::fs::makedev(number(major)?, number(minor)?);
    mknodat(CWD, NODE, FileType::BlockDevice, Mode::RUSR, device)?;
    let made = stat(NODE)?.st_rdev;
    unlink(NODE)?;
    if made == device { Ok(()) } else { Err(Errno::INVAL) }
}

fn open_disk(disk: &str, access: OFlags) -> Result<()> {
    open(format!("/dev/{disk}"), access | OFlags::CLOEXEC, Mode::empty()).map(drop)
}
