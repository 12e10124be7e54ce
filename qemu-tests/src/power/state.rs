//! The state file system of a cut disk: after its journal was replayed it must have no fault.

use super::{said, tool};
use anyhow::{Result, bail, ensure};
use std::path::Path;

/// e2fsck: errors were corrected.
const CORRECTED: i32 = 1;

/// Replays the journal of the ext4 file system in `file`, which is changed, and looks for faults. Returns what the
/// replay said. `-p` repairs what needs no decision, which is what a boot does; anything more is an error.
pub fn check(file: &Path) -> Result<String> {
    let file = file.display().to_string();
    let replay = tool("e2fsck", &["-f", "-p", &file])?;
    let sound = replay.status.code().is_some_and(|code| code <= CORRECTED);
    ensure!(sound, "the journal's replay leaves faults ({}): {}", replay.status, said(&replay));
    let check = tool("e2fsck", &["-f", "-n", &file])?;
    ensure!(check.status.success(), "e2fsck finds faults after a repair ({}): {}", check.status, said(&check));
    Ok(said(&replay))
}

/// A file of the file system in `file`, which was checked before; `None` when it does not exist.
pub fn read(file: &Path, path: &str) -> Result<Option<Vec<u8>>> {
    let output = tool("debugfs", &["-R", &format!("cat \"{path}\""), &file.display().to_string()])?;
    // debugfs ends with 0 whatever happens; the first line it says is its version.
    let errors = String::from_utf8_lossy(&output.stderr);
    let errors: Vec<&str> = errors.lines().filter(|line| !line.starts_with("debugfs ")).collect();
    match errors.as_slice() {
        [] => Ok(Some(output.stdout)),
        errors if errors.iter().any(|line| line.contains("File not found")) => Ok(None),
        errors => bail!("{path}: {}", errors.join("; ")),
    }
}
