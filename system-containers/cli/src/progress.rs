//! Work of the daemon that says what it is doing.

use crate::client::Client;
use anyhow::{Context, Result, bail};
use serde_json::Value;
use std::io::{Write, stderr};

/// Progress to standard error, the outcome to standard output; `shows` is the command that shows what was done when no
/// answer came.
pub(crate) fn follow(client: &Client, path: &str, request: &Value, shows: &str) -> Result<()> {
    match outcome(client, path, request, "")? {
        Some(outcome) => crate::print(&format!("{outcome}\n")),
        None => bail!("the system daemon ended without an answer; {shows} shows what was done"),
    }
}

/// Progress to standard error, each line behind `prefix`; returns the outcome.
pub(crate) fn outcome(client: &Client, path: &str, request: &Value, prefix: &str) -> Result<Option<String>> {
    let mut outcome = None;
    client.lines(path, request, |line| {
        if let Some(error) = line["error"].as_str() {
            bail!("{}", clean(error));
        }
        match line["status"].as_str() {
            Some(status) => writeln!(stderr(), "{prefix}{}", clean(status)).context("cannot write")?,
            None => outcome = line["outcome"].as_str().map(clean),
        }
        Ok(())
    })?;
    Ok(outcome)
}

/// What came from elsewhere must not move the terminal's cursor.
pub(crate) fn clean(text: &str) -> String {
    text.chars().map(|character| if character.is_control() { ' ' } else { character }).collect()
}
