//! From the initrd to the root file system: move the kernel's file systems, free the initrd's memory, make the new root
//! `/`.

use super::mounts::{Api, INITRD};
use crate::error::BootError;
use rustix::io::Errno;
use rustix::mount::mount_move;
use rustix::process::{chdir, chroot};

/// Where the root file system is mounted before the switch.
pub(crate) const NEW_ROOT: &str = "/root";
/// All that the initrd holds besides mount points.
const INITRD_PROGRAM: &str = "/init";

/// Makes [`NEW_ROOT`] the root of this process. An initrd that cannot be freed is reported through `degraded`.
pub(crate) fn switch(degraded: impl FnOnce(BootError)) -> Result<(), BootError> {
    let step = |step, result: Result<(), Errno>| result.map_err(|errno| BootError::SwitchRoot { step, errno });
    for target in INITRD.iter().map(Api::target) {
        step("move mount", mount_move(target, format!("{NEW_ROOT}{target}")))?;
    }
    // The running program's pages go when it executes the next one.
    if let Err(source) = std::fs::remove_file(INITRD_PROGRAM) {
        degraded(BootError::FreeInitrd { path: INITRD_PROGRAM, source });
    }
    step("enter new root", chdir(NEW_ROOT))?;
    step("move root", mount_move(".", "/"))?;
    step("change root", chroot("."))?;
    step("enter root", chdir("/"))
}
