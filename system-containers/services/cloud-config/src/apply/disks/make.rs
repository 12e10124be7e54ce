//! Makes file systems.

use super::content::{self, Content};
use super::{APPEARS, Outcome, open};
use crate::apply::program;
use crate::userdata::disks::{FileSystem, Target};
use anyhow::{Context, ensure};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

/// For one file system: the login waits for it, and large disks discard all their blocks first.
const LIMIT: Duration = Duration::from_secs(300);
/// Between two looks at a device that is not there.
const INTERVAL: Duration = Duration::from_millis(100);

/// Makes one, unless it is there.
pub(super) fn file_system(wanted: &FileSystem, device: &Path) -> anyhow::Result<Outcome> {
    let device = device.canonicalize().ok().context("there is no such device")?;
    let path = match wanted.target {
        Target::Device => device,
        Target::Partition(number) => appeared(partition_of(&device, number))?,
        Target::First => match content::of(&device)? {
            Some(Content { table: Some(_), .. }) => appeared(partition_of(&device, 1))?,
            _ => device,
        },
    };
    if let Some(found) = content::of(&path)? {
        let same_label = wanted.label.is_none() || wanted.label == found.label;
        if found.kind.as_deref() == Some(&wanted.kind) && same_label && !wanted.overwrite {
            return Ok(Outcome::Done);
        }
        let replaced = wanted.replace.is_some() && wanted.replace == found.kind && found.table.is_none();
        if !wanted.overwrite && !replaced {
            return Ok(Outcome::LeftAlone(found.describe()));
        }
    }
    // Only to see that it may be written and that nobody uses it.
    drop(open(&path)?);
    program::run(&mut command(wanted, &path)?, Some(LIMIT))?;
    // Not every tool does it, and the entry counts as done from here on.
    File::open(&path)?.sync_all()?;
    Ok(Outcome::Done)
}

fn command(wanted: &FileSystem, path: &Path) -> anyhow::Result<Command> {
    let (program, arguments, label): (&str, &[&str], &str) = match wanted.kind.as_str() {
        "vfat" => ("mkdosfs", &[], "-n"),
        "swap" => ("mkswap", &[], "-L"),
        kind => ("mke2fs", &["-q", "-F", "-t", kind], "-L"),
    };
    ensure!(program == "mke2fs" || wanted.options.is_empty(), "extra_opts are for ext2, ext3 and ext4");
    let mut command = Command::new(program);
    command.args(arguments).args(&wanted.options);
    if let Some(text) = &wanted.label {
        command.arg(label).arg(text);
    }
    command.arg(path);
    Ok(command)
}

/// `/dev/vdb` and 1: `/dev/vdb1`; `/dev/nvme0n1` and 1: `/dev/nvme0n1p1`.
pub(super) fn partition_of(device: &Path, number: u32) -> PathBuf {
    let name = device.to_string_lossy();
    let infix = if name.ends_with(|last: char| last.is_ascii_digit()) { "p" } else { "" };
    format!("{name}{infix}{number}").into()
}

/// Waits until a device is there, or until `end`.
pub(super) fn wait(path: &Path, end: Instant) {
    while !path.exists() && Instant::now() < end {
        std::thread::sleep(INTERVAL);
    }
}

fn appeared(path: PathBuf) -> anyhow::Result<PathBuf> {
    wait(&path, Instant::now() + APPEARS);
    ensure!(path.exists(), "there is no partition {}", path.display());
    Ok(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn partitions_are_named_by_the_kernel() {
        for (device, expected) in
            [("/dev/vdb", "/dev/vdb2"), ("/dev/nvme0n1", "/dev/nvme0n1p2"), ("/dev/loop0", "/dev/loop0p2")]
        {
            assert_eq!(partition_of(Path::new(device), 2), Path::new(expected));
        }
    }
}
