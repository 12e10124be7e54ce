//! Paths of /proc and /sys that no container may read, or write.

use hull_service::Security;

/// Hidden: addresses, keys and hardware controls the kernel shows to whoever asks; the same list as Docker's.
const MASKED: [&str; 13] = [
    "/proc/acpi",
    "/proc/asound",
    "/proc/interrupts",
    "/proc/kcore",
    "/proc/keys",
    "/proc/latency_stats",
    "/proc/sched_debug",
    "/proc/scsi",
    "/proc/timer_list",
    "/proc/timer_stats",
    "/sys/devices/virtual/powercap",
    "/sys/firmware",
    "/sys/kernel/debug",
];

/// Read-only: these change the whole machine, whatever the namespace.
const READ_ONLY: [&str; 5] = ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"];

/// Masked and read-only paths of a service.
pub fn paths(security: &Security) -> (Vec<String>, Vec<String>) {
    let wanted = |path: &&str| !security.unmasked_paths.iter().any(|other| other == path);
    let masked = MASKED.iter().copied().filter(wanted).map(str::to_owned);
    let read_only = READ_ONLY.iter().copied().filter(wanted);
    (
        masked.chain(security.masked_paths.iter().cloned()).collect(),
        read_only.filter(|path| !(security.writable_proc_sys && *path == "/proc/sys")).map(str::to_owned).collect(),
    )
}
