//! PID 1 of Hull: one static binary, which is `/init` in the initrd and `/usr/bin/init` on the root file system. Which of
//! its two phases runs follows from the file system it runs on.
//!
//! | module | what |
//! |---|---|
//! | [`boot`] | from the kernel's first exec to the daemon's start |
//! | [`supervise`] | the running machine |
//! | [`shutdown`] | its end |
//! | [`error`] | boot errors and their consequences |
//! | [`console`], [`clock`], [`power`], [`process`] | messages, time, ways to end, starting programs |

mod boot;
mod clock;
mod console;
mod error;
mod power;
mod process;
mod shutdown;
mod supervise;

use rustix::fs::statfs;
use rustix::system::{RebootCommand, reboot};
use std::process::ExitCode;

/// File system types of an unpacked initramfs, `linux/magic.h`.
const INITRAMFS: [i64; 2] = [0x8584_58f6, 0x0102_1994];

fn main() -> ExitCode {
    if !rustix::process::getpid().is_init() {
        eprintln!("init: this is the system's first process; to end the system, use `hull poweroff` or `hull reboot`");
        return ExitCode::FAILURE;
    }
    if statfs("/").is_ok_and(|root| INITRAMFS.contains(&root.f_type)) {
        boot::initrd::run();
    }
    // Ctrl-Alt-Del comes as a signal instead of an instant reset.
    reboot(RebootCommand::CadOff).ok();
    let boot::Prepared { mut feeder, debug_shell, trial } = boot::prepare();
    let power = supervise::run(&mut feeder, debug_shell, trial).unwrap_or_else(|error| {
        log::error!("{error}; rebooting");
        power::Power::Reboot
    });
    shutdown::run(power, &mut feeder)
}
