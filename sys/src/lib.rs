//! Linux system calls that rustix and nix lack, behind safe functions; the only crate where `unsafe` is legal.
//! Mechanism only: no policy, no paths but the kernel's own.
//!
//! | module | what |
//! |---|---|
//! | [`blkpg`] | tell the kernel about an added or resized partition |
//! | [`dm`] | device mapper: a dm-verity device and its status |
//! | [`swap`] | swapoff |
//! | [`watchdog`] | hardware watchdog |

#![allow(unsafe_code, reason = "this crate exists to hold it; each block states its invariant")]

pub mod blkpg;
pub mod dm;
pub mod swap;
pub mod watchdog;
