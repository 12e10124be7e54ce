//! mount_setattr(2), which neither rustix nor nix has.

use nix::libc;
use rustix::mount::MountAttrFlags;
use std::io;
use std::mem::size_of;
use std::os::fd::{AsRawFd, BorrowedFd};

/// Propagation of a mount, see mount_namespaces(7).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Propagation {
    /// Mounts made below it stay where they are made.
    Private,
    /// Mounts made below its master appear below it, not the other way round.
    Slave,
    /// Mounts made below it appear below all its peers. A shared mount stays in its group.
    Shared,
    /// Private, and not to be bound elsewhere.
    Unbindable,
}

/// Sets attributes and, when given, the propagation of the mount `tree` refers to and of all mounts below it; attributes
/// not named keep their values (kernel 5.12).
///
/// # Errors
/// As mount_setattr(2).
pub fn set_attributes(
    tree: BorrowedFd<'_>,
    attributes: MountAttrFlags,
    propagation: Option<Propagation>,
) -> io::Result<()> {
    set(tree, attributes, propagation, libc::AT_EMPTY_PATH | libc::AT_RECURSIVE)
}

/// Sets attributes of the one mount `mount` refers to, and of none below it; otherwise like [`set_attributes`].
///
/// # Errors
/// As mount_setattr(2).
pub fn set_attributes_of_one(mount: BorrowedFd<'_>, attributes: MountAttrFlags) -> io::Result<()> {
    set(mount, attributes, None, libc::AT_EMPTY_PATH)
}

/// Shows the owners of files of a detached mount as the user namespace maps them; with `recursive` on the mounts below
/// as well (kernel 5.12).
///
/// # Errors
/// `EINVAL` when the file system cannot do it, or is mapped already; `EPERM` for an attached mount; see
/// mount_setattr(2).
pub fn map_ids(tree: BorrowedFd<'_>, user_namespace: BorrowedFd<'_>, recursive: bool) -> io::Result<()> {
    let arguments = libc::mount_attr {
        attr_set: u64::from(MountAttrFlags::MOUNT_ATTR_IDMAP.bits()),
        attr_clr: 0,
        propagation: 0,
        // A descriptor is never negative.
        userns_fd: user_namespace.as_raw_fd() as u64,
    };
    call(tree, &arguments, libc::AT_EMPTY_PATH | if recursive { libc::AT_RECURSIVE } else { 0 })
}

fn set(
    tree: BorrowedFd<'_>,
    attributes: MountAttrFlags,
    propagation: Option<Propagation>,
    flags: libc::c_int,
) -> io::Result<()> {
    let attr_set = u64::from(attributes.bits());
    let access_time = u64::from(MountAttrFlags::MOUNT_ATTR__ATIME.bits());
    let arguments = libc::mount_attr {
        attr_set,
        // The access time mode is a field, not a bit: it has to be cleared to be set.
        attr_clr: if attr_set & access_time == 0 { 0 } else { access_time },
        propagation: match propagation {
            None => 0,
            Some(Propagation::Private) => libc::MS_PRIVATE,
            Some(Propagation::Slave) => libc::MS_SLAVE,
            Some(Propagation::Shared) => libc::MS_SHARED,
            Some(Propagation::Unbindable) => libc::MS_UNBINDABLE,
        },
        userns_fd: 0,
    };
    call(tree, &arguments, flags)
}

fn call(tree: BorrowedFd<'_>, arguments: &libc::mount_attr, flags: libc::c_int) -> io::Result<()> {
    // SAFETY: the path is a C string, `arguments` outlives the call, and its size is given.
    let result = unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            tree.as_raw_fd(),
            c"".as_ptr(),
            flags,
            std::ptr::from_ref(arguments),
            size_of::<libc::mount_attr>(),
        )
    };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}
