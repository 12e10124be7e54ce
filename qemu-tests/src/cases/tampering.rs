//! One flipped bit in the root partition is detected and named.

use crate::guest::{Boot, Guest, Site};
use crate::report::Report;
use crate::seed::run as command;
use anyhow::{Context, Result, ensure};
use std::os::unix::fs::FileExt;
use std::process::Command;

/// Runs the scenario.
pub fn run(site: &Site, report: &mut Report) {
    report.case("a_flipped_byte_in_the_superblock_stops_the_boot_with_a_message", || {
        let mut guest = Guest::prepare(site, "superblock", &Boot::default())?;
        // erofs has its superblock at byte 1024.
        flip(&guest, 1024 + 8)?;
        guest.start()?;
        guest.wait_console("do not match the root hash", 30)?;
        guest.wait_console("the boot stops here", 10)
    });
    report.case("a_flipped_byte_in_a_file_is_detected_and_named", || {
        let mut guest = Guest::prepare(site, "file", &Boot::default())?;
        flip(&guest, middle(site, &guest)?)?;
        guest.start()?;
        // Whatever the byte belongs to may not start; the login does.
        guest.wait_console("hull login:", 60)?;
        // Reads every file, so that whatever the byte belongs to is met.
        guest.host_within("find /usr /services -xdev -type f -exec cat {} + > /dev/null 2>&1 || true", 60)?;
        guest.wait_console("is corrupted", 5)?;
        let status = guest.hull("status")?;
        ensure!(status.to_lowercase().contains("corrupt"), "hull status: {status}");
        Ok(())
    });
}

/// Flips one bit at `offset` of the root partition of a VM that is off.
fn flip(guest: &Guest, offset: u64) -> Result<()> {
    let disk = guest.disk();
    let start = root_start(guest)?;
    let io =
        |command_line: String| command(Command::new("qemu-io").args(["-f", "qcow2", "-c", &command_line]).arg(disk));
    let text = io(format!("read -v {} 1", start + offset))?;
    let byte = text
        .lines()
        .find_map(|line| line.split_once(": ")?.1.split_whitespace().next().map(str::to_owned))
        .context("qemu-io printed no byte")?;
    let byte = u8::from_str_radix(&byte, 16).with_context(|| text.clone())?;
    io(format!("write -P {} {} 1", byte ^ 1, start + offset)).map(drop)
}

fn root_start(guest: &Guest) -> Result<u64> {
    let backing = command(Command::new("qemu-img").args(["info", "--output=json"]).arg(guest.disk()))?;
    let info: serde_json::Value = serde_json::from_str(&backing)?;
    let image = info["backing-filename"].as_str().context("no backing file")?;
    let table: serde_json::Value = serde_json::from_str(&command(Command::new("sfdisk").arg("--json").arg(image))?)?;
    let partitions = table["partitiontable"]["partitions"].as_array().context("no partitions")?;
    let root = partitions.iter().find(|partition| partition["name"] == "root-a").context("no root-a")?;
    Ok(root["start"].as_u64().context("start")? * 512)
}

/// Offset of the middle of the root file system: file content.
fn middle(site: &Site, guest: &Guest) -> Result<u64> {
    /// Block count in the erofs superblock (struct erofs_super_block, `blocks`), which begins at byte 1024.
    const BLOCKS: u64 = 1024 + 36;
    let mut count = [0; 4];
    std::fs::File::open(&site.image)?.read_exact_at(&mut count, root_start(guest)? + BLOCKS)?;
    Ok(u64::from(u32::from_le_bytes(count)) / 2 * 4096)
}
