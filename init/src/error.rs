//! What can go wrong before the root file system runs, and what follows from it. Later phases go on degraded: their
//! errors become messages in the boot report where they occur.

use rustix::io::Errno;
use std::path::PathBuf;
use thiserror::Error;

/// What PID 1 does about an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Consequence {
    /// Say so and go on.
    Degraded,
    /// Say so, wait for somebody at the console, reboot after a while.
    Rescue,
    /// Reboot at once: nothing can be said or asked any more.
    Reboot,
}

/// An error of the boot, up to the running root.
#[derive(Debug, Error)]
pub(crate) enum BootError {
    #[error("cannot mount {file_system} on {}: {errno}", target.display())]
    ApiMount { file_system: &'static str, target: PathBuf, errno: Errno },
    #[error("cannot read {path}: {source}")]
    Read { path: &'static str, source: std::io::Error },
    #[error("the kernel command line names no {option}; it must come with the image (boot loader entry or UKI)")]
    NotNamed { option: &'static str },
    #[error(
        "no slot holds the image with root hash {root_hash} after {seconds} s; disks found: {disks}. Check that the system \
         disk is attached and that its driver is in the kernel"
    )]
    RootNotFound { root_hash: String, seconds: u64, disks: String },
    #[error("cannot use {path} of the initrd as a block device: {errno}")]
    Carried { path: &'static str, errno: Errno },
    #[error("cannot set up verification of the root file system on {device}: {source}")]
    Verity { device: String, source: hull_sys::dm::Error },
    #[error(
        "{device} holds {bytes} bytes, its verified file system needs {needed}. The image on disk is cut short: write it \
         again or boot the other slot"
    )]
    RootTooSmall { device: String, bytes: u64, needed: u64 },
    #[error(
        "cannot mount the root file system on {device}: {errno} ({finding}). Boot the other slot or write the image again"
    )]
    RootMount { device: String, errno: Errno, finding: &'static str },
    #[error("cannot switch to the root file system: {step}: {errno}")]
    SwitchRoot { step: &'static str, errno: Errno },
    #[error("cannot start {program} from {device}: {source} ({finding}). Boot the other slot or write the image again")]
    Exec { program: &'static str, device: String, source: std::io::Error, finding: &'static str },
    #[error("cannot remove {path} of the initrd, its memory stays in use: {source}")]
    FreeInitrd { path: &'static str, source: std::io::Error },
}

impl BootError {
    /// What PID 1 does about it.
    pub(crate) fn consequence(&self) -> Consequence {
        match self {
            Self::FreeInitrd { .. } => Consequence::Degraded,
            Self::Read { .. }
            | Self::NotNamed { .. }
            | Self::RootNotFound { .. }
            | Self::Carried { .. }
            | Self::Verity { .. }
            | Self::RootTooSmall { .. }
            | Self::RootMount { .. }
            | Self::Exec { .. } => Consequence::Rescue,
            Self::ApiMount { .. } | Self::SwitchRoot { .. } => Consequence::Reboot,
        }
    }
}
