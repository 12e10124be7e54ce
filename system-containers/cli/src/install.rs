//! `hull install`: a live system written to a disk. Nothing is written before its owner named the disk twice, or said `--yes`.

use crate::arguments::install::Install;
use crate::client::Client;
use crate::progress::{clean, follow};
use anyhow::{Context, Result, bail, ensure};
use serde::Deserialize;
use serde_json::json;
use std::fmt::Write as _;
use std::io::{BufRead, IsTerminal, Write, stderr, stdin};
use std::path::Path;
use std::process::{Command, ExitCode};

/// Bytes of user data that a request takes.
const USER_DATA_MAX: usize = 120 << 10;

/// A line of `GET /hull/install`.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Disk {
    path: String,
    bytes: u64,
    model: String,
    removable: bool,
    partitions: u64,
    in_use: bool,
}

pub(crate) fn run(client: &Client, verb: &Install) -> Result<ExitCode> {
    let answer = client.get("/hull/install")?;
    match verb {
        Install::List { json: true } => crate::print(&crate::pretty(&answer)?)?,
        Install::List { json: false } => crate::print(&table(&disks(answer)?))?,
        Install::Write { disk, user_data, yes } => {
            let disks = disks(answer)?;
            let found = disks.iter().find(|found| found.path == *disk);
            write(client, (disk, found), user_data.as_deref(), *yes)?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn disks(answer: serde_json::Value) -> Result<Vec<Disk>> {
    serde_json::from_value(answer).context("the answer to /hull/install has another shape: client and daemon differ?")
}

fn write(client: &Client, (disk, found): (&str, Option<&Disk>), user_data: Option<&Path>, yes: bool) -> Result<()> {
    let text = user_data.map(read).transpose()?;
    if !yes {
        let what = found.map(|disk| format!(" ({})", describe(disk))).unwrap_or_default();
        ensure!(stdin().is_terminal(), "everything on {disk}{what} is lost: --yes says that this is meant");
        write!(stderr(), "Everything on {disk}{what} is lost. Its name again, to go on: ")?;
        let mut answer = String::new();
        stdin().lock().read_line(&mut answer).context("cannot read the answer")?;
        if answer.trim() != disk {
            bail!("that is not {disk}: nothing was written");
        }
    }
    if text.is_none() {
        writeln!(
            stderr(),
            "no --user-data: at its first boot the machine looks for a medium labelled cidata or its cloud, and without one \
             nobody can log in"
        )?;
    }
    follow(client, "/hull/install", &json!({ "disk": disk, "user_data": text }), "hull logs install")?;
    crate::print("take the medium out, or put the disk before it, and: hull reboot\n")
}

/// Reads user data that the machine would take.
fn read(file: &Path) -> Result<String> {
    let name = file.display();
    let bytes = std::fs::read(file).with_context(|| name.to_string())?;
    ensure!(
        bytes.len() <= USER_DATA_MAX,
        "{name}: longer than {USER_DATA_MAX} bytes; put it on a medium labelled cidata instead, or have it include a URL"
    );
    let text = String::from_utf8(bytes).ok().with_context(|| format!("{name}: it is no text; unpack it first"))?;
    let program = crate::config_program();
    let mut validate = Command::new(&program);
    let status = validate.args(["config", "validate"]).arg(file).status();
    let status = status.with_context(|| format!("start {}, which knows user data", program.display()))?;
    ensure!(status.success(), "{name} is not what the machine should start with: nothing was written");
    Ok(text)
}

fn describe(disk: &Disk) -> String {
    let mut words = vec![size(disk.bytes)];
    words.extend(Some(clean(&disk.model)).filter(|model| !model.is_empty()));
    words.push(partitions(disk));
    words.join(", ")
}

fn partitions(disk: &Disk) -> String {
    match disk.partitions {
        0 => "no partitions".into(),
        1 => "1 partition".into(),
        many => format!("{many} partitions"),
    }
}

/// As on the label of a disk: powers of 1000.
fn size(bytes: u64) -> String {
    match bytes {
        0..1_000_000_000_000 => format!("{:.1} GB", bytes as f64 / 1e9),
        _ => format!("{:.1} TB", bytes as f64 / 1e12),
    }
}

fn table(disks: &[Disk]) -> String {
    if disks.is_empty() {
        return "no disk that can be written and is large enough (3.8 GB); dmesg shows what was found\n".into();
    }
    let mut text = format!("{:<16} {:>9}  {:<28} NOW\n", "DISK", "SIZE", "MODEL");
    for disk in disks {
        let mut now = vec![partitions(disk)];
        now.extend(disk.removable.then(|| "removable".into()));
        now.extend(disk.in_use.then(|| "in use".into()));
        // Writing to a string cannot fail.
        writeln!(text, "{:<16} {:>9}  {:<28} {}", disk.path, size(disk.bytes), clean(&disk.model), now.join(", ")).ok();
    }
    text + "\nhull install DISK --user-data FILE writes this system to one of them\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list() {
        let disks = disks(json!([
            { "path": "/dev/nvme0n1", "bytes": 1_000_204_886_016_u64, "model": "A\u{1b}[2J", "partitions": 3, "in_use": true },
            { "path": "/dev/sda", "bytes": 8_589_934_592_u64, "model": "", "removable": true },
        ]));
        let disks = disks.unwrap();
        let text = table(&disks);
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(lines[0], "DISK                  SIZE  MODEL                        NOW");
        assert_eq!(lines[1], "/dev/nvme0n1        1.0 TB  A [2J                        3 partitions, in use");
        assert_eq!(lines[2], "/dev/sda            8.6 GB                               no partitions, removable");
        assert_eq!(describe(&disks[0]), "1.0 TB, A [2J, 3 partitions");
        assert!(table(&[]).contains("no disk"));
    }
}
