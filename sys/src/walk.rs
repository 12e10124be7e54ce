//! openat2(2) as callers want it.

use rustix::fs::{Mode, OFlags, ResolveFlags, openat2};
use rustix::io::Errno;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

/// Walks of one path before the machine counts as too busy: each fails only by a coincidence of microseconds.
const WALKS: u32 = 128;

/// Opens `path` from `start` by `rules`, again while the kernel answers `EAGAIN`: a rename or mount anywhere on the
/// machine during the walk leaves it unsure whether a `..` stayed in the root.
///
/// # Errors
/// Those of openat2(2).
pub fn walk(start: impl AsFd, path: &Path, flags: OFlags, rules: ResolveFlags) -> Result<OwnedFd, Errno> {
    for _ in 1..WALKS {
        match openat2(&start, path, flags, Mode::empty(), rules) {
            Err(Errno::AGAIN) => {}
            opened => return opened,
        }
    }
    openat2(&start, path, flags, Mode::empty(), rules)
}
