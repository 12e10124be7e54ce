//! System calls that no part of the OS makes, with arguments that change nothing: the error number tells whether the
//! caller would get in. The confinement tests knock from inside each service.

use nix::errno::Errno;
use nix::libc::{self, c_long};

/// A call, and the answer of a kernel that has it to a caller who may.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Door {
    /// io_uring_setup(2): `EFAULT`.
    IoUring,
    /// syslog(2), bytes not yet read: success.
    KernelLog,
    /// kexec_load(2) of nothing: success.
    Kexec,
    /// keyctl(2), number of the process's keyring: success.
    Keyring,
    /// init_module(2) of nothing: `ENOEXEC`.
    Module,
    /// perf_event_open(2): `EFAULT`.
    Perf,
    /// ptrace(2), seizes the parent until the caller ends: success.
    Trace,
}

const SYSLOG_ACTION_SIZE_UNREAD: c_long = 9;
const KEYCTL_GET_KEYRING_ID: c_long = 0;
const KEY_SPEC_PROCESS_KEYRING: c_long = -2;
const PTRACE_SEIZE: c_long = 0x4206;

/// Makes the call.
///
/// # Errors
/// What the kernel, or the caller's filter, answers.
pub fn knock(door: Door) -> Result<(), Errno> {
    let (number, arguments) = match door {
        Door::IoUring => (libc::SYS_io_uring_setup, [0; 4]),
        Door::KernelLog => (libc::SYS_syslog, [SYSLOG_ACTION_SIZE_UNREAD, 0, 0, 0]),
        Door::Kexec => (libc::SYS_kexec_load, [0; 4]),
        Door::Keyring => (libc::SYS_keyctl, [KEYCTL_GET_KEYRING_ID, KEY_SPEC_PROCESS_KEYRING, 1, 0]),
        Door::Module => (libc::SYS_init_module, [0; 4]),
        Door::Perf => (libc::SYS_perf_event_open, [0; 4]),
        Door::Trace => (libc::SYS_ptrace, [PTRACE_SEIZE, nix::unistd::getppid().as_raw().into(), 0, 0]),
    };
    let [a, b, c, d] = arguments;
    // SAFETY: every pointer among the arguments is null, so the kernel reads and writes no memory of ours; none of the
    // calls changes the address space or the descriptors. A fifth argument is only perf_event_open's flags.
    Errno::result(unsafe { libc::syscall(number, a, b, c, d, 0 as c_long) }).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_open_door_is_told_from_a_wall() {
        assert_ne!(knock(Door::Keyring), Err(Errno::EFAULT));
        assert!(matches!(knock(Door::Perf), Err(Errno::EFAULT | Errno::ENOSYS | Errno::EPERM | Errno::EACCES)));
        assert!(knock(Door::Module).is_err());
    }
}
