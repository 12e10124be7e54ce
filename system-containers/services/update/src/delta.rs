//! The target slot, written from what is there and what is fetched.
//!
//! ```text
//! invalidate   old superblocks of the target are zeroed: a slot is found by its superblock
//! survey       which wanted blocks lie in the running slot, which are in place already
//! plan         in place | to copy | to fetch in few requests
//! carry out    every block is checked against its digest before it is written
//! seal         sync, tree, sync, read all back, superblock, sync
//! ```
//!
//! A run that was interrupted is repeated: blocks that made it to the disk are in place then. A block is compared by its
//! digest under the new image's salt, so it does not matter where or in which image it was before.
//!
//! | module | what |
//! |---|---|
//! | `storage` | the devices under it: a seam for tests with faulty ones |
//! | `survey` | what is where |
//! | `plan` | what to do about it (pure) |
//! | `write` | carries it out |
//! | `seal` | makes it a slot |
//! | `whole` | the short way, where a whole image is at hand |

mod error;
mod plan;
mod seal;
mod storage;
mod survey;
mod whole;
mod write;

pub use error::DeltaError;
pub use plan::{Copy, Plan, REQUEST, Source, plan, range};
pub use seal::invalidate;
pub use storage::Storage;
pub use whole::copy;
pub use write::{Job, Progress, write};

#[cfg(test)]
mod tests;
