//! The kernel's file systems: a table each for the initrd and for the running system, and one function that mounts it.

use crate::error::BootError;
use rustix::fs::{Mode, mkdir};
use rustix::io::Errno;
use rustix::mount::{MountFlags, MountPropagationFlags, mount, mount_change};
use std::ffi::CString;
use std::path::PathBuf;

/// One file system to mount.
#[derive(Debug)]
pub(crate) struct Api {
    file_system: &'static str,
    target: &'static str,
    flags: MountFlags,
    options: &'static str,
}

const NONE: MountFlags = MountFlags::NOSUID.union(MountFlags::NODEV).union(MountFlags::NOEXEC);
const fn api(file_system: &'static str, target: &'static str, flags: MountFlags, options: &'static str) -> Api {
    Api { file_system, target, flags, options }
}

impl Api {
    pub(crate) fn target(&self) -> &'static str {
        self.target
    }
}

/// What the initrd needs; moved to the root later.
pub(crate) const INITRD: [Api; 3] = [
    api("proc", "/proc", NONE, ""),
    api("sysfs", "/sys", NONE, ""),
    api("devtmpfs", "/dev", MountFlags::NOSUID.union(MountFlags::NOEXEC), "mode=0755"),
];

/// What the running system needs beyond that. The directories in `/dev` are made here, the others are in the root.
/// `gid=5` is Debian's group tty, `ptmxmode` lets unprivileged users open terminals.
pub(crate) const SYSTEM: [Api; 5] = [
    api("devpts", "/dev/pts", MountFlags::NOSUID.union(MountFlags::NOEXEC), "gid=5,mode=0620,ptmxmode=0666"),
    api("tmpfs", "/dev/shm", MountFlags::NOSUID.union(MountFlags::NODEV), "mode=1777"),
    api("tmpfs", "/run", MountFlags::NOSUID.union(MountFlags::NODEV), "mode=0755"),
    api("tmpfs", "/tmp", MountFlags::NOSUID.union(MountFlags::NODEV), "mode=1777"),
    api("cgroup2", "/sys/fs/cgroup", NONE, "nsdelegate,memory_recursiveprot"),
];

/// Mounts one entry, making its directory where that is possible. `EBUSY` means the same one is mounted there already.
pub(crate) fn mount_one(api: &Api) -> Result<(), BootError> {
    mkdir(api.target, Mode::from(0o755)).ok();
    // The tables hold no NUL byte; an empty option string is what the system call takes for none.
    let options = CString::new(api.options).unwrap_or_default();
    match mount(api.file_system, api.target, api.file_system, api.flags, options.as_c_str()) {
        Ok(()) | Err(Errno::BUSY) => Ok(()),
        Err(errno) => {
            Err(BootError::ApiMount { file_system: api.file_system, target: PathBuf::from(api.target), errno })
        }
    }
}

/// Makes every mount shared, so that what one service mounts in a shared directory appears in the others.
pub(crate) fn share_all() -> Result<(), Errno> {
    mount_change("/", MountPropagationFlags::SHARED | MountPropagationFlags::REC)
}
