//! Kernel settings that hold for the whole machine. Only what has a reason here; settings of links and routes are the
//! network service's and the engine's.

use crate::console::Messages;
use rustix::process::{Resource, Rlimit, setrlimit};
use std::path::Path;

/// `/proc/sys` path, value; the reason stands above each.
const SYSCTLS: [(&str, &str); 13] = [
    // An oops in a driver must not leave a machine that answers pings and does nothing.
    ("kernel/panic_on_oops", "1"),
    // Seconds until a panicked machine tries again; the command line says so, too, for panics before this.
    ("kernel/panic", "10"),
    // Addresses and messages of the kernel are of use to attackers only.
    ("kernel/kptr_restrict", "1"),
    ("kernel/dmesg_restrict", "1"),
    // Programs for the kernel are loaded by system services, which are privileged.
    ("kernel/unprivileged_bpf_disabled", "2"),
    // Hundreds of containers share one number space; the kernel's default on small machines is 32768.
    ("kernel/pid_max", "4194304"),
    // The default of 128 instances a user is used up by a dozen containers running as the same user.
    ("fs/inotify/max_user_instances", "1024"),
    // Files in world-writable directories cannot be traps for privileged programs.
    ("fs/protected_hardlinks", "1"),
    ("fs/protected_symlinks", "1"),
    ("fs/protected_fifos", "1"),
    ("fs/protected_regular", "2"),
    // Databases map more files than the default of 65530; Debian sets the same.
    ("vm/max_map_count", "1048576"),
    // Every user may ping; it takes no raw socket since Linux 3.0.
    ("net/ipv4/ping_group_range", "0 2147483647"),
];

/// Resource limits: (resource, soft, hard). Open files are PID 1's own and the daemon's, which both hold descriptors of
/// every service; services get their own limit. Processes are bounded by cgroups. Core files only for who asks for them.
const LIMITS: [(Resource, Option<u64>, Option<u64>); 4] = [
    (Resource::Nofile, Some(8192), Some(1_048_576)),
    (Resource::Nproc, None, None),
    (Resource::Core, Some(0), None),
    (Resource::Memlock, Some(8 << 20), Some(8 << 20)),
];

/// Writes all settings; a kernel without one of them is worth a debug line, not a message.
pub(crate) fn apply(messages: &mut Messages) {
    for (path, value) in SYSCTLS {
        match std::fs::write(Path::new("/proc/sys").join(path), value) {
            Ok(()) => {}
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => log::debug!("no sysctl {path}"),
            Err(error) => messages.warning(format!("cannot set sysctl {path} to {value}: {error}")),
        }
    }
    for (resource, current, maximum) in LIMITS {
        if let Err(errno) = setrlimit(resource, Rlimit { current, maximum }) {
            messages.warning(format!("cannot set the limit {resource:?}: {errno}"));
        }
    }
}
