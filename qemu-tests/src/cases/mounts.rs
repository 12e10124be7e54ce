//! A disk of the owner's: partitioned, formatted, mounted for console and engine, unmounted; and what is refused. The
//! console does it by the system daemon, for it may mount nothing itself.

use crate::guest::{DATA_DISK, Guest};
use crate::report::Report;
use anyhow::{Context, Result, ensure};
use serde_json::Value;

/// One partition of 16 MiB from 1 MiB on, type Linux: an entry of a DOS table, and the table's signature.
const TABLE: [(u32, &str); 2] =
    [(446, r"\000\000\000\000\203\000\000\000\000\010\000\000\000\200\000\000"), (510, r"\125\252")];

/// Runs the cases; the engine has an image `box`.
pub fn run(guest: &mut Guest, report: &mut Report) {
    if report.case("a_changed_partition_table_is_read_again", || partition(guest)) {
        report.case("a_blank_disk_is_formatted_mounted_and_unmounted", || disk(guest));
    }
    report.case("a_bind_mount_is_read_only_when_it_says_so", || {
        let text = guest.root(
            "mkdir -p /srv/from /mnt/to && mount --bind -r /srv/from /mnt/to && touch /mnt/to/f 2>&1; umount /mnt/to",
        )?;
        ensure!(text.contains("Read-only file system"), "{text}");
        Ok(())
    });
    report.case("swap_is_started_and_stopped", || {
        let text = guest.root(
            "dd if=/dev/zero of=/srv/swap bs=1M count=16 2>/dev/null && chmod 600 /srv/swap && mkswap /srv/swap >/dev/null && \
             swapon /srv/swap && swapon && swapoff /srv/swap && rm /srv/swap && echo stopped && cat /proc/swaps",
        )?;
        let (before, after) = text.split_once("stopped\n").with_context(|| text.clone())?;
        ensure!(before.contains("/srv/swap") && !after.contains("/srv/swap"), "{text}");
        Ok(())
    });
    report.case("the_system_disk_is_neither_mounted_nor_rescanned", || system_disk(guest));
    report.case("mounts_over_the_system_are_refused", || {
        guest.root("ln -sfn /etc /mnt/link && mkdir -p /mnt/x")?;
        for (target, reason) in [
            ("/etc", "mounts are made"),
            ("/proc", "mounts are made"),
            ("/usr/bin", "mounts are made"),
            // The command follows it first, as mount(8) does.
            ("/mnt/link", "/etc: mounts are made"),
            ("/mnt/none", "does not exist"),
        ] {
            refused(guest, &format!("mount -t tmpfs tmpfs {target}"), reason)?;
        }
        refused(guest, "mount -t proc proc /mnt/x", "type proc")?;
        refused(guest, "mount -a", "no fstab")?;
        let text = guest.ssh("mount -t tmpfs tmpfs /mnt/x 2>&1; true")?;
        ensure!(text.contains("use sudo"), "{text}");
        Ok(())
    });
}

fn partition(guest: &mut Guest) -> Result<()> {
    guest.retry(15, &format!("test -b {DATA_DISK}"))?;
    let write = |(offset, bytes): (u32, &str)| {
        format!("printf \"{bytes}\" | dd of={DATA_DISK} bs=1 seek={offset} conv=notrunc 2>/dev/null")
    };
    guest.root(&format!("{} && partprobe {DATA_DISK}", TABLE.map(write).join(" && ")))?;
    guest.retry(15, &format!("test -b {DATA_DISK}-part1")).map(drop)
}

fn disk(guest: &mut Guest) -> Result<()> {
    guest.root(&format!("mkfs.ext4 -q -L hulldata {DATA_DISK}-part1 && mkdir -p /mnt/disk"))?;
    // The link by label follows a moment later.
    guest.retry(15, "sudo mount LABEL=hulldata /mnt/disk")?;
    let text =
        guest.root("echo disk > /mnt/disk/f && mount -t ext4 && docker run --rm -v /mnt/disk:/v box cat /v/f")?;
    ensure!(text.contains(" on /mnt/disk type ext4 (rw") && text.ends_with("disk\n"), "{text}");
    // The application that starts while it is mounted read-only, by a change made after the engine saw it.
    let text = guest.root(
        "mount -o remount,ro /mnt/disk && docker run --rm -v /mnt/disk:/v box sh -c \"touch /v/g\" 2>&1; mount -o remount,rw /mnt/disk",
    )?;
    ensure!(text.contains("Read-only file system"), "{text}");
    let text = guest.root("umount /mnt/disk && docker run --rm -v /mnt/disk:/v box ls /v && mount -t ext4")?;
    ensure!(!text.contains("lost+found") && !text.contains("/mnt/disk"), "{text}");
    refused(guest, "umount /mnt/disk", "nothing is mounted there")
}

fn system_disk(guest: &mut Guest) -> Result<()> {
    let boot: Value = serde_json::from_str(&guest.host("cat /run/hull/boot.json")?)?;
    let disk = boot["system_disk"].as_str().context("no system disk in the boot report")?.to_owned();
    guest.root("mkdir -p /mnt/x")?;
    let reason = "is, or is a part of, the system disk";
    for source in [format!("{disk}2"), disk.clone(), "LABEL=HULL_STATE".into()] {
        refused(guest, &format!("mount {source} /mnt/x"), reason)?;
    }
    refused(guest, &format!("swapon {disk}2"), reason)?;
    refused(guest, &format!("partprobe {disk}"), reason)
}

/// Root's command fails and says why.
fn refused(guest: &Guest, command: &str, reason: &str) -> Result<()> {
    let text = guest.root(&format!("{command} 2>&1 && echo done; true"))?;
    ensure!(text.contains(reason) && !text.contains("done\n"), "{command}: {text}");
    Ok(())
}
