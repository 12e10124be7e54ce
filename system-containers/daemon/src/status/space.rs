//! Room on the state partition: when it is gone, logs, images and settings are no longer kept, and people should know.

use super::model::Message;
use std::path::Path;

/// Below this nothing of use fits; ext4 keeps a few blocks back, so a full file system is rarely at 0.
const LEAST_FREE_BYTES: u64 = 32 << 20;

/// A warning when the file system at `state` is full; nothing when there is room or it cannot be asked.
pub(super) fn full(state: &Path) -> Option<Message> {
    let usage = rustix::fs::statvfs(state).ok()?;
    let free = usage.f_bavail.saturating_mul(usage.f_frsize);
    let size = usage.f_blocks.saturating_mul(usage.f_frsize);
    warning(free, size)
}

fn warning(free: u64, size: u64) -> Option<Message> {
    // A small tmpfs may never have had that much.
    (free < LEAST_FREE_BYTES.min(size / 16)).then(|| Message {
        severity: "error".into(),
        source: "state".into(),
        text: format!(
            "the state partition is full: {} of {} MiB free; docker system prune removes what no container uses",
            free >> 20,
            size >> 20
        ),
    })
}

#[cfg(test)]
mod tests {
    use super::warning;

    #[test]
    fn only_a_full_one_is_reported() {
        for (free, size, reported) in
            [(0, 8 << 30, true), (31 << 20, 8 << 30, true), (33 << 20, 8 << 30, false), (30 << 20, 64 << 20, false)]
        {
            assert_eq!(warning(free, size).is_some(), reported, "{free} of {size}");
        }
    }
}
