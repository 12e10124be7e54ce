//! Carries out the plan of one slot.

use super::error::DeltaError;
use super::plan::{Plan, Source, range};
use super::seal::{clear, seal};
use super::storage::Storage;
use super::survey::Survey;
use crate::client::{ATTEMPTS, Attempts, ClientError, PAUSE, Part};
use crate::verity::{BLOCK, BLOCK_BYTES, Tree};
use std::fmt;
use std::io::Read;
use std::ops::Range;
use std::time::Duration;

/// Blocks between two reports: 1 MiB.
const REPORT_STEP: u64 = 256;

/// A slot to write.
#[derive(Clone, Copy)]
pub struct Job<'a> {
    /// Of the new image, checked.
    pub tree: &'a Tree,
    /// The running slot and the number of its image's blocks.
    pub running: Option<(&'a dyn Storage, u64)>,
    /// The other slot.
    pub target: &'a dyn Storage,
    /// Blocks of the target where a superblock of the image before may be.
    pub stale: &'a [u64],
    /// Before a second attempt on the server; doubles.
    pub pause: Duration,
}

/// How far it is, in bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Progress {
    /// Were there already.
    pub in_place: u64,
    /// Came from one of the slots.
    pub copied: u64,
    /// Came over the network, with what lay between blocks that were needed.
    pub fetched: u64,
    /// Of `fetched`, what was needed.
    pub used: u64,
    /// Of the image.
    pub total: u64,
}

impl<'a> Job<'a> {
    /// A job with the usual pause and no superblocks known.
    #[must_use]
    pub fn new(tree: &'a Tree, target: &'a dyn Storage) -> Self {
        Self { tree, running: None, target, stale: &[], pause: PAUSE }
    }
}

impl fmt::Debug for Job<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Job").field("tree", &self.tree).field("stale", &self.stale).finish_non_exhaustive()
    }
}

/// Where the bytes of a range of `root.erofs` come from.
type Fetch<'a> = &'a dyn Fn(Range<u64>) -> Result<Part, ClientError>;

/// Writes the slot. It is one when this returns: every byte of it was read back from the disk.
pub fn write(job: &Job<'_>, fetch: Fetch<'_>, report: &mut dyn FnMut(Progress)) -> Result<Progress, DeltaError> {
    has_room(job.tree, job.target)?;
    clear(job.target, job.stale.iter().copied().chain([job.tree.geometry().data_blocks]))?;
    let survey = Survey::take(job.tree, job.target, job.running);
    clear(job.target, survey.stale.iter().copied())?;
    let plan = survey.plan();
    drop(survey);
    let progress = Progress {
        in_place: plan.in_place * BLOCK_BYTES,
        total: job.tree.geometry().data_blocks * BLOCK_BYTES,
        ..Progress::default()
    };
    let mut writer = Writer { job, progress, report, done: 0, unreported: 0 };
    (writer.report)(progress);
    let missing = writer.copy(plan)?;
    writer.fetch_all(&missing, fetch)?;
    (writer.report)(writer.progress);
    let progress = writer.progress;
    seal(job.target, job.tree)?;
    Ok(progress)
}

/// Refuses a target that is too small.
pub(super) fn has_room(tree: &Tree, target: &dyn Storage) -> Result<(), DeltaError> {
    let needed = tree.geometry().slot_blocks() * BLOCK_BYTES;
    let found = target.size().map_err(|source| DeltaError::Target { action: "find", block: 0, source })?;
    if found < needed { Err(DeltaError::TooSmall { needed, found }) } else { Ok(()) }
}

struct Writer<'a, 'b> {
    job: &'a Job<'b>,
    progress: Progress,
    report: &'a mut dyn FnMut(Progress),
    /// How many of the missing blocks came.
    done: usize,
    unreported: u64,
}

impl Writer<'_, '_> {
    /// Copies; returns what is missing then: a source that has other bytes now, or cannot be read, is none.
    fn copy(&mut self, plan: Plan) -> Result<Vec<u32>, DeltaError> {
        let mut missing = plan.missing;
        let expected = missing.len();
        let mut block = vec![0; BLOCK];
        for copy in plan.copies {
            let source = match (copy.from, self.job.running) {
                (Source::Running(from), Some((running, _))) => Some((running, from)),
                (Source::Running(_), None) => None,
                (Source::Target(from), _) => Some((self.job.target, from)),
            };
            let is_read = source
                .is_some_and(|(storage, from)| storage.read_at(&mut block, u64::from(from) * BLOCK_BYTES).is_ok());
            if is_read && self.put(copy.to, &block)? {
                self.progress.copied += BLOCK_BYTES;
                self.tick();
            } else {
                missing.push(copy.to);
            }
        }
        if missing.len() != expected {
            missing.sort_unstable();
        }
        Ok(missing)
    }

    fn fetch_all(&mut self, missing: &[u32], fetch: Fetch<'_>) -> Result<(), DeltaError> {
        let mut attempts = Attempts::new(self.job.pause);
        while let Some(range) = range(&missing[self.done..]) {
            let before = self.done;
            let broken = match fetch(range.start * BLOCK_BYTES..range.end * BLOCK_BYTES) {
                Ok(part) => match self.take(part, range, missing)? {
                    None => {
                        attempts.done();
                        continue;
                    }
                    Some(error) => DeltaError::BrokenOff { attempts: ATTEMPTS, source: error },
                },
                Err(error) if error.is_transient() => error.into(),
                Err(error) => return Err(error.into()),
            };
            if !attempts.again((self.done - before) as u64 * BLOCK_BYTES) {
                return Err(broken);
            }
        }
        Ok(())
    }

    /// Takes what is missing out of a body; returns why it ended early, if it did.
    fn take(
        &mut self,
        mut part: Part,
        range: Range<u64>,
        missing: &[u32],
    ) -> Result<Option<std::io::Error>, DeltaError> {
        let mut block = vec![0; BLOCK];
        let range = if part.is_whole { 0..self.job.tree.geometry().data_blocks } else { range };
        for number in range {
            let Some(wanted) = missing.get(self.done).copied() else { break };
            if let Err(error) = part.body.read_exact(&mut block) {
                return Ok(Some(error));
            }
            self.progress.fetched += BLOCK_BYTES;
            if u64::from(wanted) == number {
                if !self.put(wanted, &block)? {
                    return Err(DeltaError::Corrupt { block: number });
                }
                self.done += 1;
                self.progress.used += BLOCK_BYTES;
            }
            self.tick();
        }
        Ok(None)
    }

    /// Writes a block that has the digest of its place; false where it has another.
    fn put(&mut self, number: u32, block: &[u8]) -> Result<bool, DeltaError> {
        if !usize::try_from(number).is_ok_and(|number| self.job.tree.matches(number, block)) {
            return Ok(false);
        }
        let number = u64::from(number);
        let written = self.job.target.write_at(block, number * BLOCK_BYTES);
        written.map_err(|source| DeltaError::Target { action: "write", block: number, source })?;
        Ok(true)
    }

    fn tick(&mut self) {
        self.unreported += 1;
        if self.unreported == REPORT_STEP {
            self.unreported = 0;
            (self.report)(self.progress);
        }
    }
}
