//! Proof against power loss: one recorded run, cut at many points, each cut looked at here and booted by a scenario.
//!
//! | module | what |
//! |---|---|
//! | [`points`] | where to cut, from the marks in a trace |
//! | [`check`] | what a cut disk must hold: partition table, boot files, state file system |
//! | [`partitions`] | the partition table as sfdisk reads it |
//! | [`esp`] | the boot files as mtools read them |
//! | [`state`] | the state file system as e2fsck sees it |
//! | [`story`] | the steps of the recorded run and what its marks promise |
//! | [`outcomes`] | the table at the end |
//!
//! A scenario serves the image by a [`FaultDisk`](crate::fault_disk::FaultDisk), marks where operations begin and end,
//! chooses [`points`], and for each makes the image, checks it, serves it again and boots: [`crate::cases::power`].

pub mod check;
pub mod esp;
pub mod outcomes;
pub mod partitions;
pub mod points;
pub mod state;
pub mod story;

#[cfg(test)]
mod tests;

use anyhow::{Context, Result};
use std::process::{Command, Output};

/// A tool may follow a damaged file system in circles.
const TOOL_SECONDS: &str = "30";

/// Runs a tool to its end or its deadline; its status is the caller's to judge.
fn tool(name: &str, arguments: &[&str]) -> Result<Output> {
    let mut command = Command::new("timeout");
    command.args([TOOL_SECONDS, name]).args(arguments).env("LC_ALL", "C");
    command.output().with_context(|| format!("cannot run {name}"))
}

/// Everything a tool said.
fn said(output: &Output) -> String {
    let text = [&output.stdout[..], &output.stderr].concat();
    String::from_utf8_lossy(&text).trim().to_owned()
}
