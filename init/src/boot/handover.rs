//! What the initrd phase knows and the running phase needs: passed as JSON in one environment variable of the exec.

use crate::console::Message;
use serde::{Deserialize, Serialize};

/// The environment variable.
pub(crate) const VARIABLE: &str = "HULL_INITRD";

/// Facts of the initrd phase; times are CLOCK_BOOTTIME in microseconds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Handover {
    /// Kernel name of the disk that holds the root slot; empty when the root came with the initrd.
    pub(crate) disk: String,
    /// Number of the root slot in its table.
    pub(crate) number: u32,
    /// `a` or `b`; empty when the root came with the initrd.
    pub(crate) slot: String,
    /// Its device node.
    pub(crate) device: String,
    /// The boot loader counts this boot.
    pub(crate) trial: bool,
    /// Descriptor of the running hardware watchdog.
    pub(crate) watchdog: Option<i32>,
    pub(crate) init_us: u64,
    pub(crate) root_mounted_us: u64,
    pub(crate) messages: Vec<Message>,
}

/// Reads it back; `None` when another initrd started this root.
pub(crate) fn receive() -> Option<Handover> {
    serde_json::from_str(&std::env::var(VARIABLE).ok()?).ok()
}
