//! Logs of all services: bounded files on the state partition, written by one thread, read by the API.
//!
//! ```text
//! /state/log/<service>/current      at most FILE_SIZE bytes, then renamed to
//! /state/log/<service>/1 … 3        3 is the oldest
//! ```
//! Each line of a file is one JSON object in the shape of Docker's `json-file` driver plus a priority:
//! `{"log":"text\n","stream":"stdout","time":"2026-01-31T12:00:00.000000000Z","priority":6}`. A piece of a line longer
//! than [`split::MAX_PIECE`] has no `\n` at its end.
//!
//! | module | what |
//! |---|---|
//! | [`entry`] | one record, pure |
//! | [`split`] | bytes of a pipe to pieces with priorities, pure |
//! | [`writer`] | append, rotate, count what could not be kept |
//! | [`collector`] | the thread between pipes and files |
//! | [`reader`] | records in order across rotated files |

pub mod collector;
pub mod entry;
pub mod reader;
pub mod split;
pub mod writer;

pub use collector::Collector;
pub use entry::{Entry, Stream};
pub use reader::{Query, Reader};

/// Rotated files kept beside `current`.
pub const OLD_FILES: u32 = 3;
/// Size in bytes at which `current` is rotated: 4 MiB a service in all.
pub const FILE_SIZE: u64 = 1 << 20;
