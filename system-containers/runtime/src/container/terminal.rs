//! Pseudo-terminals from the container's own devpts, and their way to whoever shows them.

use crate::error::{StartError, Step};
use crate::launch::TerminalSize;
use rustix::fs::{CWD, Mode, OFlags};
use rustix::io::Errno;
use rustix::mount::{MoveMountFlags, OpenTreeFlags, move_mount, open_tree};
use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, sendmsg};
use rustix::process::{Gid, Uid};
use rustix::pty::{OpenptFlags, ioctl_tiocgptpeer, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};
use std::io::IoSlice;
use std::mem::MaybeUninit;
use std::os::fd::{BorrowedFd, OwnedFd};

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

/// A new pseudo-terminal. The slave is opened through the master, so no name in the container is trusted.
pub(super) fn open(size: Option<TerminalSize>, uid: u32) -> Result<Terminal, StartError> {
    allocate(size, uid).map_err(|errno| StartError::at(Step::Terminal, PTMX, errno))
}

fn allocate(size: Option<TerminalSize>, uid: u32) -> Result<Terminal, Errno> {
    let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC;
    let master = rustix::fs::open(PTMX, flags, Mode::empty())?;
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
        match rustix::fs::open(CONSOLE, OFlags::CREATE | OFlags::CLOEXEC | OFlags::NOCTTY, Mode::from_raw_mode(0o666)) {
            Ok(_) | Err(Errno::NXIO) => {}
            Err(errno) => return Err(errno),
        }
        let flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC | OpenTreeFlags::AT_EMPTY_PATH;
        let tree = open_tree(&terminal.slave, "", flags)?;
        move_mount(&tree, "", CWD, CONSOLE, MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH)
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
