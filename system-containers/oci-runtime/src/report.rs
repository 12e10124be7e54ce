//! state, list, ps and events: what the store, the cgroup and `/proc` know.

use crate::cli::Format;
use crate::status::Status;
use crate::store::{Record, Store};
use anyhow::{Result, ensure};
use hull_runtime::cgroup::{self, Stats};
use serde_json::{Value, json};
use std::fs;
use std::io::{self, Write};

/// Prints the specification's state with what runc adds to it.
pub(crate) fn state(store: &Store, id: &str) -> Result<()> {
    let record = store.load(id)?;
    let mut full = entry(store, &record);
    if full["status"] == Status::Stopped.word() {
        // Engines read the number without asking whether it is there.
        full["pid"] = json!(0);
    }
    print(&serde_json::to_string_pretty(&full)?)
}

fn entry(store: &Store, record: &Record) -> Value {
    let mut state = record.state(store.status(record));
    state["rootfs"] = json!(record.rootfs);
    state["created"] = json!(record.created);
    // Containers are made by root alone.
    state["owner"] = json!("root");
    state
}

/// Prints all containers.
pub(crate) fn list(store: &Store, format: Format, quiet: bool) -> Result<()> {
    let all = store.all()?;
    if quiet {
        let names: Vec<&str> = all.iter().map(|record| record.id.as_str()).collect();
        return print_lines(&names);
    }
    let entries: Vec<Value> = all.iter().map(|record| entry(store, record)).collect();
    if format == Format::Json {
        return print(&serde_json::to_string(&entries)?);
    }
    let text = |entry: &Value, key: &str| entry[key].as_str().unwrap_or_default().to_owned();
    let mut rows = vec![["ID", "PID", "STATUS", "BUNDLE", "CREATED"].map(str::to_owned)];
    rows.extend(entries.iter().map(|entry| {
        let pid = entry["pid"].as_i64().unwrap_or(0).to_string();
        [text(entry, "id"), pid, text(entry, "status"), text(entry, "bundle"), text(entry, "created")]
    }));
    print_table(&rows)
}

/// Prints the processes of a container: their ids on the host.
pub(crate) fn processes(store: &Store, id: &str, format: Format) -> Result<()> {
    let record = store.load(id)?;
    let mut pids: Vec<i32> = cgroup::pids(&record.cgroup)?.iter().map(|pid| pid.as_raw_nonzero().get()).collect();
    pids.sort_unstable();
    if format == Format::Json {
        return print(&serde_json::to_string(&pids)?);
    }
    let mut rows = vec![["PID", "COMMAND"].map(str::to_owned)];
    rows.extend(pids.into_iter().map(|pid| [pid.to_string(), command(pid)]));
    print_table(&rows)
}

/// The command line; the name in brackets for a process without one, as ps(1) has it.
fn command(pid: i32) -> String {
    let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    let words: Vec<_> =
        line.split(|byte| *byte == 0).filter(|word| !word.is_empty()).map(String::from_utf8_lossy).collect();
    if words.is_empty() {
        return format!("[{}]", fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default().trim_end());
    }
    words.join(" ")
}

/// Prints figures of the container once, in the form of runc's `events --stats`.
pub(crate) fn stats(store: &Store, id: &str) -> Result<()> {
    let record = store.load(id)?;
    let status = store.status(&record);
    ensure!(!matches!(status, Status::Stopped | Status::Creating), "container not running: {id}");
    let Stats { memory, memory_peak, memory_max, oom_kills, pids, cpu_us, cpu_user_us, cpu_system_us } =
        cgroup::stats(&record.cgroup)?;
    let nanoseconds = |micro: Option<u64>| micro.unwrap_or(0).saturating_mul(1000);
    print(&json!({
        "type": "stats",
        "id": id,
        "data": {
            "cpu": {"usage": {
                "total": nanoseconds(cpu_us), "user": nanoseconds(cpu_user_us), "kernel": nanoseconds(cpu_system_us),
            }},
            "memory": {"usage": {
                "usage": memory.unwrap_or(0), "max": memory_peak.unwrap_or(0), "limit": memory_max.unwrap_or(u64::MAX),
                "failcnt": oom_kills.unwrap_or(0),
            }},
            "pids": {"current": pids.unwrap_or(0)},
        },
    }).to_string())
}

pub(crate) fn print(text: &str) -> Result<()> {
    Ok(writeln!(io::stdout(), "{text}")?)
}

fn print_lines(lines: &[&str]) -> Result<()> {
    lines.iter().try_for_each(|line| print(line))
}

/// Columns as wide as their widest cell, but for the last.
fn print_table<const N: usize>(rows: &[[String; N]]) -> Result<()> {
    let widths: [usize; N] = std::array::from_fn(|n| rows.iter().map(|row| row[n].len()).max().unwrap_or(0));
    rows.iter().try_for_each(|row| {
        let cells = row.iter().zip(widths).map(|(cell, width)| format!("{cell:width$}"));
        print(cells.collect::<Vec<_>>().join("  ").trim_end())
    })
}
