//! All capabilities of Linux 6.12 in the order of their numbers, with what each lets a process do; capabilities(7).

/// Name without `CAP_`, and its meaning in one line. The index is the bit in the kernel's masks.
pub const CAPABILITIES: [(&str, &str); 41] = [
    ("CHOWN", "give files to other users"),
    ("DAC_OVERRIDE", "read and write files whatever their permissions"),
    ("DAC_READ_SEARCH", "read files and enter directories whatever their permissions"),
    ("FOWNER", "change mode and attributes of other users' files"),
    ("FSETID", "keep set-user-ID and set-group-ID bits when a file changes"),
    ("KILL", "send signals to processes of other users"),
    ("SETGID", "become any group"),
    ("SETUID", "become any user"),
    ("SETPCAP", "change its own bounding set and inheritable capabilities"),
    ("LINUX_IMMUTABLE", "set the immutable and append-only attributes of files"),
    ("NET_BIND_SERVICE", "listen on ports below 1024"),
    ("NET_BROADCAST", "send broadcasts, listen to multicasts"),
    ("NET_ADMIN", "configure interfaces, addresses, routes and the packet filter"),
    ("NET_RAW", "raw and packet sockets: read and forge packets"),
    ("IPC_LOCK", "lock memory beyond the limit"),
    ("IPC_OWNER", "use System V IPC objects whatever their permissions"),
    ("SYS_MODULE", "load and remove kernel modules"),
    ("SYS_RAWIO", "I/O ports, raw commands to disks, physical memory"),
    ("SYS_CHROOT", "chroot(2), and joining mount namespaces"),
    ("SYS_PTRACE", "trace and read any process in sight"),
    ("SYS_PACCT", "switch process accounting"),
    ("SYS_ADMIN", "mount(2), namespaces, quotas, swap and much else of the kernel"),
    ("SYS_BOOT", "reboot(2) and loading another kernel"),
    ("SYS_NICE", "raise priorities, real-time scheduling"),
    ("SYS_RESOURCE", "exceed resource limits and disk quotas"),
    ("SYS_TIME", "set the system and the hardware clock"),
    ("SYS_TTY_CONFIG", "hang up and configure terminals"),
    ("MKNOD", "make device nodes"),
    ("LEASE", "take leases on other users' files"),
    ("AUDIT_WRITE", "write records to the audit log"),
    ("AUDIT_CONTROL", "configure auditing"),
    ("SETFCAP", "put capabilities on files"),
    ("MAC_OVERRIDE", "override mandatory access control"),
    ("MAC_ADMIN", "configure mandatory access control"),
    ("SYSLOG", "read and clear the kernel log"),
    ("WAKE_ALARM", "set alarms that wake the machine"),
    ("BLOCK_SUSPEND", "keep the machine from suspending"),
    ("AUDIT_READ", "read the audit log"),
    ("PERFMON", "performance counters of every process and the kernel"),
    ("BPF", "load BPF programs"),
    ("CHECKPOINT_RESTORE", "choose process IDs, read what checkpoints need"),
];

/// The meaning of a capability; `None` for a name the kernel does not have.
pub fn meaning(name: &str) -> Option<&'static str> {
    CAPABILITIES.iter().find(|(known, _)| *known == name).map(|(_, meaning)| *meaning)
}

/// The kernel's mask of a set of names; unknown names are left out.
pub fn mask<'a>(names: impl IntoIterator<Item = &'a str>) -> u64 {
    let bit = |name| CAPABILITIES.iter().position(|(known, _)| *known == name);
    names.into_iter().filter_map(bit).fold(0, |mask, bit| mask | 1 << bit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_the_kernels() {
        // linux/capability.h
        for (name, number) in [("CHOWN", 0), ("NET_RAW", 13), ("SYS_ADMIN", 21), ("SYS_TIME", 25), ("BPF", 39)] {
            assert_eq!(mask([name]), 1 << number, "{name}");
        }
        assert_eq!(mask(["CHOWN", "NOPE", "DAC_OVERRIDE"]), 3);
        assert_eq!(meaning("NOPE"), None);
    }
}
