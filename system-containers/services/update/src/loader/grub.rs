//! GRUB: the choice is three bytes of its environment block.
//!
//! An installed slot that was not tried yet reads as [`SlotState::Bad`]: the block has no other word for it.

use super::configuration::grub_boot_cfg;
use super::environment::{Environment, SIZE, environment_block};
use super::step::{Source, Step, place, temporary};
use super::{BootControl, BootFiles, Change, LoaderError, Selection};
use crate::slot::{Slot, SlotState};
use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

const BLOCK: &str = "grub/grubenv";
/// In the order they are written; without the last one GRUB does not look at the others.
const FILES: [&str; 3] = ["vmlinuz", "initrd", "boot.cfg"];

/// GRUB on a mounted ESP.
#[derive(Debug, Clone)]
pub struct Grub {
    esp: PathBuf,
}

impl Grub {
    /// The one of the ESP mounted at `esp`.
    #[must_use]
    pub fn new(esp: &Path) -> Self {
        Self { esp: esp.to_owned() }
    }

    /// The block as it is, and what it says.
    fn look(&self) -> Result<(Vec<u8>, Environment), LoaderError> {
        let path = self.esp.join(BLOCK);
        let mut block = Vec::new();
        let read = File::open(&path).and_then(|file| file.take(SIZE as u64 + 1).read_to_end(&mut block));
        match read {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(LoaderError::io("read", &path)(error)),
            _ => match Environment::parse(&block) {
                Ok(environment) => Ok((block, environment)),
                Err(reason) => Err(LoaderError::Unknown { path, reason }),
            },
        }
    }

    fn missing(&self, slot: Slot) -> Option<&'static str> {
        FILES.into_iter().find(|name| !self.esp.join(file(slot, name)).is_file())
    }

    fn complete(&self, slot: Slot) -> Result<(), LoaderError> {
        self.missing(slot).map_or(Ok(()), |file| Err(LoaderError::Incomplete { slot, file }))
    }

    fn selection(&self, environment: Environment) -> Selection {
        let is_there = |slot| self.missing(slot).is_none();
        let state = |slot| match environment.beside() {
            _ if !is_there(slot) => SlotState::Empty,
            Some((trial, 0)) if trial == slot => SlotState::Bad,
            Some((trial, left)) if trial == slot => SlotState::Trial(left),
            _ => SlotState::Good,
        };
        let trial = environment.beside().filter(|(_, left)| *left > 0).map(|(trial, _)| trial);
        let order = [trial, Some(environment.good), Some(environment.good.other())];
        let next = order.into_iter().flatten().find(|slot| is_there(*slot));
        Selection { a: state(Slot::A), b: state(Slot::B), next }
    }
}

fn file(slot: Slot, name: &str) -> PathBuf {
    format!("hull/{slot}/{name}").into()
}

/// The slot is given up, the other one boots.
fn given_up(slot: Slot) -> Environment {
    Environment { trial: Some(slot), left: 0, good: slot.other() }
}

impl BootControl for Grub {
    fn esp(&self) -> &Path {
        &self.esp
    }

    fn read(&self) -> Result<Selection, LoaderError> {
        Ok(self.selection(self.look()?.1))
    }

    fn steps<'a>(&self, change: Change<'a>) -> Result<Vec<Step<'a>>, LoaderError> {
        if let Change::Restore { good, .. } = change {
            self.complete(good)?;
            return Ok(vec![Step::Overwrite(BLOCK.into(), environment_block(given_up(good.other())))]);
        }
        let (block, now) = self.look()?;
        let selection = self.selection(now);
        selection.permits(&change)?;
        let set = |wanted: Environment| {
            // without a trial the count means nothing, but it must be 0 before the name of a slot comes to stand beside it
            let settled = if now.beside().is_none() { Environment { left: 0, ..now } } else { now };
            let values = [(settled != now, settled), (wanted != settled, wanted)];
            let steps = values.into_iter().filter(|(changed, _)| *changed);
            let steps = steps.map(|(_, value)| Step::Overwrite(BLOCK.into(), value.into_block(block.clone())));
            steps.collect::<Vec<_>>()
        };
        Ok(match change {
            Change::Clear { slot } => {
                let files = FILES.into_iter().rev().map(|name| file(slot, name));
                let files = files.flat_map(|path| [path.clone(), temporary(&path)]);
                set(given_up(slot)).into_iter().chain(files.map(Step::Remove)).collect()
            }
            Change::Install { slot, files } => {
                let BootFiles::Bios { vmlinuz, initrd, command_line } = files else {
                    return Err(LoaderError::Firmware);
                };
                let options = Source::bytes(grub_boot_cfg(command_line)?);
                let sources = FILES.into_iter().zip([vmlinuz, initrd, options]);
                let places = sources.flat_map(|(name, source)| place(file(slot, name), source));
                // files of an attempt that was cut short must not become whole before the new ones are
                let old = FILES.into_iter().rev().map(|name| Step::Remove(file(slot, name)));
                set(given_up(slot)).into_iter().chain(old).chain(places).collect()
            }
            Change::Try { slot, tries, .. } => {
                self.complete(slot)?;
                set(Environment { trial: Some(slot), left: tries, good: slot.other() })
            }
            Change::Bless { slot } if selection.state(slot) == SlotState::Good => Vec::new(),
            Change::Bless { slot } => set(Environment { trial: None, left: 0, good: slot }),
            Change::Condemn { slot } => set(given_up(slot)),
            Change::Prefer { slot } => set(given_up(slot.other())),
            Change::Restore { .. } => Vec::new(),
        })
    }
}
