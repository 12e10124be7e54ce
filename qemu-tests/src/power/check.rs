//! Everything of a cut disk that can be looked at without booting it.

use super::esp::Esp;
use super::partitions::Table;
use super::state;
use crate::fault_disk::Image;
use anyhow::Result;
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
    /// What e2fsck said while it replayed the journal; `None` without the partition.
    pub state: Option<Result<String>>,
}

/// Looks at a disk; files are made in `folder` and removed again. An error when there is no partition table.
pub fn check(image: &Image, folder: &Path) -> Result<Checked> {
    let table = Table::read(image, folder)?;
    let with = |name: &str| {
        let partition = table.named(name)?;
        let file = folder.join(format!("{name}.raw"));
        Some(image.export(partition.range.clone(), &file).map(|()| file))
    };
    let esp = with(ESP).map(|file| taken(&file?, Esp::read));
    let state = with(STATE).map(|file| taken(&file?, state::check));
    Ok(Checked { table, esp, state })
}

fn taken<T>(file: &Path, look: impl FnOnce(&Path) -> Result<T>) -> Result<T> {
    let answer = look(file);
    std::fs::remove_file(file)?;
    answer
}
