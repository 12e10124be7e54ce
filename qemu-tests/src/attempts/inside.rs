//! The program that makes the attempts, in the guest: the harness's own executable, which is static and so runs anywhere.
//!
//! | arguments | prints |
//! |---|---|
//! | `--attempts DISK` | a line `name errno` an attempt; 0 is success |
//! | `--attempt NAME DISK` | one errno |
//! | `--privileges` | effective user and permitted capabilities |

use super::{Attempt, all, processes};
use anyhow::{Context, Result, bail, ensure};
use rustix::io::Errno;
use std::collections::BTreeMap;
use std::process::Command;

/// Makes all attempts.
pub const ATTEMPTS: &str = "--attempts";
const ATTEMPT: &str = "--attempt";
pub(super) const PRIVILEGES: &str = "--privileges";

/// What to print when the arguments are for this program.
pub fn run(arguments: &[String]) -> Option<Result<String>> {
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments[..] {
        [ATTEMPTS, disk] => Some(attempt_all(disk)),
        [ATTEMPT, name, disk] => Some(attempt_one(name, disk)),
        [PRIVILEGES] => Some(processes::privileges().context("capabilities")),
        _ => None,
    }
}

/// Each in a process of its own, which it may change or lose.
fn attempt_all(disk: &str) -> Result<String> {
    let program = std::env::current_exe()?;
    let mut text = String::new();
    for Attempt { name, .. } in all() {
        let output = Command::new(&program).args([ATTEMPT, name, disk]).output().context(*name)?;
        ensure!(output.status.success(), "{name}: {}: {}", output.status, String::from_utf8_lossy(&output.stderr));
        text += &format!("{name} {}", String::from_utf8_lossy(&output.stdout));
    }
    Ok(text)
}

fn attempt_one(name: &str, disk: &str) -> Result<String> {
    let attempt = all().find(|attempt| attempt.name == name).with_context(|| format!("no attempt {name}"))?;
    Ok((attempt.act)(disk).map_or_else(Errno::raw_os_error, |()| 0).to_string())
}

/// Reads what [`ATTEMPTS`] prints; an attempt that is missing is an error.
pub fn answers(text: &str) -> Result<BTreeMap<&str, i32>> {
    let mut answers = BTreeMap::new();
    for line in text.lines() {
        let Some((name, errno)) = line.split_once(' ') else { bail!("not an answer: {line}") };
        answers.insert(name, errno.parse().with_context(|| format!("not an answer: {line}"))?);
    }
    for Attempt { name, .. } in all() {
        ensure!(answers.contains_key(name), "{name} was not tried: {text}");
    }
    Ok(answers)
}
