//! Steps on the terminal: a line when a long step starts, its time when it ends.

use anyhow::Result;
use std::time::Instant;

/// Runs one step under a heading.
pub(crate) fn step<T>(what: &str, run: impl FnOnce() -> Result<T>) -> Result<T> {
    eprintln!("==> {what}");
    let start = Instant::now();
    let result = run();
    eprintln!(
        "    {what}: {} in {:.1} s",
        if result.is_ok() { "done" } else { "FAILED" },
        start.elapsed().as_secs_f32()
    );
    result
}
