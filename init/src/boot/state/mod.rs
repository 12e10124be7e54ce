//! The state partition: create it at first boot, check it at every boot, grow it with the disk, mount it on `/state`; or go
//! on with a tmpfs and the reason why.
//!
//! Every step may be cut off by a power failure and is taken up at the next boot: the table is written before the file
//! system is made, the mark that it is complete comes after, and growing compares sizes instead of remembering.

mod content;
mod plan;
mod tool;

use super::disk::{Disk, Partition};
use super::table::TableError;
use crate::console::Messages;
use content::{Action, Content};
use plan::{Change, GROWTH_MINIMUM_BYTES, Plan, PlanError};
use rustix::fs::ext4_ioc_resize_fs;
use rustix::io::Errno;
use rustix::mount::{MountFlags, mount};
use serde::Serialize;
use std::fs::File;
use std::io::Read;
use std::path::Path;
use thiserror::Error;

/// Where it is mounted.
pub(crate) const STATE: &str = "/state";
/// Journal errors must not turn into silent damage; access times would wake the disk.
const EXT4_OPTIONS: &std::ffi::CStr = c"errors=remount-ro";
const TMPFS_OPTIONS: &std::ffi::CStr = c"mode=0755";
const MKE2FS: &str = "/usr/sbin/mke2fs";
const E2FSCK: &str = "/usr/sbin/e2fsck";
const START_OVER: &str = "To lose what it holds and start with an empty one, boot once with hull.state=format";
const TOOL_LOG: &str = "/run/hull/e2fsprogs.log";

/// What `/state` is, as boot.json tells it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct State {
    pub(crate) kind: Kind,
    pub(crate) device: Option<String>,
    /// The file system was made in this boot.
    pub(crate) first_boot: bool,
    /// How much the file system grew in this boot.
    pub(crate) grown_bytes: u64,
    /// Why it is a tmpfs.
    pub(crate) reason: Option<String>,
}

/// What `/state` is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Kind {
    Disk,
    Tmpfs,
}

/// Why there is no state partition to use; all of them degrade the boot to a tmpfs.
#[derive(Debug, Error)]
pub(crate) enum StateError {
    #[error("/dev/{disk}: {source}")]
    Table { disk: String, source: TableError },
    #[error("/dev/{disk}: {source}")]
    Plan { disk: String, source: PlanError },
    #[error("/dev/{disk} is read-only")]
    ReadOnly { disk: String },
    #[error("/dev/{disk}: the kernel does not take partition {number}: {errno}")]
    Kernel { disk: String, number: u32, errno: Errno },
    #[error("/dev/{disk} has no device for partition {number}")]
    NoDevice { disk: String, number: u32 },
    #[error("cannot read {device}: {source}")]
    Read { device: String, source: std::io::Error },
    #[error("{device} carries {what}; nothing was written to it. {START_OVER}")]
    Foreign { device: String, what: &'static str },
    #[error("cannot run {tool}: {source}")]
    Tool { tool: &'static str, source: std::io::Error },
    #[error("cannot make a file system on {device}: {said}")]
    Format { device: String, said: String },
    #[error("the file system on {device} is damaged beyond what e2fsck repairs: {said}. {START_OVER}")]
    Damaged { device: String, said: String },
    #[error("cannot mount {device}: {errno}")]
    Mount { device: String, errno: Errno },
}

/// The running root slot, beside which the state partition belongs.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Slot<'a> {
    pub(crate) disk: &'a Disk,
    /// Its number in the partition table.
    pub(crate) number: u32,
    /// `hull.state=format`: a state partition that cannot be used may be formatted, whatever it holds.
    pub(crate) start_over: bool,
}

/// Mounts `/state` from the disk or says in the result why it is a tmpfs. `tick` is called while slow tools run.
pub(crate) fn prepare(slot: Slot<'_>, messages: &mut Messages, tick: &mut dyn FnMut()) -> State {
    match on_disk(slot, messages, tick) {
        Ok(state) => state,
        Err(error) => {
            messages.error(format!("no state partition, everything is forgotten at power off: {error}"));
            tmpfs(error.to_string(), messages)
        }
    }
}

/// Mounts a tmpfs on `/state`.
pub(crate) fn tmpfs(reason: String, messages: &mut Messages) -> State {
    if let Err(errno) = mount("tmpfs", STATE, "tmpfs", MountFlags::NOSUID | MountFlags::NODEV, TMPFS_OPTIONS) {
        messages.error(format!("cannot mount a tmpfs on {STATE}: {errno}"));
    }
    State { kind: Kind::Tmpfs, device: None, first_boot: false, grown_bytes: 0, reason: Some(reason) }
}

fn on_disk(slot: Slot<'_>, messages: &mut Messages, tick: &mut dyn FnMut()) -> Result<State, StateError> {
    let Slot { disk, number: root, start_over } = slot;
    let name = || disk.0.clone();
    if disk.is_read_only() {
        return Err(StateError::ReadOnly { disk: name() });
    }
    let table_error = |source| StateError::Table { disk: name(), source };
    let (mut file, sector_size, sectors) = disk.open(true).map_err(|source| table_error(source.into()))?;
    let table = super::table::Table::read(&mut file, sector_size, sectors).map_err(table_error)?;
    let mut plan =
        plan::plan(&table, sectors, root, random_guid).map_err(|source| StateError::Plan { disk: name(), source })?;
    if plan.slot_missing {
        messages.warning(format!("/dev/{} has no room for a second slot: updates are not possible", disk.0));
    }
    if plan.write {
        write(&mut plan, &mut file).map_err(table_error)?;
        for change in &plan.changes {
            tell_kernel(disk, &file, change)?;
        }
    }
    let partition =
        disk.partition(plan.state).ok_or_else(|| StateError::NoDevice { disk: name(), number: plan.state })?;
    let device = partition.device();

    let (mut content, completed) = (examine(&device)?, plan.is_completed());
    let mut first_boot = false;
    match content::decide(content, completed, start_over) {
        Action::Refuse(what) => return Err(StateError::Foreign { device, what }),
        Action::Format => first_boot = true,
        Action::Check { format_if_broken } => match check(&device, messages, tick) {
            Err(StateError::Damaged { .. }) if format_if_broken => first_boot = true,
            other => other?,
        },
    }
    if first_boot {
        format(&device, tick)?;
        content = examine(&device)?;
    } else if !completed && matches!(content, Content::Ours { unused: true, .. }) {
        // Power failed between mke2fs and the mark.
        first_boot = true;
    } else if !completed {
        messages.info(format!("{device}: the file system of an earlier installation is kept"));
    }
    if !completed {
        plan.set_completed();
        write(&mut plan, &mut file).map_err(table_error)?;
    }
    mount(&*device, STATE, "ext4", MountFlags::NOATIME, EXT4_OPTIONS)
        .map_err(|errno| StateError::Mount { device: device.clone(), errno })?;
    let grown_bytes = grow(&partition, content, messages);
    Ok(State { kind: Kind::Disk, device: Some(device), first_boot, grown_bytes, reason: None })
}

fn write(plan: &mut Plan, disk: &mut File) -> Result<(), TableError> {
    plan.table.write(disk, |disk| disk.sync_all())
}

fn tell_kernel(disk: &Disk, file: &File, change: &Change) -> Result<(), StateError> {
    let (number, result) = match *change {
        Change::Add { number, start, length } => (number, hull_sys::blkpg::add(file, number, start, length)),
        Change::Resize { number, start, length } => (number, hull_sys::blkpg::resize(file, number, start, length)),
    };
    result.map_err(|errno| StateError::Kernel { disk: disk.0.clone(), number, errno })
}

/// Version 4 GUID in the order of its bytes on disk. The kernel's generator is seeded before PID 1 needs it.
fn random_guid() -> [u8; 16] {
    let mut bytes = crate::boot::identity::random();
    bytes[7] = bytes[7] & 0x0f | 0x40;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    bytes
}

fn examine(device: &str) -> Result<Content, StateError> {
    let mut head = Vec::with_capacity(content::HEAD_BYTES);
    File::open(device)
        .and_then(|file| file.take(content::HEAD_BYTES as u64).read_to_end(&mut head))
        .map_err(|source| StateError::Read { device: device.to_owned(), source })?;
    Ok(content::examine(&head))
}

fn format(device: &str, tick: &mut dyn FnMut()) -> Result<(), StateError> {
    log::info!("making the state file system on {device}");
    // Lazy: inode tables and journal are zeroed by the kernel later, in the background. 1 % reserve, for root only.
    let features = "lazy_itable_init=1,lazy_journal_init=1,discard";
    let arguments = ["-q", "-F", "-t", "ext4", "-b", "4096", "-m", "1", "-O", "metadata_csum,64bit", "-E", features];
    let arguments = [&arguments[..], &["-L", content::LABEL, device]].concat();
    let outcome = run(MKE2FS, &arguments, tick)?;
    if outcome.code != Some(0) {
        return Err(StateError::Format { device: device.to_owned(), said: outcome.said });
    }
    // The mark that it is complete must not reach the disk before it is.
    File::open(device)
        .and_then(|file| file.sync_all())
        .map_err(|source| StateError::Format { device: device.to_owned(), said: source.to_string() })
}

/// Preen; when that is not enough, repair everything. Exit codes of e2fsck(8): up to 2 the file system is sound.
fn check(device: &str, messages: &mut Messages, tick: &mut dyn FnMut()) -> Result<(), StateError> {
    let preened = run(E2FSCK, &["-p", device], tick)?;
    match preened.code {
        Some(0) => return Ok(()),
        Some(1 | 2) => {
            messages.info(format!("{device}: {}", preened.said));
            return Ok(());
        }
        _ => messages.warning(format!("{device}: the file system is damaged, repairing: {}", preened.said)),
    }
    let repaired = run(E2FSCK, &["-y", device], tick)?;
    if !matches!(repaired.code, Some(0..=2)) {
        return Err(StateError::Damaged { device: device.to_owned(), said: repaired.said });
    }
    messages.warning(format!("{device}: repaired; files that lost their name are in {STATE}/lost+found"));
    Ok(())
}

fn run(tool: &'static str, arguments: &[&str], tick: &mut dyn FnMut()) -> Result<tool::Outcome, StateError> {
    tool::run(tool, arguments, Path::new(TOOL_LOG), tick).map_err(|source| StateError::Tool { tool, source })
}

/// Grows the mounted file system to its partition; failing is no reason to go without it.
fn grow(partition: &Partition, content: Content, messages: &mut Messages) -> u64 {
    let Content::Ours { bytes, block_bytes, .. } = content else { return 0 };
    let added = partition.bytes.saturating_sub(bytes);
    if added < GROWTH_MINIMUM_BYTES {
        return 0;
    }
    let resized = File::open(STATE)
        .map_err(|error| Errno::from_io_error(&error).unwrap_or(Errno::IO))
        .and_then(|root| ext4_ioc_resize_fs(&root, partition.bytes / block_bytes.max(1)));
    match resized {
        Ok(()) => {
            messages.info(format!("{}: the state file system grew by {} MiB", partition.device(), added >> 20));
            added
        }
        Err(errno) => {
            messages.warning(format!("{}: cannot grow the state file system: {errno}", partition.device()));
            0
        }
    }
}
