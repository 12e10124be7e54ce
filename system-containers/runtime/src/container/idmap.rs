//! Idmapped mounts: the owners of files are shown as a user namespace maps them (mount_setattr(2), kernel 5.12).

use crate::plan::{Mapped, Mappings};
use hull_sys::clone::{Forked, fork};
use nix::sched::CloneFlags;
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::process::{WaitId, WaitIdOptions, waitid};
use std::fs::{self, File};
use std::io::{self, Read};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// Maps a detached mount.
pub(super) fn apply(tree: BorrowedFd<'_>, mapped: &Mapped) -> io::Result<()> {
    let namespace = user_namespace(&mapped.ids)?;
    hull_sys::mount::map_ids(tree, namespace.as_fd(), mapped.recursive)
}

/// A user namespace with these mappings; a process has to live in it while they are written.
fn user_namespace(ids: &Mappings) -> io::Result<OwnedFd> {
    let (reader, writer) = pipe_with(PipeFlags::CLOEXEC)?;
    match fork(CloneFlags::CLONE_NEWUSER, None)? {
        Forked::Child => {
            drop(writer);
            // Until the other end is closed.
            let ended = File::from(reader).read(&mut [0]);
            std::process::exit(i32::from(ended.is_err()));
        }
        Forked::Parent { pid, pidfd } => {
            drop(reader);
            let proc = format!("/proc/{pid}");
            let namespace = fs::write(format!("{proc}/uid_map"), &ids.uid)
                .and_then(|()| fs::write(format!("{proc}/gid_map"), &ids.gid))
                .and_then(|()| File::open(format!("{proc}/ns/user")));
            drop(writer);
            waitid(WaitId::PidFd(pidfd.as_fd()), WaitIdOptions::EXITED)?;
            namespace.map(OwnedFd::from)
        }
    }
}
