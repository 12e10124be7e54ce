//! The importer on real files: archives made here, good and hostile, and registries.

#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests fail the test")]

mod archives;
mod fixture;
mod hostile;
mod program;
mod registry;
