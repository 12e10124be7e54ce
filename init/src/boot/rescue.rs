//! When the machine cannot go on: in the initrd a built-in prompt that reboots by itself, so that an unattended machine
//! tries again (and its boot loader, counting tries, the other slot); in the running system a busybox shell.

use crate::error::{BootError, Consequence};
use crate::process;
use nix::errno::Errno;
use nix::unistd::Pid;
use rustix::event::{PollFd, PollFlags, poll};
use rustix::fs::{Mode, OFlags};
use rustix::system::{RebootCommand, reboot};
use rustix::time::Timespec;
use std::time::Duration;

/// An unattended machine tries again after this; long enough to read the message on a slow remote console.
const UNATTENDED: Duration = Duration::from_secs(60);
/// For errors nobody can do anything about: time for the message to leave a serial line.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// Says what failed and ends the boot by the error's consequence. A version on trial waits for nobody: the boot loader
/// has another one.
pub(crate) fn end_boot(error: &BootError, trial: bool) -> ! {
    log::error!("{error}");
    let command = match error.consequence() {
        _ if trial => {
            log::error!("the version is on trial and failed: reboot in {} s", LAST_WORDS.as_secs());
            std::thread::sleep(LAST_WORDS);
            RebootCommand::Restart
        }
        Consequence::Degraded | Consequence::Rescue => prompt(),
        Consequence::Reboot => {
            std::thread::sleep(LAST_WORDS);
            RebootCommand::Restart
        }
    };
    rustix::fs::sync();
    loop {
        if let Err(errno) = reboot(command) {
            log::error!("cannot reboot: {errno}; switch the machine off");
        }
        std::thread::sleep(UNATTENDED);
    }
}

/// Waits for a key on the console.
fn prompt() -> RebootCommand {
    log::error!("the boot stops here: r = reboot, p = power off; reboot by itself in {} s", UNATTENDED.as_secs());
    let deadline = crate::clock::monotonic() + UNATTENDED;
    let Ok(console) =
        rustix::fs::open("/dev/console", OFlags::RDONLY | OFlags::NOCTTY | OFlags::NONBLOCK, Mode::empty())
    else {
        std::thread::sleep(UNATTENDED);
        return RebootCommand::Restart;
    };
    loop {
        let left = deadline.saturating_sub(crate::clock::monotonic());
        if left.is_zero() {
            return RebootCommand::Restart;
        }
        let timeout = Timespec::try_from(left).ok();
        let mut waiting = [PollFd::new(&console, PollFlags::IN)];
        let mut line = [0; 64];
        match poll(&mut waiting, timeout.as_ref()).and_then(|_| rustix::io::read(&console, &mut line)) {
            Ok(length) if line[..length].contains(&b'r') => return RebootCommand::Restart,
            Ok(length) if line[..length].contains(&b'p') => return RebootCommand::PowerOff,
            // A console that hangs up reads as ready and empty; do not spin on it.
            Ok(0) | Err(_) => std::thread::sleep(Duration::from_secs(1)),
            Ok(_) => log::error!("r = reboot, p = power off"),
        }
    }
}

/// A root shell on the system console, with job control on the terminal behind `/dev/console`.
pub(crate) fn shell() -> Result<Pid, Errno> {
    log::warn!("rescue shell on the console; `exit` goes on");
    process::shell("/dev/console", &[c"busybox", c"setsid", c"cttyhack", c"/usr/bin/busybox", c"sh"], c"PS1=rescue# ")
}
