//! Whether the boot loader counts this boot: the version is on trial until somebody says that it is good. GRUB says so on
//! the command line; systemd-boot leaves an EFI variable (Boot Loader Interface, `LoaderBootCountPath`), which is there
//! only when the entry it started has a counter.

use super::cmdline::Options;
use rustix::fs::{Mode, mkdir};
use rustix::io::Errno;
use rustix::mount::{MountFlags, UnmountFlags, mount, unmount};
use std::path::Path;

const FIRMWARE: &str = "/sys/firmware/efi/efivars";
const PLACE: &str = "/run/efivars";
const VARIABLE: &str = "LoaderBootCountPath-4a67b082-0a4c-41cf-b6c7-440b29bb8c4f";

/// Looks; a machine whose variables cannot be read is not on trial, for a good version must not be rebooted by mistake.
pub(crate) fn is_trial(options: &Options) -> bool {
    options.trial
        || counted_by_systemd_boot().unwrap_or_else(|errno| {
            log::warn!("cannot read the variables of the firmware: {errno}; this boot counts as one of a good version");
            false
        })
}

fn counted_by_systemd_boot() -> Result<bool, Errno> {
    if !Path::new(FIRMWARE).exists() {
        return Ok(false);
    }
    mkdir(PLACE, Mode::from(0o700)).ok();
    let flags = MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC | MountFlags::RDONLY;
    mount("efivarfs", PLACE, "efivarfs", flags, None)?;
    let found = Path::new(PLACE).join(VARIABLE).exists();
    unmount(PLACE, UnmountFlags::DETACH)?;
    Ok(found)
}
