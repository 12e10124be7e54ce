//! The EFI system partition, mounted only while the update service works on it: a file system nobody has mounted cannot be
//! torn by a power cut. Checked before every mount, because vfat keeps no journal: what a cut left behind there must not be
//! written on.

use rustix::io::Errno;
use rustix::mount::{MountFlags, UnmountFlags, mount, unmount};
use std::fs::DirBuilder;
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

const FSCK: &str = "/usr/sbin/fsck.fat";
/// Exit status of fsck.fat(8) up to which the file system can be used: 1 is "errors were corrected".
const CORRECTED: i32 = 1;
const OPTIONS: &std::ffi::CStr = c"umask=0077,codepage=437,iocharset=iso8859-1,errors=remount-ro";
/// A killed container lets go of its mounts a moment after its last process.
const UNMOUNT_ROUNDS: u32 = 40;
const UNMOUNT_PAUSE: Duration = Duration::from_millis(50);

/// Why it cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum EspError {
    /// The program.
    #[error("cannot run {FSCK}: {0}")]
    Tool(io::Error),
    /// Its verdict.
    #[error("the EFI system partition {device} is damaged beyond what {FSCK} repairs: {said}", device = device.display())]
    Damaged {
        /// Its node.
        device: PathBuf,
        /// Output of the program, shortened.
        said: String,
    },
    /// The kernel.
    #[error("cannot mount the EFI system partition {device}: {errno}", device = device.display())]
    Mount {
        /// Its node.
        device: PathBuf,
        /// Why not.
        errno: Errno,
    },
}

/// The mounted ESP; unmounted when dropped.
#[derive(Debug)]
pub struct Esp(PathBuf);

impl Esp {
    /// Checks `device` and mounts it on `place`. Blocks.
    ///
    /// # Errors
    /// When it cannot be repaired or mounted.
    pub fn mount(device: &Path, place: &Path) -> Result<Self, EspError> {
        // What a daemon before this one left.
        unmount(place, UnmountFlags::DETACH).ok();
        check(device)?;
        let failed = |errno| EspError::Mount { device: device.to_owned(), errno };
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(place)
            .map_err(|error| failed(Errno::from_io_error(&error).unwrap_or(Errno::IO)))?;
        let flags = MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC | MountFlags::NOATIME;
        mount(device, place, "vfat", flags, OPTIONS).map_err(failed)?;
        Ok(Self(place.to_owned()))
    }
}

impl Drop for Esp {
    fn drop(&mut self) {
        for _ in 0..UNMOUNT_ROUNDS {
            match unmount(&self.0, UnmountFlags::empty()) {
                Err(Errno::BUSY) => std::thread::sleep(UNMOUNT_PAUSE),
                Ok(()) | Err(_) => return,
            }
        }
        log::warn!("{} stays busy; it is unmounted when its last user is gone", self.0.display());
        unmount(&self.0, UnmountFlags::DETACH).ok();
    }
}

fn check(device: &Path) -> Result<(), EspError> {
    /// Enough of its output to see what was wrong.
    const SAID: usize = 400;
    let output = Command::new(FSCK).arg("-a").arg(device).output().map_err(EspError::Tool)?;
    let said = String::from_utf8_lossy(&output.stdout).replace('\n', "; ");
    let said = said.chars().take(SAID).collect();
    match output.status.code() {
        Some(0) => Ok(()),
        Some(status) if status <= CORRECTED => {
            log::info!("the EFI system partition was repaired: {said}");
            Ok(())
        }
        _ => Err(EspError::Damaged { device: device.to_owned(), said }),
    }
}
