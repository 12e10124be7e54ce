//! What the boot loader will do next: one state machine, two loaders, all of it files on the ESP.
//!
//! ```text
//! version 1 of the layout; every later image has to be able to read and write it
//!   EFI/BOOT/BOOTX64.EFI                    UEFI: systemd-boot
//!   loader/loader.conf                      UEFI: timeout 0
//!   startup.nsh                             UEFI: for firmware with a shell; see `STARTUP_NSH`
//!   loader/entries/hull-<slot>[+<left>[-<done>]].conf
//!                                           UEFI: Boot Loader Specification, type 1; see `entry`
//!   grub/grub.cfg                           BIOS: see `configuration`
//!   grub/grubenv                            BIOS: see `environment`
//!   hull/<slot>/hull.efi                    UEFI: unified kernel image of the slot
//!   hull/<slot>/{vmlinuz,initrd,boot.cfg}   BIOS: boot.cfg is `set hull_options="<kernel command line>"`
//!   *.new                                   being written; no loader looks at it
//! ```
//!
//! | module | what |
//! |---|---|
//! | `change` | the changes and which of them are refused (pure) |
//! | `entry` | names and texts of systemd-boot's entries (pure) |
//! | `environment` | GRUB's environment block (pure) |
//! | `configuration` | GRUB's side of the rule: `grub.cfg`, `boot.cfg` (pure) |
//! | `systemd_boot`, `grub` | the two back ends: what there is, and a change as a list of steps |
//! | `step` | a step carried out so that a loss of power leaves it done or not done |
//!
//! A change is a list of durable steps. After each of them, and in the middle of each, the loader boots the slot it
//! booted before or the one the change is about, and the files of that slot are whole. vfat keeps no rename over an
//! existing name whole, so none is done; of the good slot nothing is touched but when it is given up.

mod change;
mod configuration;
mod entry;
mod environment;
mod grub;
mod step;
mod systemd_boot;
#[cfg(test)]
mod tests;

pub use change::{Change, Selection};
pub use configuration::{GRUB_MODULES, grub_boot_cfg, grub_configuration};
pub use entry::{FIRST_GENERATION, entry_name, entry_text};
pub use environment::{Environment, environment_block};
pub use grub::Grub;
pub use step::{Source, Step};
pub use systemd_boot::SystemdBoot;

use crate::slot::{Slot, SlotState};
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

/// Most boots a trial can have: one digit in GRUB's environment block.
pub const MOST_TRIES: u8 = 9;
/// `loader/loader.conf`.
pub const LOADER_CONF: &str = "timeout 0\n";
/// `startup.nsh`, which the UEFI shell runs (UEFI Shell Specification, 3.3): systemd-boot returns to the firmware when it
/// cannot start an entry, and virtual machines then end up in the shell. The try is counted by then.
pub const STARTUP_NSH: &str =
    "@echo -off\r\necho Hull: the boot loader came back. Starting again, with the slot that is left.\r\nreset\r\n";

/// What a slot needs on the ESP.
#[derive(Debug)]
pub enum BootFiles<'a> {
    /// For systemd-boot.
    Uefi {
        /// Unified kernel image.
        image: Source<'a>,
    },
    /// For GRUB.
    Bios {
        /// The kernel.
        vmlinuz: Source<'a>,
        /// Its initial file system.
        initrd: Source<'a>,
        /// Kernel command line; see [`grub_boot_cfg`] for what it may hold.
        command_line: &'a str,
    },
}

/// Why a change was not made.
#[derive(Debug, thiserror::Error)]
pub enum LoaderError {
    /// A file could not be handled.
    #[error("{action} {}", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// GRUB's environment block says nothing; [`BootControl::restore`] writes it anew.
    #[error("{} is not our environment block: {reason}", path.display())]
    Unknown {
        /// The block.
        path: PathBuf,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// The change would leave nothing known to boot.
    #[error("slot {} is not good: slot {slot} cannot be given up", slot.other())]
    LastGood {
        /// The slot that has to stay.
        slot: Slot,
    },
    /// Files are missing.
    #[error("slot {slot} does not boot: {file} is missing")]
    Incomplete {
        /// The slot.
        slot: Slot,
        /// The file that is missing, below `hull/<slot>`.
        file: &'static str,
    },
    /// The change is not one for a slot in this state.
    #[error("slot {slot} is {state:?}: {change} is not possible")]
    State {
        /// The slot.
        slot: Slot,
        /// What it is.
        state: SlotState,
        /// What was asked for.
        change: &'static str,
    },
    /// A trial of none or too many boots.
    #[error("a trial has 1 to {MOST_TRIES} boots, not {tries}")]
    Tries {
        /// What was asked for.
        tries: u8,
    },
    /// Files for the other loader.
    #[error("the kernel files are those of another boot loader")]
    Firmware,
    /// The content is not what it should be.
    #[error("{} does not have the expected digest", path.display())]
    Digest {
        /// Where it was to go.
        path: PathBuf,
    },
    /// The disk gave back something else than was written.
    #[error("{} reads back differently from what was written", path.display())]
    ReadBack {
        /// The file.
        path: PathBuf,
    },
    /// A version or a command line cannot be written into the loader's files.
    #[error(transparent)]
    Text(#[from] TextError),
}

/// Text that a loader would not read as it stands.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what} holds {character:?}, which the boot loader would not take as it stands")]
pub struct TextError {
    /// What the text is.
    pub what: &'static str,
    /// The first character that is not allowed; a line feed for an empty text.
    pub character: char,
}

impl LoaderError {
    fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self + use<> {
        let path = path.to_owned();
        move |source| Self::Io { action, path, source }
    }
}

/// A boot loader's choice, read and changed through the mounted ESP.
///
/// Everything is checked against what the loader knows; which slot runs, and that it is never the one cleared, is the
/// caller's to know. On its last try a slot is already [`SlotState::Bad`] here: it is blessed from there.
pub trait BootControl: fmt::Debug + Send + Sync {
    /// Where the ESP is mounted.
    fn esp(&self) -> &Path;

    /// What each slot is to the loader, and which one it boots next.
    fn read(&self) -> Result<Selection, LoaderError>;

    /// The durable steps of a change, none of them made; an error when it is refused.
    fn steps<'a>(&self, change: Change<'a>) -> Result<Vec<Step<'a>>, LoaderError>;

    /// Makes a change.
    fn apply(&self, change: Change<'_>) -> Result<(), LoaderError> {
        step::carry_out(self.esp(), self.steps(change)?)
    }

    /// Takes a slot out of the choice and removes its files: before it is written.
    fn clear(&self, slot: Slot) -> Result<(), LoaderError> {
        self.apply(Change::Clear { slot })
    }

    /// Writes kernel files into a cleared slot, reads them back from the disk and compares; it is not booted yet.
    fn install(&self, slot: Slot, files: BootFiles<'_>) -> Result<(), LoaderError> {
        self.apply(Change::Install { slot, files })
    }

    /// Boots an installed slot next, `tries` times at most, then the good one again. `version` is shown in the menu.
    fn try_slot(&self, slot: Slot, version: &str, tries: u8) -> Result<(), LoaderError> {
        self.apply(Change::Try { slot, version, tries })
    }

    /// A slot on trial passed: it is good, and the one booted from now on.
    fn bless(&self, slot: Slot) -> Result<(), LoaderError> {
        self.apply(Change::Bless { slot })
    }

    /// A slot is not booted any more as long as the other one can be.
    fn condemn(&self, slot: Slot) -> Result<(), LoaderError> {
        self.apply(Change::Condemn { slot })
    }

    /// Rolls back: this slot, good or given up before, is booted from now on and the other one is given up.
    fn prefer(&self, slot: Slot) -> Result<(), LoaderError> {
        self.apply(Change::Prefer { slot })
    }

    /// What the loader knew is lost: makes `good`, whose files are there, the good slot. What it does not know of the other
    /// one makes that the last resort.
    fn restore(&self, good: Slot, version: &str) -> Result<(), LoaderError> {
        self.apply(Change::Restore { good, version })
    }
}

/// The loader of this machine: `uefi` is whether `/sys/firmware/efi` exists.
#[must_use]
pub fn boot_control(esp: &Path, uefi: bool) -> Box<dyn BootControl> {
    if uefi { Box::new(SystemdBoot::new(esp)) } else { Box::new(Grub::new(esp)) }
}
