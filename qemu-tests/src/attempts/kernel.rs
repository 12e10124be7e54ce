//! The kernel itself: its code, its clock, its programs, its keys.

use super::Attempt;
use hull_sys::knock::{Door, knock};
use rustix::io::{Errno, Result};
use rustix::time::{ClockId, clock_gettime, clock_settime};

const PERM: &[Errno] = &[Errno::PERM];
/// For calls that any process may make: the filter is the only lock.
const FILTER_ONLY: &[Errno] = &[];

pub(super) const ATTEMPTS: &[Attempt] = &[
    Attempt {
        name: "load_a_module",
        call: "init_module",
        refusals: PERM,
        // For nobody: the kernel has no modules, and no kexec.
        free: Some(Errno::NOSYS),
        may: &[],
        act: |_| at(Door::Module),
    },
    Attempt {
        name: "start_another_kernel",
        call: "kexec_load",
        refusals: PERM,
        free: Some(Errno::NOSYS),
        may: &[],
        act: |_| at(Door::Kexec),
    },
    Attempt { name: "reboot", call: "reboot", refusals: PERM, free: None, may: &[], act: keep_ctrl_alt_del_off },
    Attempt {
        name: "set_the_clock",
        call: "clock_settime",
        refusals: PERM,
        free: None,
        may: &["time"],
        act: |_| clock_settime(ClockId::Realtime, clock_gettime(ClockId::Realtime)),
    },
    Attempt {
        name: "read_the_kernel_log",
        call: "syslog",
        refusals: PERM,
        free: None,
        may: &["console", "docker"],
        act: |_| at(Door::KernelLog),
    },
    Attempt {
        name: "load_a_bpf_program",
        call: "bpf",
        refusals: PERM,
        free: None,
        may: &["docker"],
        act: load_a_program,
    },
    Attempt {
        name: "use_a_keyring",
        call: "keyctl",
        refusals: FILTER_ONLY,
        free: None,
        may: &["docker"],
        act: |_| at(Door::Keyring),
    },
    Attempt {
        name: "count_events_of_the_processor",
        call: "perf_event_open",
        refusals: FILTER_ONLY,
        free: Some(Errno::FAULT),
        may: &["docker"],
        act: |_| at(Door::Perf),
    },
    Attempt {
        name: "make_an_io_uring",
        call: "io_uring_setup",
        refusals: FILTER_ONLY,
        free: Some(Errno::FAULT),
        may: &["docker"],
        act: |_| at(Door::IoUring),
    },
];

/// Knocks, with the error in rustix's words.
pub(super) fn at(door: Door) -> Result<()> {
    knock(door).map_err(|errno| Errno::from_raw_os_error(errno as i32))
}

/// The one command of reboot(2) that stops nothing; PID 1 has given it already.
fn keep_ctrl_alt_del_off(_: &str) -> Result<()> {
    nix::sys::reboot::set_cad_enabled(false).map_err(|errno| Errno::from_raw_os_error(errno as i32))
}

/// `return 1`, as a struct bpf_insn each: r0 = 1; exit.
const PROGRAM: [u64; 2] = [0x0000_0001_0000_00b7, 0x0000_0000_0000_0095];

fn load_a_program(_: &str) -> Result<()> {
    hull_sys::bpf::load_device_program(&PROGRAM)
        .map(drop)
        .map_err(|error| Errno::from_io_error(&error).unwrap_or(Errno::IO))
}
