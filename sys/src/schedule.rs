//! CPU and I/O scheduling of the calling thread: sched_setattr(2) and ioprio_set(2).

use nix::libc;
use std::io;
use std::mem::size_of;

/// Fields of `struct sched_attr` (linux/sched/types.h); zero where a policy does not use one.
#[derive(Debug, Clone, Copy, Default)]
pub struct Scheduling {
    /// `SCHED_*`.
    pub policy: u32,
    /// `SCHED_FLAG_*`.
    pub flags: u64,
    /// -20 to 19.
    pub nice: i32,
    /// 1 to 99 for the real-time policies.
    pub priority: u32,
    /// Nanoseconds, `SCHED_DEADLINE` only.
    pub runtime: u64,
    /// Nanoseconds, `SCHED_DEADLINE` only.
    pub deadline: u64,
    /// Nanoseconds, `SCHED_DEADLINE` only.
    pub period: u64,
}

/// `struct sched_attr` in its first published size.
#[repr(C)]
struct Attributes {
    size: u32,
    policy: u32,
    flags: u64,
    nice: i32,
    priority: u32,
    runtime: u64,
    deadline: u64,
    period: u64,
}

/// `IOPRIO_WHO_PROCESS` (linux/ioprio.h).
const WHO_PROCESS: libc::c_int = 1;
/// `IOPRIO_CLASS_SHIFT`.
const CLASS_SHIFT: u16 = 13;

/// Sets policy and parameters of the calling thread.
///
/// # Errors
/// As sched_setattr(2).
pub fn set_scheduling(scheduling: &Scheduling) -> io::Result<()> {
    let Scheduling { policy, flags, nice, priority, runtime, deadline, period } = *scheduling;
    let size = size_of::<Attributes>().try_into().map_err(|_| io::ErrorKind::InvalidInput)?;
    let attributes = Attributes { size, policy, flags, nice, priority, runtime, deadline, period };
    // SAFETY: the kernel reads `size` bytes of `attributes`, which outlives the call; 0 names the calling thread.
    let result = unsafe { libc::syscall(libc::SYS_sched_setattr, 0, &raw const attributes, 0) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Sets the I/O class (1 real time, 2 best effort, 3 idle) and the level in it, 0 to 7, of the calling thread.
///
/// # Errors
/// As ioprio_set(2).
pub fn set_io_priority(class: u16, level: u16) -> io::Result<()> {
    let value = libc::c_int::from(class << CLASS_SHIFT | level);
    // SAFETY: plain integers; 0 names the calling thread.
    let result = unsafe { libc::syscall(libc::SYS_ioprio_set, WHO_PROCESS, 0, value) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}
