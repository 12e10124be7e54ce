//! Pseudo-terminals from the container's own devpts, and their way to whoever shows them.

use super::paths;
use crate::error::{StartError, Step};
use crate::launch::TerminalSize;
use rustix::fs::ResolveFlags;
use rustix::io::Errno;
use rustix::mount::{MoveMountFlags, OpenTreeFlags, move_mount, open_tree};
use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, sendmsg};
use rustix::process::{Gid, Uid};
use rustix::pty::{OpenptFlags, ioctl_tiocgptpeer, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};
use std::io::IoSlice;
use std::mem::MaybeUninit;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::path::Path;

/// The multiplexer of the container's own devpts.
pub(super) const PTMX: &str = "/dev/pts/ptmx";

/// Where the first process's terminal is found (specification, "Linux default devices").
const CONSOLE: &str = "/dev/console";

/// Both sides of a terminal.
#[derive(Debug)]
pub(super) struct Terminal {
    pub(super) master: OwnedFd,
    pub(super) slave: OwnedFd,
}

/// A new pseudo-terminal. The slave is opened through the master, so no name in the container is trusted but that
/// of its devpts, which is looked at.
pub(super) fn open(size: Option<TerminalSize>, uid: u32) -> Result<Terminal, StartError> {
    allocate(size, uid).map_err(|errno| StartError::at(Step::Terminal, PTMX, errno))
}

fn allocate(size: Option<TerminalSize>, uid: u32) -> Result<Terminal, Errno> {
    let master = paths::open_ptmx()?;
    unlockpt(&master)?;
    let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
    let slave = ioctl_tiocgptpeer(&master, flags)?;
    rustix::fs::fchown(&slave, Some(Uid::from_raw(uid)), None::<Gid>)?;
    if let Some(TerminalSize { rows, columns }) = size {
        tcsetwinsize(&master, Winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 })?;
    }
    Ok(Terminal { master, slave })
}

/// Makes the terminal known as the console.
pub(super) fn bind_console(terminal: &Terminal) -> Result<(), StartError> {
    let bind = || {
        // Not what a link of this name leads to: the mount would cover that.
        let place = paths::find_or_make(Path::new(CONSOLE), false, ResolveFlags::NO_SYMLINKS)?;
        let flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC | OpenTreeFlags::AT_EMPTY_PATH;
        let tree = open_tree(&terminal.slave, "", flags)?;
        let flags = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH | MoveMountFlags::MOVE_MOUNT_T_EMPTY_PATH;
        move_mount(&tree, "", &place, "", flags)
    };
    bind().map_err(|errno| StartError::at(Step::Terminal, CONSOLE, errno))
}

/// A connected socket that takes a terminal's master.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Console<'a>(pub(crate) BorrowedFd<'a>);

impl Console<'_> {
    /// Sends the master with its name as data.
    pub(crate) fn send(self, master: BorrowedFd<'_>) -> Result<(), StartError> {
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        let fds = [master];
        if !control.push(SendAncillaryMessage::ScmRights(&fds)) {
            return Err(StartError::at(Step::Terminal, "console socket", Errno::TOOBIG));
        }
        sendmsg(self.0, &[IoSlice::new(PTMX.as_bytes())], &mut control, SendFlags::NOSIGNAL)
            .map(drop)
            .map_err(|errno| StartError::at(Step::Terminal, "console socket", errno))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use nix::sched::{CloneFlags, unshare};
    use rustix::mount::{MountFlags, MountPropagationFlags, mount, mount_change};

    /// CVE-2025-52565: what an image's link of that name leads to is not covered by the terminal.
    #[test]
    fn root_cve_2025_52565_the_console_is_no_link() {
        // A mount namespace of this thread alone.
        unshare(CloneFlags::CLONE_NEWNS).expect("this test needs root");
        mount_change("/", MountPropagationFlags::PRIVATE | MountPropagationFlags::REC).expect("make / private");
        mount("tmpfs", "/dev", "tmpfs", MountFlags::empty(), None).expect("cover /dev");
        std::fs::create_dir("/dev/pts").expect("make directory");
        mount("devpts", "/dev/pts", "devpts", MountFlags::empty(), Some(c"newinstance,ptmxmode=0666")).expect("devpts");
        std::fs::write("/dev/other", "untouched").expect("write");
        std::os::unix::fs::symlink("other", CONSOLE).expect("link");
        let terminal = open(None, 0).expect("terminal");
        assert_eq!(bind_console(&terminal), Err(StartError::at(Step::Terminal, CONSOLE, Errno::LOOP)));
        assert_eq!(std::fs::read_to_string("/dev/other").expect("read"), "untouched");
        std::fs::remove_file(CONSOLE).expect("remove");
        assert_eq!(bind_console(&terminal), Ok(()));
        assert!(std::fs::metadata(CONSOLE).is_ok_and(|found| !found.is_file()));
    }
}
