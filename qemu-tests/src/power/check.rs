//! Everything of a cut disk that can be looked at without booting it.

use super::esp::Esp;
use super::partitions::Table;
use super::state;
use crate::fault_disk::Image;
use anyhow::{Context, Result};
use std::path::Path;

/// Names of partitions, see docs/architecture.md.
const ESP: &str = "esp";
const STATE: &str = "state";

/// What was found. Which of it is damage depends on the operation that was cut: the first boot makes the state partition,
/// so there a cut may leave none, or one without a file system.
#[derive(Debug)]
pub struct Checked {
    /// The partition table.
    pub table: Table,
    /// Boot files; `None` without the partition.
    pub esp: Option<Result<Esp>>,
    /// `None` without the partition.
    pub state: Option<Result<State>>,
}

/// A sound state file system.
#[derive(Debug)]
pub struct State {
    /// What e2fsck said while it replayed the journal.
    pub said: String,
    /// Content of the files that were asked for, in their order; `None` where there is none.
    pub files: Vec<Option<Vec<u8>>>,
}

/// Looks at a disk, and reads files of the state file system; files are made in `folder` and removed again. An error when
/// there is no partition table.
pub fn check(image: &Image, folder: &Path, read: &[&str]) -> Result<Checked> {
    let table = Table::read(image, folder)?;
    let with = |name: &str| {
        let partition = table.named(name)?;
        let file = folder.join(format!("{name}.raw"));
        Some(image.export(partition.range.clone(), &file).map(|()| file))
    };
    let esp = with(ESP).map(|file| taken(&file?, Esp::read));
    let state = with(STATE).map(|file| {
        taken(&file?, |file| {
            let said = state::check(file)?;
            let files = read.iter().map(|path| state::read(file, path)).collect::<Result<_>>()?;
            Ok(State { said, files })
        })
    });
    Ok(Checked { table, esp, state })
}

fn taken<T>(file: &Path, look: impl FnOnce(&Path) -> Result<T>) -> Result<T> {
    let answer = look(file);
    std::fs::remove_file(file)?;
    answer
}

/// The boot files alone.
pub fn esp(image: &Image, folder: &Path) -> Result<Esp> {
    let table = Table::read(image, folder)?;
    let partition = table.named(ESP).with_context(|| format!("no partition {ESP}"))?;
    let file = folder.join("esp.raw");
    image.export(partition.range.clone(), &file)?;
    taken(&file, Esp::read)
}
