//! clone3(2) used as a fork into new namespaces and a cgroup, and what a forked child puts in order before it executes.

use nix::libc;
use nix::sched::CloneFlags;
use std::io;
use std::mem::size_of;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

/// The kernel's `struct sigaction` on 64-bit machines: handler, flags, restorer and mask, a word each.
const KERNEL_SIGACTION_WORDS: usize = 4;

/// The two sides of a [`fork`].
#[derive(Debug)]
pub enum Forked {
    /// In the process that called.
    Parent {
        /// Id of the child in the caller's PID namespace.
        pid: i32,
        /// Descriptor of the child, close-on-exec.
        pidfd: OwnedFd,
    },
    /// In the new process.
    Child,
}

// linux/sched.h; beyond 32 bits, so the C library's signed integers do not hold them.
const CLONE_CLEAR_SIGHAND: u64 = 1 << 32;
const CLONE_INTO_CGROUP: u64 = 1 << 33;

/// Forks a child that begins in `cgroup` (kernel 5.7) and in new namespaces as `namespaces` says (`CLONE_NEW*`, and
/// `CLONE_PARENT` for a sibling), with all caught signals at their defaults. A new cgroup namespace would be rooted at the caller's cgroup: unshare it
/// in the child.
///
/// # Errors
/// `EINVAL` for other flags or in a process with more than one thread, where a fork may copy locks held by threads that
/// do not exist in the child; else as clone3(2).
pub fn fork(namespaces: CloneFlags, cgroup: Option<BorrowedFd<'_>>) -> io::Result<Forked> {
    let allowed = CloneFlags::CLONE_NEWNS
        | CloneFlags::CLONE_NEWPID
        | CloneFlags::CLONE_NEWUTS
        | CloneFlags::CLONE_NEWIPC
        | CloneFlags::CLONE_NEWNET
        | CloneFlags::CLONE_NEWUSER
        | CloneFlags::CLONE_PARENT;
    if !allowed.contains(namespaces) {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    // Changes nothing, and fails in a process with more than one thread (unshare(2)).
    nix::sched::unshare(CloneFlags::CLONE_THREAD)?;
    let mut pidfd: libc::c_int = -1;
    // The flags are bits 0 to 31 of a word, although the C library types them as signed.
    let mut flags = u64::from((libc::CLONE_PIDFD | namespaces.bits()) as u32) | CLONE_CLEAR_SIGHAND;
    // SAFETY: clone_args is plain integers, for which zero is valid and means "not used".
    let mut arguments: libc::clone_args = unsafe { std::mem::zeroed() };
    if let Some(cgroup) = cgroup {
        flags |= CLONE_INTO_CGROUP;
        arguments.cgroup = cgroup.as_raw_fd() as u64;
    }
    arguments.flags = flags;
    arguments.pidfd = (&raw mut pidfd) as u64;
    // A sibling has the caller's.
    if !namespaces.contains(CloneFlags::CLONE_PARENT) {
        arguments.exit_signal = libc::SIGCHLD as u64;
    }
    // SAFETY: without CLONE_VM the child gets a copy of this address space and goes on on a copy of this stack; there is
    // one thread, so nothing in the copy is locked by somebody else. `arguments` and `pidfd` outlive the call.
    let pid = unsafe { libc::syscall(libc::SYS_clone3, &raw mut arguments, size_of::<libc::clone_args>()) };
    match i32::try_from(pid) {
        Ok(0) => Ok(Forked::Child),
        // SAFETY: clone3 succeeded, so the kernel stored a new descriptor in `pidfd`, owned by nobody else.
        Ok(pid) if pid > 0 => Ok(Forked::Parent { pid, pidfd: unsafe { OwnedFd::from_raw_fd(pidfd) } }),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Marks every descriptor from `first` on close-on-exec (kernel 5.11).
///
/// # Errors
/// As close_range(2).
pub fn close_on_exec_from(first: u32) -> io::Result<()> {
    // SAFETY: close_range(2) with CLOEXEC closes nothing and takes plain integers.
    let result = unsafe { libc::syscall(libc::SYS_close_range, first, libc::c_uint::MAX, libc::CLOSE_RANGE_CLOEXEC) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Sets every signal to its default action (Rust's start-up code ignores `SIGPIPE`, and ignoring survives execve) and
/// unblocks all of them.
///
/// # Errors
/// As sigprocmask(2).
pub fn reset_signals() -> io::Result<()> {
    // All zero: default action, no flags, empty mask. By system call, because the C library hides the two signals it
    // keeps to itself, although its posix_spawn(3) leaves them ignored.
    let default = [0_u64; KERNEL_SIGACTION_WORDS];
    for signal in 1..=libc::SIGRTMAX() {
        // SAFETY: the kernel reads one sigaction, for the given size of a signal set, and the default action names no
        // code. SIGKILL and SIGSTOP are refused, and need no reset.
        unsafe {
            let old = std::ptr::null_mut::<u64>();
            libc::syscall(libc::SYS_rt_sigaction, signal, default.as_ptr(), old, size_of::<u64>())
        };
    }
    Ok(nix::sys::signal::SigSet::empty().thread_set_mask()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refuses_flags_that_are_not_namespaces() {
        let error = fork(CloneFlags::CLONE_VM, None).expect_err("refused");
        assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
    }

    #[test]
    fn refuses_to_fork_beside_other_threads() {
        // The test harness runs this on a thread of its own.
        let error = fork(CloneFlags::empty(), None).expect_err("refused");
        assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
    }
}
