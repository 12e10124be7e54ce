//! Messages: to standard error and, when asked for, appended to `--log`, of which containerd's shim reads the last.
//!
//! The log is opened once, at the beginning: exec leaves the host's mount namespace on its way.

use crate::cli::Global;
use anyhow::{Context, Result};
use serde_json::json;
use std::fs::File;
use std::io::Write;
use std::sync::OnceLock;
use std::time::{SystemTime, UNIX_EPOCH};

static LOG: OnceLock<Log> = OnceLock::new();

#[derive(Debug)]
struct Log {
    file: File,
    json: bool,
    debug: bool,
}

/// Opens the log, when there is to be one.
pub(crate) fn open(global: &Global) -> Result<()> {
    let Some(path) = &global.log else { return Ok(()) };
    let file = File::options().append(true).create(true).open(path);
    let file = file.with_context(|| format!("--log {}", path.display()))?;
    LOG.get_or_init(|| Log { file, json: global.json_log, debug: global.debug });
    Ok(())
}

/// Reports why the command failed.
pub(crate) fn error(message: &str) {
    eprintln!("hull-runtime: {message}");
    write("error", message);
}

/// Reports what went wrong without ending the command.
pub(crate) fn warning(message: &str) {
    eprintln!("hull-runtime: warning: {message}");
    write("warning", message);
}

/// Reports with `--debug`, to the log alone: standard error may be the container's.
pub(crate) fn debug(message: &str) {
    if LOG.get().is_some_and(|log| log.debug) {
        write("debug", message);
    }
}

fn write(level: &str, message: &str) {
    let Some(Log { file, json, .. }) = LOG.get() else { return };
    let time = now();
    let mut line = if *json {
        json!({"level": level, "msg": message, "time": time}).to_string()
    } else {
        format!("time=\"{time}\" level={level} msg={message:?}")
    };
    line.push('\n');
    let mut file = file;
    if let Err(error) = file.write_all(line.as_bytes()) {
        eprintln!("hull-runtime: write log: {error}");
    }
}

/// The time as RFC 3339, UTC.
pub(crate) fn now() -> String {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    rfc3339(since.as_secs(), since.subsec_nanos())
}

/// Days to a date by counting 400-year eras, which all have the same length.
fn rfc3339(seconds: u64, nanoseconds: u32) -> String {
    const DAY: u64 = 86_400;
    const ERA_DAYS: u64 = 146_097;
    /// From 0000-03-01 to 1970-01-01: years begin in March, so a leap day is a year's last.
    const TO_EPOCH: u64 = 719_468;
    let days = seconds / DAY + TO_EPOCH;
    let (era, day) = (days / ERA_DAYS, days % ERA_DAYS);
    let year_of_era = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day_of_year = day - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let from_march = (5 * day_of_year + 2) / 153;
    let day_of_month = day_of_year - (153 * from_march + 2) / 5 + 1;
    let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
    let year = era * 400 + year_of_era + u64::from(month <= 2);
    let (hour, minute, second) = (seconds % DAY / 3600, seconds / 60 % 60, seconds % 60);
    format!("{year:04}-{month:02}-{day_of_month:02}T{hour:02}:{minute:02}:{second:02}.{nanoseconds:09}Z")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_those_of_the_calendar() {
        for (seconds, want) in [
            (0, "1970-01-01T00:00:00.000000000Z"),
            (951_782_400, "2000-02-29T00:00:00.000000000Z"),
            (1_709_251_199, "2024-02-29T23:59:59.000000000Z"),
            (1_735_689_600, "2025-01-01T00:00:00.000000000Z"),
        ] {
            assert_eq!(rfc3339(seconds, 0), want);
        }
    }
}
