//! Linux system calls that rustix and nix lack, behind safe functions; the only crate where `unsafe` is legal.
//! Mechanism only: no policy, no paths but the kernel's own.
//!
//! | module | what |
//! |---|---|
//! | [`blkpg`] | tell the kernel about an added or resized partition, or have it read the table again |
//! | [`bpf`] | load and attach device programs of cgroups |
//! | [`clone`] | fork into namespaces and a cgroup; close-on-exec and signals for the child |
//! | [`dm`] | device mapper: a dm-verity device and its status |
//! | [`keyring`] | a session keyring of one's own |
//! | [`knock`] | calls the OS never makes, without effect: whether a process would get in |
//! | [`loop_device`] | a file as a block device |
//! | [`loopback`] | bring up `lo` |
//! | [`mount`] | mount_setattr |
//! | [`schedule`] | sched_setattr and ioprio_set |
//! | [`seccomp`] | install a compiled filter |
//! | [`signal`] | any signal to a pidfd |
//! | [`swap`] | swapon, swapoff |
//! | [`walk`] | openat2 that goes on when interrupted by a rename |
//! | [`watchdog`] | hardware watchdog |

#![allow(unsafe_code, reason = "this crate exists to hold it; each block states its invariant")]

pub mod blkpg;
pub mod bpf;
pub mod clone;
pub mod dm;
pub mod keyring;
pub mod knock;
pub mod loop_device;
pub mod loopback;
pub mod mount;
pub mod schedule;
pub mod seccomp;
pub mod signal;
pub mod swap;
pub mod walk;
pub mod watchdog;
