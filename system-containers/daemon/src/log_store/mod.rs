//! Logs of all services: bounded files on the state partition, written by one thread, read by the API.
//!
//! ```text
//! /state/log/<service>/current      at most FILE_SIZE bytes, then renamed to
//! /state/log/<service>/1 … 3        3 is the oldest
//! /state/log/.boots                 ids of the boots in their order
//! /run/hull/log/<service>.<stream>  taken off the pipe and not in the log yet, see [`spool`]
//! ```
//! Each line of a file is one JSON object in the shape of Docker's `json-file` driver plus a priority:
//! `{"log":"text\n","stream":"stdout","time":"2026-01-31T12:00:00.000000000Z","priority":6}`. A piece of a line longer
//! than [`split::MAX_PIECE`] has no `\n` at its end.
//!
//! | module | what |
//! |---|---|
//! | [`entry`] | one record, pure |
//! | [`boots`] | which boot a record is of |
//! | [`split`] | bytes of a pipe to pieces with priorities, pure |
//! | [`spool`] | from pipe to batch, so that a SIGKILL disturbs nothing |
//! | [`writer`] | append, rotate, count what could not be kept |
//! | [`tail`] | the end of a file as it was left |
//! | [`rate`] | how fast a service may log, pure |
//! | [`sync`] | the thread that makes logs outlive a power cut |
//! | [`collector`] | the thread between pipes and files |
//! | [`reader`] | records in order across rotated files |
//! | [`merge`] | several services' records in the order of their times |

pub mod boots;
pub mod collector;
pub mod entry;
pub mod merge;
pub mod rate;
pub mod reader;
pub mod split;
pub mod spool;
pub mod sync;
pub mod tail;
pub mod writer;

pub use boots::BootId;
pub use collector::Collector;
pub use entry::{Entry, Stream};
pub use merge::Merge;
pub use reader::{Query, Reader};

/// Rotated files kept beside `current`.
pub const OLD_FILES: u32 = 3;
/// Size in bytes at which `current` is rotated: 4 MiB a service in all.
pub const FILE_SIZE: u64 = 1 << 20;
