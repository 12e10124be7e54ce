//! Carries `disk_setup` and `fs_setup` out. The console may write the owner's disks and none of the system's: the kernel
//! denies that one, whatever stands in the user data.
//!
//! ```text
//! device ─ alias ─ in use? ─ what does it hold? ─┬─ nothing ────────────────── written
//!                                                ├─ what is wanted ─────────── left as it is
//!                                                └─ something else ─┬─ overwrite: true ── written
//!                                                                   └─ ────────────────── left alone, and said
//! ```

mod content;
mod make;
mod pending;
mod table;

pub use pending::Pending;

use super::program;
use crate::report::{Messages, Place};
use crate::userdata::disks::{Aliases, Disk, FileSystem, Layout, Table};
use anyhow::{Context, ensure};
use content::Content;
use std::fs::{File, OpenOptions};
use std::io::{Seek, SeekFrom};
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

/// How long a partition of a new table may take to appear.
const APPEARS: Duration = Duration::from_secs(10);

/// What becomes of one entry.
#[derive(Debug, PartialEq, Eq)]
enum Outcome {
    /// Written, or already as it is wanted.
    Done,
    /// Something else is there.
    LeftAlone(String),
}

/// What the user data asks for.
#[derive(Debug, Clone, Copy)]
pub struct Entries<'c> {
    /// `disk_setup`.
    pub disks: &'c [Disk],
    /// `fs_setup`.
    pub file_systems: &'c [FileSystem],
    /// Other names of devices.
    pub aliases: &'c Aliases,
}

impl Entries<'_> {
    /// Names of all entries, for [`Pending`].
    pub fn names(&self) -> impl Iterator<Item = String> {
        let disks = self.disks.iter().map(|disk| name(DISK_SETUP, &disk.device));
        disks.chain(self.file_systems.iter().map(|wanted| name(&key(wanted), &wanted.device)))
    }
}

const DISK_SETUP: &str = "disk_setup";

fn key(wanted: &FileSystem) -> String {
    format!("fs_setup[{}]", wanted.index)
}

fn name(key: &str, device: &str) -> String {
    format!("{key} {device}")
}

/// Where entries are carried out.
#[derive(Debug, Clone, Copy)]
pub struct Setting<'p> {
    /// The `hull` command.
    pub program: &'p Path,
    /// How long all disks together may take to appear: udev may not have named them yet.
    pub appear: Duration,
}

/// Partitions disks, then makes file systems, those that are pending. Links that udev makes to partitions and labels follow a
/// moment later. Whether anything was done.
pub fn set_up(setting: Setting<'_>, entries: &Entries<'_>, pending: &mut Pending, messages: &mut Messages) -> bool {
    let end = Instant::now() + setting.appear;
    let mut work = Work { aliases: entries.aliases, end, pending, messages, any: false };
    // A disk that is attached much later under such a name is another one.
    let may_overwrite = work.pending.is_new();
    for disk in entries.disks {
        let disk = Disk { overwrite: disk.overwrite && may_overwrite, ..disk.clone() };
        work.entry(disk.place, DISK_SETUP, &disk.device, |path| partition(setting.program, &disk, path));
    }
    work.end = Instant::now() + setting.appear;
    for wanted in entries.file_systems {
        let wanted = FileSystem { overwrite: wanted.overwrite && may_overwrite, ..wanted.clone() };
        work.entry(wanted.place, &key(&wanted), &wanted.device, |path| make::file_system(&wanted, path));
    }
    work.any
}

/// Entries that are being carried out.
struct Work<'w> {
    aliases: &'w Aliases,
    end: Instant,
    pending: &'w mut Pending,
    messages: &'w mut Messages,
    any: bool,
}

impl Work<'_> {
    /// One entry, if it is pending; a failure costs this one, which stays so.
    fn entry(&mut self, place: Place, key: &str, name_of: &str, act: impl FnOnce(&Path) -> anyhow::Result<Outcome>) {
        let entry = name(key, name_of);
        if !self.pending.has(&entry) {
            return;
        }
        make::wait(&base(name_of, self.aliases), self.end);
        match act(&device(name_of, self.aliases)) {
            Ok(Outcome::Done) => self.any = true,
            Ok(Outcome::LeftAlone(what)) => {
                let remedy = if self.pending.is_new() {
                    "which overwrite: true would destroy"
                } else {
                    "which overwrite: true destroys at the first boot of an instance only"
                };
                let text = format!("{name_of}: left alone: it holds {what}, {remedy}");
                self.messages.warning(place, key, text);
            }
            Err(error) => {
                self.messages.error(place, key, format!("{name_of}: {error:#}; the next boot tries again"));
                return;
            }
        }
        self.pending.done(&entry);
    }
}

/// The path that an alias stands for; `alias.1` is its first partition.
pub fn device(name: &str, aliases: &Aliases) -> PathBuf {
    let base = base(name, aliases);
    match partition_of_alias(name, aliases) {
        // Partitions are named after the device itself, not after a link to it.
        Some((_, number)) => make::partition_of(&base.canonicalize().unwrap_or(base), number),
        None => base,
    }
}

/// The same without its partition.
fn base(name: &str, aliases: &Aliases) -> PathBuf {
    let alias = partition_of_alias(name, aliases).map_or(name, |(alias, _)| alias);
    aliases.get(alias).map_or_else(|| name.into(), PathBuf::from)
}

fn partition_of_alias<'n>(name: &'n str, aliases: &Aliases) -> Option<(&'n str, u32)> {
    let (alias, number) = name.rsplit_once('.').filter(|(alias, _)| aliases.contains_key(*alias))?;
    Some((alias, number.parse().ok()?))
}

fn partition(program: &Path, disk: &Disk, path: &Path) -> anyhow::Result<Outcome> {
    let path = &path.canonicalize().ok().context("there is no such device")?;
    let found = content::of(path)?;
    match (&disk.layout, &found) {
        (Layout::Bare, None) => return Ok(Outcome::Done),
        // The usual case of a disk that an earlier instance has set up.
        (Layout::Partitions(..), Some(Content { table: Some(_), .. })) if !disk.overwrite => return Ok(Outcome::Done),
        (_, Some(content)) if !disk.overwrite => return Ok(Outcome::LeftAlone(content.describe())),
        _ => {}
    }
    let (mut file, bytes) = open(path)?;
    table::wipe(&mut file, bytes).context("write")?;
    if let Layout::Partitions(kind, shares) = &disk.layout {
        // Only disks know their sectors.
        let sector = rustix::fs::ioctl_blksszget(&file).map_or(512, u64::from);
        table::write(&mut file, (sector, bytes), (*kind, shares), random)?;
        if *kind == Table::Gpt {
            file.sync_all().context("write")?;
            table::protect(&mut file, sector)?;
        }
    }
    file.sync_all().context("write")?;
    drop(file);
    let mut rescan = Command::new(program);
    program::run(rescan.arg("rescan").arg(path), Some(program::SHORT)).context("read the new table")?;
    Ok(Outcome::Done)
}

/// Opens a device for writing that nobody uses: open(2), `O_EXCL` of a block device.
fn open(path: &Path) -> anyhow::Result<(File, u64)> {
    let exclusive = i32::try_from(rustix::fs::OFlags::EXCL.bits()).context("open flags")?;
    let opened = OpenOptions::new().read(true).write(true).custom_flags(exclusive).open(path);
    let mut file = opened.map_err(refused)?;
    let kind = file.metadata()?.file_type();
    ensure!(kind.is_block_device() || kind.is_file(), "is no disk");
    let bytes = file.seek(SeekFrom::End(0))?;
    ensure!(bytes > 0, "is empty");
    Ok((file, bytes))
}

/// Why a device cannot be opened.
fn refused(error: std::io::Error) -> anyhow::Error {
    match error.kind() {
        std::io::ErrorKind::PermissionDenied => anyhow::anyhow!("may not be written: the system is on this disk"),
        std::io::ErrorKind::ResourceBusy => anyhow::anyhow!("is in use"),
        _ => error.into(),
    }
}

fn random() -> anyhow::Result<[u8; 16]> {
    let mut bytes = [0; 16];
    std::io::Read::read_exact(&mut File::open("/dev/urandom")?, &mut bytes).context("read random numbers")?;
    // A GUID of version 4 (RFC 9562), as it stands on disk.
    bytes[7] = bytes[7] & 0x0f | 0x40;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    Ok(bytes)
}

#[cfg(test)]
mod tests;
