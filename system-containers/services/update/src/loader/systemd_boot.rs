//! systemd-boot: the choice is names of entries, which it counts down itself.

use super::entry::{self, Counter, Entry};
use super::step::{Source, Step, place};
use super::{BootControl, BootFiles, Change, LoaderError, Selection};
use crate::slot::{Slot, SlotState};
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

const ENTRIES: &str = "loader/entries";
const IMAGE: &str = "hull.efi";
/// An entry is five short lines; what is longer is none of ours.
const LARGEST_ENTRY: u64 = 4096;

/// systemd-boot on a mounted ESP.
#[derive(Debug, Clone)]
pub struct SystemdBoot {
    esp: PathBuf,
}

/// What there is of ours.
#[derive(Debug)]
struct View {
    /// Entries in systemd-boot's order, whether their files are there or not.
    entries: Vec<Entry>,
    /// Slots whose image is there.
    images: Vec<Slot>,
}

impl SystemdBoot {
    /// The one of the ESP mounted at `esp`.
    #[must_use]
    pub fn new(esp: &Path) -> Self {
        Self { esp: esp.to_owned() }
    }

    fn look(&self) -> Result<View, LoaderError> {
        let directory = self.esp.join(ENTRIES);
        let mut entries = Vec::new();
        match fs::read_dir(&directory) {
            Ok(files) => {
                for file in files {
                    let file = file.map_err(LoaderError::io("read", &directory))?;
                    let name = file.file_name().to_string_lossy().into_owned();
                    if entry::parse_name(&name).is_some() {
                        let small = file.metadata().is_ok_and(|metadata| metadata.len() <= LARGEST_ENTRY);
                        let text =
                            if small { fs::read_to_string(file.path()).unwrap_or_default() } else { String::new() };
                        entries.extend(Entry::parse(&name, &text));
                    }
                }
            }
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => return Err(LoaderError::io("read", &directory)(error)),
        }
        entries.sort_by(Entry::order);
        let is_there = |slot: &Slot| self.esp.join(image(*slot)).is_file();
        Ok(View { entries, images: Slot::ALL.into_iter().filter(is_there).collect() })
    }
}

fn image(slot: Slot) -> PathBuf {
    format!("hull/{slot}/{IMAGE}").into()
}

fn path(name: &str) -> PathBuf {
    Path::new(ENTRIES).join(name)
}

impl View {
    fn selection(&self) -> Selection {
        let state = |slot| match self.of(slot).find(|entry| entry.boots) {
            _ if !self.images.contains(&slot) => SlotState::Empty,
            None => SlotState::Empty,
            Some(Entry { counter: None, .. }) => SlotState::Good,
            Some(Entry { counter: Some(Counter { left: 0, .. }), .. }) => SlotState::Bad,
            Some(Entry { counter: Some(Counter { left, .. }), .. }) => {
                SlotState::Trial(u8::try_from(*left).unwrap_or(u8::MAX))
            }
        };
        let next = self.entries.iter().find(|entry| entry.boots && self.images.contains(&entry.slot));
        let next = next.map(|entry| entry.slot);
        Selection { a: state(Slot::A), b: state(Slot::B), next }
    }

    fn of(&self, slot: Slot) -> impl Iterator<Item = &Entry> {
        self.entries.iter().filter(move |entry| entry.slot == slot)
    }

    /// Gives the entry of a slot another counter; removes further entries of it, which an interrupted rename leaves.
    fn count(&self, slot: Slot, counter: impl FnOnce(&Entry) -> Option<Counter>) -> Vec<Step<'static>> {
        let Some(first) = self.of(slot).next() else { return Vec::new() };
        let target = entry::name(slot, counter(first));
        let kept = self.of(slot).find(|entry| entry.boots && entry.name == target).unwrap_or(first);
        let others = self.of(slot).filter(|entry| entry.name != kept.name);
        let mut steps: Vec<_> = others.map(|entry| Step::Remove(path(&entry.name))).collect();
        if kept.name != target {
            steps.push(Step::Rename(path(&kept.name), path(&target)));
        }
        steps
    }

    fn good(&self, slot: Slot) -> Vec<Step<'static>> {
        self.count(slot, |_| None)
    }

    fn bad(&self, slot: Slot) -> Vec<Step<'static>> {
        self.count(slot, |entry| Some(Counter { left: 0, done: entry.counter.map_or(0, |counter| counter.done) }))
    }

    fn forget(&self, slot: Slot) -> Vec<Step<'static>> {
        self.of(slot).map(|entry| Step::Remove(path(&entry.name))).collect()
    }

    /// A new entry, above that of the other slot.
    fn create(&self, slot: Slot, version: &str, counter: Option<Counter>) -> Result<Vec<Step<'static>>, LoaderError> {
        if !self.images.contains(&slot) {
            return Err(LoaderError::Incomplete { slot, file: IMAGE });
        }
        let highest = self.of(slot.other()).map(|entry| entry.generation).max();
        let generation = highest.map_or(entry::FIRST_GENERATION, |highest| highest.saturating_add(1));
        let text = entry::entry_text(version, generation, slot)?;
        let mut steps = self.forget(slot);
        steps.extend(place(path(&entry::name(slot, counter)), Source::bytes(text)));
        Ok(steps)
    }
}

impl BootControl for SystemdBoot {
    fn esp(&self) -> &Path {
        &self.esp
    }

    fn read(&self) -> Result<Selection, LoaderError> {
        Ok(self.look()?.selection())
    }

    fn steps<'a>(&self, change: Change<'a>) -> Result<Vec<Step<'a>>, LoaderError> {
        let view = self.look()?;
        view.selection().permits(&change)?;
        Ok(match change {
            Change::Clear { slot } => {
                let mut steps = view.forget(slot);
                let files = [image(slot), super::step::temporary(&image(slot))];
                steps.extend(files.into_iter().map(Step::Remove));
                steps
            }
            Change::Install { slot, files } => {
                let BootFiles::Uefi { image: source } = files else { return Err(LoaderError::Firmware) };
                let mut steps: Vec<Step<'a>> = view.forget(slot);
                steps.extend(place(image(slot), source));
                steps
            }
            Change::Try { slot, version, tries } => {
                view.create(slot, version, Some(Counter { left: tries.into(), done: 0 }))?
            }
            Change::Bless { slot } => view.good(slot),
            Change::Condemn { slot } => view.bad(slot),
            Change::Prefer { slot } => {
                let mut steps = view.good(slot);
                steps.extend(view.bad(slot.other()));
                steps
            }
            Change::Restore { good, version } => match view.of(good).find(|entry| entry.boots) {
                Some(_) if view.images.contains(&good) => view.good(good),
                _ => view.create(good, version, None)?,
            },
        })
    }
}
