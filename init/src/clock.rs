//! Clocks: time since boot for reports and deadlines, and the floor under the wall clock. Setting the time from the
//! network is the time service's.

use rustix::time::{ClockId, Timespec, clock_gettime, clock_settime};
use std::os::linux::fs::MetadataExt;
use std::path::Path;
use std::time::Duration;

/// CLOCK_BOOTTIME in microseconds: since kernel start, counting suspend.
pub(crate) fn boottime_us() -> u64 {
    u64::try_from(duration(clock_gettime(ClockId::Boottime)).as_micros()).unwrap_or(u64::MAX)
}

/// CLOCK_MONOTONIC: for deadlines, which a suspended machine must not miss.
pub(crate) fn monotonic() -> Duration {
    duration(clock_gettime(ClockId::Monotonic))
}

fn duration(time: Timespec) -> Duration {
    Duration::new(u64::try_from(time.tv_sec).unwrap_or(0), u32::try_from(time.tv_nsec).unwrap_or(0))
}

/// Sets the wall clock to the modification time of `stamp` when it is earlier: a machine without a clock would otherwise
/// find every certificate not yet valid. Returns the seconds it was moved forward.
pub(crate) fn raise_to(stamp: &Path) -> std::io::Result<Option<i64>> {
    let floor = std::fs::metadata(stamp)?.st_mtime();
    let now = clock_gettime(ClockId::Realtime).tv_sec;
    if now >= floor {
        return Ok(None);
    }
    clock_settime(ClockId::Realtime, Timespec { tv_sec: floor, tv_nsec: 0 })?;
    Ok(Some(floor - now))
}
