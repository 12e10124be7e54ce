//! `GET /containers/{id}/top`: processes of a service, as `ps -ef` shows them.

use super::containers;
use super::error::ApiError;
use super::model::ContainerTopResponse;
use super::query::Query;
use crate::blocking::blocking;
use crate::clock::{WallTime, boot_micros};
use crate::lifecycle::System;
use hull_runtime::cgroup;
use std::fs;
use std::io;
use std::path::Path;

const TITLES: [&str; 8] = ["UID", "PID", "PPID", "C", "STIME", "TTY", "TIME", "CMD"];
/// `USER_HZ`, the unit of times in `/proc/<pid>/stat`, is 100 on every Linux.
const TICKS: u64 = 100;
const DAY: i64 = 86_400;

/// Everything in the service's cgroup, by process id.
pub async fn top(system: &System, id: &str, query: &Query) -> Result<ContainerTopResponse, ApiError> {
    let name = containers::find(system, id)?;
    if !matches!(query.get("ps_args"), None | Some("-ef")) {
        return Err(ApiError::unsupported("a format of top other than -ef"));
    }
    if system.with(&name, |unit| unit.init()).flatten().is_none() {
        return Err(ApiError::conflict(format!("Container {name} is not running")));
    }
    let group = system.paths.cgroup.join(&name);
    // On a thread: reading the command line of a process that hangs in the kernel may hang as well.
    let processes = blocking("top", move || rows(&group)).await.and_then(|rows| rows);
    let processes = processes.map_err(|error| ApiError::internal(error.to_string()))?;
    Ok(ContainerTopResponse {
        titles: Some(TITLES.map(str::to_owned).into()),
        processes: Some(processes.into_iter().map(Vec::from).collect()),
    })
}

fn rows(group: &Path) -> io::Result<Vec<[String; 8]>> {
    let pids = cgroup::pids(group).map_err(io::Error::other)?;
    let mut pids: Vec<i32> = pids.into_iter().map(|pid| pid.as_raw_nonzero().get()).collect();
    pids.sort_unstable();
    let now = (WallTime::now().seconds, boot_micros() / 1_000_000);
    // One that ended meanwhile is left out.
    Ok(pids.into_iter().filter_map(|pid| row(&Files::read(pid)?, now)).collect())
}

/// What `/proc` says about a process.
struct Files {
    stat: String,
    status: String,
    command_line: Vec<u8>,
}

impl Files {
    fn read(pid: i32) -> Option<Self> {
        let path = |file: &str| format!("/proc/{pid}/{file}");
        Some(Self {
            stat: fs::read_to_string(path("stat")).ok()?,
            status: fs::read_to_string(path("status")).ok()?,
            command_line: fs::read(path("cmdline")).ok()?,
        })
    }
}

/// proc_pid_stat(5); `now` in seconds since 1970 and since boot.
fn row(files: &Files, (wall, uptime): (i64, u64)) -> Option<[String; 8]> {
    let (before, after) = files.stat.rsplit_once(')')?;
    let (pid, name) = before.split_once(" (")?;
    let fields: Vec<&str> = after.split_whitespace().collect();
    let number = |index: usize| fields.get(index)?.parse::<u64>().ok();
    let seconds = (number(11)? + number(12)?) / TICKS;
    let age = uptime.saturating_sub(number(19)? / TICKS);
    let uid = files.status.lines().find_map(|line| line.strip_prefix("Uid:")?.split_whitespace().next())?;
    let text = String::from_utf8_lossy(&files.command_line).trim_end_matches('\0').replace('\0', " ");
    Some([
        if uid == "0" { "root".into() } else { uid.into() },
        pid.into(),
        fields.get(1)?.to_string(),
        (seconds * 100).checked_div(age).unwrap_or(0).to_string(),
        start(wall - i64::try_from(age).ok()?, wall),
        terminal(number(4)?),
        format!("{:02}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60),
        if text.is_empty() { format!("[{name}]") } else { text },
    ])
}

/// Time of day for what started within a day, else the date.
fn start(time: i64, now: i64) -> String {
    let text = WallTime { seconds: time, nanoseconds: 0 }.rfc3339();
    if now - time < DAY { text[11..16].to_owned() } else { text[..10].to_owned() }
}

/// Device numbers of unix98 terminals are 136:0 to 143:255, of serial ones 4:64 and up.
fn terminal(number: u64) -> String {
    let (major, minor) = (number >> 8 & 0xfff, number & 0xff | number >> 12 & 0xfff00);
    match major {
        4 if minor < 64 => format!("tty{minor}"),
        4 => format!("ttyS{}", minor - 64),
        136..=143 => format!("pts/{}", (major - 136) * 256 + minor),
        _ => "?".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_like_ps() {
        let files = Files {
            stat: "42 (a ) b) S 7 1 1 34816 0 0 0 0 0 0 150 50 0 0 20 0 1 0 9000 0 0".into(),
            status: "Name:\tx\nUid:\t101\t0\t0\t0\n".into(),
            command_line: b"/bin/x\0-v\0".into(),
        };
        let row = row(&files, (86_400 * 3 + 3600, 190)).unwrap();
        assert_eq!(row, ["101", "42", "7", "2", "00:58", "pts/0", "00:00:02", "/bin/x -v"]);
    }

    #[test]
    fn terminals() {
        for (number, name) in [(0, "?"), (4 << 8 | 1, "tty1"), (4 << 8 | 64, "ttyS0"), (136 << 8 | 3, "pts/3")] {
            assert_eq!(terminal(number), name);
        }
    }
}
