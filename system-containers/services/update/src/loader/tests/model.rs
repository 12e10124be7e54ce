//! What the two loaders do, written from their sources and read from the bare files; and what a loss of power leaves.

use super::super::*;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// Content of every file of a slot: what is not this is not whole.
fn content(slot: Slot, name: &str) -> String {
    if name == "boot.cfg" { format!("set hull_options=\"slot={slot}\"\n") } else { format!("{name} of {slot}") }
}

/// An ESP of a new image: slot A good, slot B empty.
pub(super) struct Machine {
    directory: TempDir,
    uefi: bool,
    pub(super) control: Box<dyn BootControl>,
}

impl Machine {
    pub(super) fn new(uefi: bool) -> Self {
        let machine = Self::empty(uefi);
        let put = |name: &str, content: &[u8]| {
            let path = machine.esp().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, content).unwrap();
        };
        for name in names(uefi) {
            put(&format!("hull/a/{name}"), content(Slot::A, name).as_bytes());
        }
        if uefi {
            let entry = entry_text("1", FIRST_GENERATION, Slot::A).unwrap();
            put(&format!("loader/entries/{}", entry_name(Slot::A)), entry.as_bytes());
        } else {
            put("grub/grubenv", &environment_block(Environment { trial: None, left: 0, good: Slot::A }));
        }
        machine
    }

    fn empty(uefi: bool) -> Self {
        // Every step syncs its file system: on a disk that others use that takes a minute.
        let memory = tempfile::tempdir_in("/dev/shm");
        let directory = memory.unwrap_or_else(|_| tempfile::tempdir().unwrap());
        let control = boot_control(directory.path(), uefi);
        Self { directory, uefi, control }
    }

    pub(super) fn esp(&self) -> &Path {
        self.directory.path()
    }

    pub(super) fn copy(&self) -> Self {
        let copy = Self::empty(self.uefi);
        copy_tree(self.esp(), copy.esp());
        copy
    }

    /// Changes and boots that all work.
    pub(super) fn tell(&self, story: &[&str]) {
        for part in story {
            match *part {
                "environment b1b" => self.environment(Environment { trial: Some(Slot::B), left: 1, good: Slot::B }),
                "environment -1a" => self.environment(Environment { trial: None, left: 1, good: Slot::A }),
                "boot" => assert!(self.boot().is_some()),
                change => self.change(change).unwrap(),
            }
        }
    }

    /// What an interrupted write leaves; systemd-boot has nothing like it.
    fn environment(&self, environment: Environment) {
        if !self.uefi {
            fs::write(self.esp().join("grub/grubenv"), environment_block(environment)).unwrap();
        }
    }

    pub(super) fn steps(&self, change: &str) -> Result<Vec<Step<'static>>, LoaderError> {
        let (verb, letter) = change.split_once(' ').unwrap();
        let slot = Slot::from_letter(letter).unwrap();
        let source = |name| Source::bytes(content(slot, name));
        self.control.steps(match verb {
            "clear" => Change::Clear { slot },
            "install" if self.uefi => Change::Install { slot, files: BootFiles::Uefi { image: source("hull.efi") } },
            "install" => {
                let command_line = if slot == Slot::A { "slot=a" } else { "slot=b" };
                let files = BootFiles::Bios { vmlinuz: source("vmlinuz"), initrd: source("initrd"), command_line };
                Change::Install { slot, files }
            }
            "try" => Change::Try { slot, version: "2", tries: 2 },
            "bless" => Change::Bless { slot },
            "condemn" => Change::Condemn { slot },
            "prefer" => Change::Prefer { slot },
            "restore" => Change::Restore { good: slot, version: "3" },
            other => panic!("{other}"),
        })
    }

    pub(super) fn change(&self, change: &str) -> Result<(), LoaderError> {
        step::carry_out(self.esp(), self.steps(change)?)
    }

    /// The first `count` steps of a change.
    pub(super) fn carry_out(&self, change: &str, count: usize) {
        step::carry_out(self.esp(), self.steps(change).unwrap().into_iter().take(count)).unwrap();
    }

    /// What boots next, without booting it.
    pub(super) fn would_boot(&self) -> Option<Slot> {
        self.copy().boot()
    }

    /// Boots: counts down as the loader does; nothing when no slot is whole.
    pub(super) fn boot(&self) -> Option<Slot> {
        if self.uefi { systemd_boot(self.esp()) } else { grub(self.esp()) }
    }
}

fn names(uefi: bool) -> &'static [&'static str] {
    if uefi { &["hull.efi"] } else { &["vmlinuz", "initrd", "boot.cfg"] }
}

fn copy_tree(from: &Path, to: &Path) {
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let to = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            fs::create_dir(&to).unwrap();
            copy_tree(&entry.path(), &to);
        } else {
            fs::copy(entry.path(), to).unwrap();
        }
    }
}

/// The file a loader opens is there: then it has to be whole.
fn is_there(esp: &Path, slot: Slot, name: &str) -> bool {
    let path = esp.join(format!("hull/{slot}/{name}"));
    match fs::read_to_string(&path) {
        Ok(text) => {
            assert_eq!(text, content(slot, name), "{}", path.display());
            true
        }
        Err(_) => false,
    }
}

/// `config_load_entries`, `boot_entry_compare`, `config_entry_bump_counters` of systemd-boot.
fn systemd_boot(esp: &Path) -> Option<Slot> {
    type Key = (bool, std::cmp::Reverse<(u64, String)>);
    let mut found: Vec<(Key, String, Slot)> = Vec::new();
    for file in fs::read_dir(esp.join("loader/entries")).ok()? {
        let file = file.unwrap();
        let name = file.file_name().into_string().unwrap();
        let Some(stem) = name.strip_suffix(".conf") else { continue };
        let text = fs::read_to_string(file.path()).unwrap();
        let keys: BTreeMap<_, _> = text.lines().filter_map(|line| line.split_once(' ')).collect();
        let Some(path) = keys.get("efi") else { continue };
        assert_eq!(keys["sort-key"], "hull");
        let slot = Slot::from_letter(path.strip_prefix("/hull/").unwrap().strip_suffix("/hull.efi").unwrap()).unwrap();
        if !is_there(esp, slot, "hull.efi") {
            continue;
        }
        let (id, tries) = stem.split_once('+').map_or((stem, None), |(id, tries)| (id, Some(tries)));
        let used_up = tries.is_some_and(|tries| tries.split('-').next() == Some("0"));
        let version = keys["version"].parse().unwrap();
        found.push(((used_up, std::cmp::Reverse((version, id.to_owned()))), name, slot));
    }
    let (_, name, slot) = found.into_iter().min()?;
    if let Some((id, tries)) = name.strip_suffix(".conf").unwrap().split_once('+') {
        let (left, done) = tries.split_once('-').unwrap_or((tries, "0"));
        let (left, done): (u32, u32) = (left.parse().unwrap(), done.parse().unwrap());
        let next = format!("{id}+{}-{}.conf", left.saturating_sub(1), done + 1);
        fs::rename(esp.join("loader/entries").join(name), esp.join("loader/entries").join(next)).unwrap();
    }
    Some(slot)
}

/// `grub.cfg`, line by line.
fn grub(esp: &Path) -> Option<Slot> {
    let path = esp.join("grub/grubenv");
    let mut block = fs::read(&path).unwrap_or_default();
    let text = String::from_utf8_lossy(&block).into_owned();
    let mut variables = BTreeMap::from([("hull_trial", "-"), ("hull_left", "0"), ("hull_good", "a")]);
    if text.starts_with("# GRUB Environment Block\n") {
        variables.extend(text.lines().filter_map(|line| line.split_once('=')));
    }
    let good = if variables["hull_good"] == "b" { Slot::B } else { Slot::A };
    let (mut order, trial) = (vec![good, good.other()], Slot::from_letter(variables["hull_trial"]));
    let left: u8 = variables["hull_left"].parse().unwrap_or(0);
    let starts = |slot| ["boot.cfg", "vmlinuz", "initrd"].iter().all(|name| is_there(esp, slot, name));
    if let (Some(trial), 1..=9) = (trial.filter(|trial| *trial != good), left) {
        let at = text.find("hull_left=").unwrap() + "hull_left=".len();
        block[at] = if starts(trial) { b'0' + left - 1 } else { b'0' };
        fs::write(&path, block).unwrap();
        order = vec![trial, good];
    }
    order.into_iter().find(|slot| starts(*slot))
}

/// The machine after `kept` steps of a change, and in every way the step after them can be cut short.
pub(super) fn interrupted(machine: &Machine, change: &str, kept: usize) -> Vec<Machine> {
    let at = || {
        let cut = machine.copy();
        cut.carry_out(change, kept);
        cut
    };
    let mut all = vec![at()];
    match machine.steps(change).unwrap().into_iter().nth(kept).unwrap() {
        Step::Remove(_) => {}
        Step::Write(path, _) => {
            for content in ["", "half of"] {
                let cut = at();
                write(&cut, &path, content.as_bytes());
                all.push(cut);
            }
        }
        // vfat: the new name is there before the old one goes, and the disk may see either first
        Step::Rename(from, to) => {
            let both = at();
            fs::copy(both.esp().join(&from), both.esp().join(&to)).unwrap();
            all.push(both);
            let neither = at();
            fs::remove_file(neither.esp().join(&from)).unwrap();
            all.push(neither);
        }
        Step::Overwrite(path, new) => {
            let old = fs::read(at().esp().join(&path)).unwrap();
            assert_eq!(old.len(), new.len());
            let mut torn: Vec<Vec<u8>> = Vec::new();
            for border in 0..=new.len() {
                torn.push([&new[..border], &old[border..]].concat());
                torn.push([&old[..border], &new[border..]].concat());
            }
            torn.dedup();
            torn.sort();
            torn.dedup();
            for block in torn {
                let cut = at();
                write(&cut, &path, &block);
                all.push(cut);
            }
        }
    }
    all
}

fn write(machine: &Machine, path: &PathBuf, content: &[u8]) {
    let path = machine.esp().join(path);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, content).unwrap();
}
