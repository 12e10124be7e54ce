//! Which partitions the system disk should have: a pure planner over the partition table.
//!
//! ```text
//! shipped image                 first boot adds (one write of the table)
//! 1 BIOS boot  2 ESP  3 root-a  | 4 root-b, as large as root-a | 5 state, the rest |
//! ```
//!
//! Partitions are known by name; 4 and 5 are the usual numbers, the next free ones are taken where others hold those.
//! A partition somebody else made is never moved, resized or reused.

use crate::boot::table::Table;
use gptman::{GPTPartitionEntry, PartitionName};
use thiserror::Error;

const STATE_NAME: &str = "state";
const SLOTS: [&str; 2] = ["root-a", "root-b"];
/// Linux filesystem data, 0FC63DAF-8483-4772-8E79-3D69D8477DE4, in the order of its bytes on disk.
const LINUX_FILE_SYSTEM: [u8; 16] =
    [0xaf, 0x3d, 0xc6, 0x0f, 0x83, 0x84, 0x72, 0x47, 0x8e, 0x79, 0x3d, 0x69, 0xd8, 0x47, 0x7d, 0xe4];
/// Type-specific attribute bit (48 to 63 belong to the type's owner): a file system was completed in this partition.
/// Set after mke2fs, never before, so that an empty partition without it may be formatted and one with it never is.
const COMPLETED: u64 = 1 << 48;
/// Below this ext4 has no room for a journal and the logs.
const STATE_MINIMUM_BYTES: u64 = 64 << 20;
/// Growing for less is not worth a write of the partition table.
pub(crate) const GROWTH_MINIMUM_BYTES: u64 = 64 << 20;

/// One change the kernel must be told of; positions in bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Change {
    Add { number: u32, start: u64, length: u64 },
    Resize { number: u32, start: u64, length: u64 },
}

/// What to do to the disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Plan {
    /// The table as it should be.
    pub(crate) table: Table,
    /// Whether it differs from the one on disk.
    pub(crate) write: bool,
    /// In the order to carry out.
    pub(crate) changes: Vec<Change>,
    /// Number of the state partition.
    pub(crate) state: u32,
    /// No room for the second slot: updates will not work.
    pub(crate) slot_missing: bool,
}

/// Why the disk can hold no state partition.
#[derive(Debug, Error, PartialEq, Eq)]
pub(crate) enum PlanError {
    #[error("{free_mib} MiB are free in one piece, {needed_mib} MiB are needed for a second slot and state")]
    TooSmall { free_mib: u64, needed_mib: u64 },
    #[error("all entries of the partition table are taken")]
    TableFull,
    #[error("the root slot is not in the partition table any more")]
    RootMissing,
}

/// Plans for a disk of `sectors` sectors whose partition `root` runs; `random` makes partition GUIDs.
pub(crate) fn plan(
    on_disk: &Table,
    sectors: u64,
    root: u32,
    mut random: impl FnMut() -> [u8; 16],
) -> Result<Plan, PlanError> {
    let mut table = on_disk.clone();
    let fitted = table.fit(sectors);
    let slot = table.get(root).cloned().ok_or(PlanError::RootMissing)?;
    let slot_length = slot.ending_lba + 1 - slot.starting_lba;
    let state = table.find(|entry| entry.partition_name.as_str() == STATE_NAME);
    let mut changes = Vec::new();

    let mut slot_missing = false;
    for name in SLOTS {
        if table.find(|entry| entry.partition_name.as_str() == name).is_some() {
            continue;
        }
        let place =
            table.free().into_iter().find(|&(start, length)| start > slot.starting_lba && length >= slot_length);
        match place {
            Some((start, _)) => {
                add(&mut table, &mut changes, name, slot.partition_type_guid, random(), (start, slot_length))?;
            }
            None if state.is_some() => slot_missing = true,
            None => return Err(no_space(&table, slot_length)),
        }
    }

    let state = match state {
        Some(number) => {
            grow(&mut table, &mut changes, number);
            number
        }
        None => {
            let minimum = STATE_MINIMUM_BYTES / table.sector_size;
            let place = table.free().into_iter().max_by_key(|&(_, length)| length).filter(|place| place.1 >= minimum);
            let place = place.ok_or_else(|| no_space(on_disk, slot_length))?;
            add(&mut table, &mut changes, STATE_NAME, LINUX_FILE_SYSTEM, random(), place)?
        }
    };
    // A table that only has to follow the disk's end is left as it is until something else changes.
    let write = !changes.is_empty();
    if fitted && !write {
        table = on_disk.clone();
    }
    Ok(Plan { table, write, changes, state, slot_missing })
}

impl Plan {
    /// Whether a file system was completed in the state partition.
    pub(crate) fn is_completed(&self) -> bool {
        self.table.get(self.state).is_some_and(|entry| entry.attribute_bits & COMPLETED != 0)
    }

    /// Notes in the table that it was.
    pub(crate) fn set_completed(&mut self) {
        self.table.change(self.state, |entry| entry.attribute_bits |= COMPLETED);
    }
}

fn add(
    table: &mut Table,
    changes: &mut Vec<Change>,
    name: &str,
    partition_type_guid: [u8; 16],
    unique_partition_guid: [u8; 16],
    (start, length): (u64, u64),
) -> Result<u32, PlanError> {
    let entry = GPTPartitionEntry {
        partition_type_guid,
        unique_partition_guid,
        starting_lba: start,
        ending_lba: start + length - 1,
        attribute_bits: 0,
        partition_name: PartitionName::from(name),
    };
    let number = table.insert(entry).ok_or(PlanError::TableFull)?;
    let sector = table.sector_size;
    changes.push(Change::Add { number, start: start * sector, length: length * sector });
    Ok(number)
}

/// Extends the state partition over the free space right behind it.
fn grow(table: &mut Table, changes: &mut Vec<Change>, number: u32) {
    let Some((start, last)) = table.get(number).map(|entry| (entry.starting_lba, entry.ending_lba)) else { return };
    let next = table.partitions().map(|(_, entry)| entry.starting_lba).filter(|&other| other > last).min();
    let behind = table.free().into_iter().find(|&(first, _)| first > last && next.is_none_or(|next| first < next));
    let Some((first, length)) = behind else { return };
    if length * table.sector_size < GROWTH_MINIMUM_BYTES {
        return;
    }
    let end = first + length;
    table.change(number, |entry| entry.ending_lba = end - 1);
    let sector = table.sector_size;
    changes.push(Change::Resize { number, start: start * sector, length: (end - start) * sector });
}

fn no_space(table: &Table, slot_length: u64) -> PlanError {
    let mib = |sectors: u64| (sectors * table.sector_size) >> 20;
    let free = table.free().into_iter().map(|(_, length)| length).max().unwrap_or(0);
    PlanError::TooSmall { free_mib: mib(free), needed_mib: mib(slot_length) + (STATE_MINIMUM_BYTES >> 20) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::boot::table::tests::{MIB, SECTOR, disk, read};

    const BYTES: u64 = MIB * SECTOR;
    type Shipped = [(u32, &'static str, u64, u64); 3];
    const SHIPPED: Shipped = [(1, "bios", MIB, MIB), (2, "esp", 2 * MIB, 6 * MIB), (3, "root-a", 8 * MIB, 10 * MIB)];

    fn table(sectors: u64, more: &[(u32, &'static str, u64, u64)]) -> Table {
        let all: Vec<_> = SHIPPED.into_iter().chain(more.iter().copied()).collect();
        read(&mut disk(sectors, &all)).expect("table")
    }

    fn run(table: &Table, sectors: u64) -> Result<Plan, PlanError> {
        let mut guid = 0x40;
        plan(table, sectors, 3, || {
            guid += 1;
            [guid; 16]
        })
    }

    fn add(number: u32, start: u64, length: u64) -> Change {
        Change::Add { number, start: start * BYTES, length: length * BYTES }
    }

    #[test]
    fn plans() {
        let grown = |from: u64, to: u64, more: &[_]| (table(from * MIB, more), to * MIB);
        let slot_b = (4, "root-b", 18 * MIB, 10 * MIB);
        let state = (5, "state", 28 * MIB, 99 * MIB);
        let cases = [
            ("first boot", grown(128, 128, &[]), vec![add(4, 18, 10), add(5, 28, 99)]),
            ("first boot on a larger disk", grown(20, 228, &[]), vec![add(4, 18, 10), add(5, 28, 199)]),
            ("second boot", grown(128, 128, &[slot_b, state]), vec![]),
            ("torn first boot: slot without state", grown(128, 128, &[slot_b]), vec![add(5, 28, 99)]),
            ("grown by too little", grown(128, 191, &[slot_b, state]), vec![]),
            (
                "grown",
                grown(128, 192, &[slot_b, state]),
                vec![Change::Resize { number: 5, start: 28 * BYTES, length: 163 * BYTES }],
            ),
            (
                "foreign partition 5",
                grown(256, 256, &[(5, "data", 200 * MIB, 10 * MIB)]),
                vec![add(4, 18, 10), add(6, 28, 172)],
            ),
            (
                "a foreign partition behind state stops growth",
                grown(128, 512, &[slot_b, state, (6, "x", 127 * MIB, 1)]),
                vec![],
            ),
            ("no room for a slot, but state exists", grown(128, 128, &[(5, "state", 18 * MIB, 109 * MIB)]), vec![]),
        ];
        for (name, (table, sectors), changes) in cases {
            let plan = run(&table, sectors).expect(name);
            assert_eq!(plan.changes, changes, "{name}");
            assert_eq!(plan.write, !changes.is_empty(), "{name}");
            let entry = plan.table.get(plan.state).expect(name);
            assert_eq!(entry.partition_name.as_str(), "state", "{name}");
            // carrying it out and planning again changes nothing
            assert_eq!(run(&plan.table, sectors).expect(name).changes, vec![], "{name}");
        }
    }

    #[test]
    fn planned_partitions_take_type_and_guid() {
        let plan = run(&table(128 * MIB, &[]), 128 * MIB).expect("plan");
        let (slot, state) = (plan.table.get(4).expect("slot"), plan.table.get(5).expect("state"));
        assert_eq!((slot.partition_type_guid, state.partition_type_guid), ([9; 16], LINUX_FILE_SYSTEM));
        assert_ne!(slot.unique_partition_guid, state.unique_partition_guid);
        assert!(!plan.is_completed());
    }

    #[test]
    fn completed_survives_the_disk() {
        let mut image = disk(128 * MIB, &SHIPPED);
        let mut plan = run(&read(&mut image).expect("table"), 128 * MIB).expect("plan");
        plan.set_completed();
        plan.table.write(&mut image, |_| Ok(())).expect("write");
        let again = run(&read(&mut image).expect("table"), 128 * MIB).expect("plan");
        assert!(again.is_completed() && !again.write);
    }

    #[test]
    fn refusals() {
        let error = |table: &Table, sectors| run(table, sectors).expect_err("refused");
        let full = PlanError::TooSmall { free_mib: 2, needed_mib: 74 };
        assert_eq!(error(&table(21 * MIB, &[]), 21 * MIB), full);
        let small = PlanError::TooSmall { free_mib: 64, needed_mib: 74 };
        assert_eq!(error(&table(83 * MIB, &[]), 83 * MIB), small);
        assert_eq!(plan(&table(128 * MIB, &[]), 128 * MIB, 7, || [1; 16]), Err(PlanError::RootMissing));
    }
}
