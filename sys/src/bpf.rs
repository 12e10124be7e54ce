//! bpf(2), as far as device programs of cgroups need it.

use nix::libc;
use std::io;
use std::mem::size_of;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

// Numbers of linux/bpf.h.
const BPF_PROG_LOAD: libc::c_int = 5;
const BPF_PROG_ATTACH: libc::c_int = 8;
const BPF_PROG_GET_FD_BY_ID: libc::c_int = 13;
const BPF_PROG_QUERY: libc::c_int = 16;
const BPF_PROG_TYPE_CGROUP_DEVICE: u32 = 15;
const BPF_CGROUP_DEVICE: u32 = 6;
/// Programs of the cgroups below are run as well, and an access needs the consent of all.
const BPF_F_ALLOW_MULTI: u32 = 2;
const BPF_F_REPLACE: u32 = 1 << 2;

/// Most programs of one directory that are looked at.
const MOST_ATTACHED: u32 = 8;

/// First fields of `union bpf_attr` for `BPF_PROG_LOAD`; the kernel takes the missing ones as zero.
#[repr(C)]
struct LoadArguments {
    program_type: u32,
    instruction_count: u32,
    instructions: u64,
    license: u64,
    log_level: u32,
    log_size: u32,
    log_buffer: u64,
    kernel_version: u32,
    flags: u32,
}

/// First fields of `union bpf_attr` for `BPF_PROG_ATTACH`.
#[repr(C)]
struct AttachArguments {
    target: u32,
    program: u32,
    attach_type: u32,
    flags: u32,
    replaced: u32,
}

/// First fields of `union bpf_attr` for `BPF_PROG_QUERY`.
#[repr(C)]
struct QueryArguments {
    target: u32,
    attach_type: u32,
    query_flags: u32,
    attach_flags: u32,
    ids: u64,
    count: u32,
    /// The kernel refuses what is not zero behind the fields it knows.
    padding: u32,
}

/// First fields of `union bpf_attr` for `BPF_PROG_GET_FD_BY_ID`.
#[repr(C)]
struct ByIdArguments {
    id: u32,
    next_id: u32,
    flags: u32,
}

/// Loads a `BPF_PROG_TYPE_CGROUP_DEVICE` program; each instruction is a `struct bpf_insn` as a native-endian integer.
///
/// # Errors
/// `EINVAL` or `EACCES` when the verifier refuses it; else as bpf(2).
pub fn load_device_program(instructions: &[u64]) -> io::Result<OwnedFd> {
    let arguments = LoadArguments {
        program_type: BPF_PROG_TYPE_CGROUP_DEVICE,
        instruction_count: instructions.len().try_into().map_err(|_| io::ErrorKind::InvalidInput)?,
        instructions: instructions.as_ptr() as u64,
        license: c"Apache-2.0".as_ptr() as u64,
        log_level: 0,
        log_size: 0,
        log_buffer: 0,
        kernel_version: 0,
        flags: 0,
    };
    let size = size_of::<LoadArguments>();
    // SAFETY: the kernel reads `size` bytes of `arguments` and the instructions and the string it points to, all of
    // which outlive the call, and checks the program before it accepts it.
    let fd = unsafe { libc::syscall(libc::SYS_bpf, BPF_PROG_LOAD, &raw const arguments, size) };
    let fd = i32::try_from(fd).ok().filter(|fd| *fd >= 0).ok_or_else(io::Error::last_os_error)?;
    // SAFETY: the call succeeded, so `fd` is a new descriptor owned by nobody else; bpf(2) makes it close-on-exec.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Attaches a loaded program to a cgroup directory; it lives as long as the cgroup.
///
/// # Errors
/// As bpf(2).
pub fn attach_device_program(cgroup: BorrowedFd<'_>, program: BorrowedFd<'_>) -> io::Result<()> {
    attach(cgroup, program, None)
}

/// Attaches a loaded program in the place of the one that is attached to the directory itself, without a moment between
/// the two. Attaches it when there is none.
///
/// # Errors
/// `EINVAL` when several are attached; `ENOSPC` when very many are; else as bpf(2).
pub fn replace_device_program(cgroup: BorrowedFd<'_>, program: BorrowedFd<'_>) -> io::Result<()> {
    match attached(cgroup)?.as_slice() {
        [] => attach(cgroup, program, None),
        [id] => attach(cgroup, program, Some(open(*id)?.as_fd())),
        _ => Err(io::ErrorKind::InvalidInput.into()),
    }
}

fn attach(cgroup: BorrowedFd<'_>, program: BorrowedFd<'_>, replaced: Option<BorrowedFd<'_>>) -> io::Result<()> {
    let arguments = AttachArguments {
        target: cgroup.as_raw_fd() as u32,
        program: program.as_raw_fd() as u32,
        attach_type: BPF_CGROUP_DEVICE,
        flags: BPF_F_ALLOW_MULTI | if replaced.is_some() { BPF_F_REPLACE } else { 0 },
        replaced: replaced.map_or(0, |old| old.as_raw_fd() as u32),
    };
    let size = size_of::<AttachArguments>();
    // SAFETY: the kernel reads `size` bytes of `arguments`, which outlives the call.
    let result = unsafe { libc::syscall(libc::SYS_bpf, BPF_PROG_ATTACH, &raw const arguments, size) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Ids of the device programs attached to the directory itself.
fn attached(cgroup: BorrowedFd<'_>) -> io::Result<Vec<u32>> {
    let mut ids = [0_u32; MOST_ATTACHED as usize];
    let mut arguments = QueryArguments {
        target: cgroup.as_raw_fd() as u32,
        attach_type: BPF_CGROUP_DEVICE,
        query_flags: 0,
        attach_flags: 0,
        ids: ids.as_mut_ptr() as u64,
        count: MOST_ATTACHED,
        padding: 0,
    };
    let size = size_of::<QueryArguments>();
    // SAFETY: the kernel reads and writes `size` bytes of `arguments` and writes at most `count` ids; both are alive.
    let result = unsafe { libc::syscall(libc::SYS_bpf, BPF_PROG_QUERY, &raw mut arguments, size) };
    if result != 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(ids.into_iter().take(arguments.count as usize).collect())
}

fn open(id: u32) -> io::Result<OwnedFd> {
    let arguments = ByIdArguments { id, next_id: 0, flags: 0 };
    let size = size_of::<ByIdArguments>();
    // SAFETY: the kernel reads `size` bytes of `arguments`, which outlives the call.
    let fd = unsafe { libc::syscall(libc::SYS_bpf, BPF_PROG_GET_FD_BY_ID, &raw const arguments, size) };
    let fd = i32::try_from(fd).ok().filter(|fd| *fd >= 0).ok_or_else(io::Error::last_os_error)?;
    // SAFETY: the call succeeded, so `fd` is a new descriptor owned by nobody else; bpf(2) makes it close-on-exec.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}
