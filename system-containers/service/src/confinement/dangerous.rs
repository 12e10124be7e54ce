//! System calls that change the whole machine, reach into other processes, or widen what a process can reach.

/// Name and what it does. The order is that of reports: by what they are for.
pub const DANGEROUS: [(&str, &str); 36] = [
    ("mount", "mounts file systems"),
    ("umount2", "unmounts file systems"),
    ("pivot_root", "exchanges the root file system"),
    ("move_mount", "places file systems (the newer way to mount)"),
    ("open_tree", "copies mounts"),
    ("fsopen", "opens a file system to be mounted"),
    ("mount_setattr", "changes read-only and other flags of mounts"),
    ("chroot", "changes the root directory"),
    ("unshare", "makes namespaces"),
    ("setns", "enters the namespaces of others"),
    ("ptrace", "controls other processes"),
    ("process_vm_readv", "reads the memory of other processes"),
    ("process_vm_writev", "writes the memory of other processes"),
    ("pidfd_getfd", "takes open files of other processes"),
    ("bpf", "loads programs into the kernel"),
    ("perf_event_open", "observes processes and the kernel"),
    ("userfaultfd", "handles page faults: a common help for exploits"),
    ("io_uring_setup", "input and output past the system call filter"),
    ("add_key", "kernel keyrings"),
    ("keyctl", "kernel keyrings"),
    ("request_key", "kernel keyrings"),
    ("open_by_handle_at", "opens files past the permissions of directories"),
    ("init_module", "loads kernel modules"),
    ("finit_module", "loads kernel modules"),
    ("delete_module", "removes kernel modules"),
    ("kexec_load", "loads another kernel"),
    ("kexec_file_load", "loads another kernel"),
    ("reboot", "ends the machine"),
    ("iopl", "I/O ports"),
    ("ioperm", "I/O ports"),
    ("swapon", "adds swap"),
    ("swapoff", "removes swap"),
    ("clock_settime", "sets the clock"),
    ("settimeofday", "sets the clock"),
    ("adjtimex", "slews the clock"),
    ("clock_adjtime", "slews the clock"),
];

/// Those of [`DANGEROUS`] that are among `calls`.
pub fn among(calls: &[String]) -> Vec<String> {
    let named = |(name, _): &(&str, &str)| calls.iter().any(|call| call == name).then(|| (*name).to_owned());
    DANGEROUS.iter().filter_map(named).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dangerous_calls_exist() {
        for (name, _) in DANGEROUS {
            assert!(super::super::SYSTEM_CALLS.binary_search(&name).is_ok(), "{name}");
        }
    }
}
