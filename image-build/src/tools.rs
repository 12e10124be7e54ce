//! Runs programs: those of the package tree through the tree's own loader, so that neither the host's glibc nor its
//! tool versions get into the image, and the few host programs that only move bytes.

use anyhow::{Context, Result, bail};
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Lines of a failed program's output that are repeated in the error.
const ERROR_LINES: usize = 20;

/// Programs of one package tree.
#[derive(Debug, Clone)]
pub(crate) struct Tools {
    tree: PathBuf,
}

impl Tools {
    /// Programs below `tree`.
    pub(crate) fn new(tree: &Path) -> Self {
        Self { tree: tree.to_owned() }
    }

    /// A command for a program such as `usr/bin/mkfs.erofs`.
    pub(crate) fn command(&self, program: &str) -> Command {
        let libraries = self.tree.join("usr/lib/x86_64-linux-gnu");
        let mut command = Command::new(libraries.join("ld-linux-x86-64.so.2"));
        command.arg("--library-path").arg(libraries).arg(self.tree.join(program));
        command
    }

    /// A data file of the tree.
    pub(crate) fn file(&self, path: &str) -> PathBuf {
        self.tree.join(path)
    }
}

/// Runs `command` to its end and returns its standard output; a failure carries the last lines it wrote.
pub(crate) fn run(command: &mut Command) -> Result<Vec<u8>> {
    let output = command.stdin(Stdio::null()).output().with_context(|| format!("cannot run {}", describe(command)))?;
    if !output.status.success() {
        let text = [output.stdout.as_slice(), output.stderr.as_slice()].concat();
        let text = String::from_utf8_lossy(&text);
        let lines: Vec<&str> = text.lines().collect();
        let tail = lines[lines.len().saturating_sub(ERROR_LINES)..].join("\n");
        bail!("{}: {}\n{tail}", describe(command), output.status);
    }
    Ok(output.stdout)
}

/// Runs `command` with its output on the terminal.
pub(crate) fn run_visibly(command: &mut Command) -> Result<()> {
    let status = command.stdin(Stdio::null()).status().with_context(|| format!("cannot run {}", describe(command)))?;
    if !status.success() {
        bail!("{}: {status}", describe(command));
    }
    Ok(())
}

fn describe(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words.map(OsStr::to_string_lossy).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_carries_command_status_and_output() {
        let error = run(Command::new("sh").args(["-c", "echo out; echo err >&2; exit 3"])).unwrap_err().to_string();
        for part in ["sh -c", "status: 3", "out", "err"] {
            assert!(error.contains(part), "{part}: {error}");
        }
    }
}
