//! Boot time, memory and sizes of the image, beside a bare floor in the same interleaved run.
//!
//! | module | what |
//! |---|---|
//! | [`floor`] | the same kernel, an initramfs, containerd and dockerd on ext4: nothing else |
//! | [`hull`] | the image |
//! | [`table`] | medians, ratio, `bench.json` |
//!
//! Times are seconds of the guest's CLOCK_BOOTTIME, which begins at kernel entry, so that firmware does not count.

pub mod floor;
pub mod hull;
pub mod table;

use std::collections::BTreeMap;

/// Named seconds of one boot.
pub type Times = BTreeMap<String, f64>;
/// The moment Docker answers, in [`Times`] of both kinds.
pub const DOCKER: &str = "docker answers";
/// The moment the first container has ended.
pub const CONTAINER: &str = "first container finished";
/// The container both kinds run: no network, so that only the engine is measured.
pub const RUN: &str = "docker run --rm --network none box /bin/busybox true";
/// Makes the image for it from the console's busybox.
pub const IMPORT: &str = "tar -c -C / bin/busybox | docker import - box";
