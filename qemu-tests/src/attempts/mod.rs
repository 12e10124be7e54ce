//! What a service must not be able to do, each with the errors that refuse it, and the services that may.
//!
//! | module | what |
//! |---|---|
//! | [`devices`] | the system disk, the kernel's log |
//! | [`files`] | root, state, kernel settings, mounts, sockets of others |
//! | [`kernel`] | modules, clock, reboot, BPF, keys, ... |
//! | [`network`] | the machine's network |
//! | [`processes`] | other processes, other users, namespaces, more privileges |
//! | [`inside`] | the program that makes them, in the guest |
//!
//! An attempt made where nothing forbids it must give [`Attempt::free`]: this shows that the attempt itself works. Made
//! in a service it must be refused, for the reason given here, unless the service is named among those that may: a
//! privilege added to a definition makes a test fail until it is added here too. Attempts change nothing that outlives
//! their process.

pub mod devices;
pub mod files;
pub mod inside;
pub mod kernel;
pub mod network;
pub mod processes;

use rustix::io::{Errno, Result};

/// One thing to try.
#[derive(Debug)]
pub struct Attempt {
    /// What is tried.
    pub name: &'static str,
    /// System call without which it cannot be: a filter that lacks it answers `ENOSYS` before the kernel looks further.
    pub call: &'static str,
    /// Answers that refuse it to a process whose filter lets the call through.
    pub refusals: &'static [Errno],
    /// Answer where nothing forbids it, when not success.
    pub free: Option<Errno>,
    /// Services that may: it is what they are for.
    pub may: &'static [&'static str],
    /// Tries it; the argument is the kernel's name of the system disk.
    pub act: fn(&str) -> Result<()>,
}

/// All of them.
pub fn all() -> impl Iterator<Item = &'static Attempt> {
    [files::ATTEMPTS, devices::ATTEMPTS, kernel::ATTEMPTS, network::ATTEMPTS, processes::ATTEMPTS].into_iter().flatten()
}

impl Attempt {
    /// Answers that the service may get, given the system calls its filter lets through; 0 is success.
    pub fn expected(&self, service: &str, calls: &[String]) -> Vec<i32> {
        if self.may.contains(&service) {
            vec![self.unconfined()]
        } else if calls.iter().any(|call| call == self.call) {
            self.refusals.iter().map(|errno| errno.raw_os_error()).collect()
        } else {
            vec![Errno::NOSYS.raw_os_error()]
        }
    }

    /// Answer where nothing forbids it; 0 is success.
    pub fn unconfined(&self) -> i32 {
        self.free.map_or(0, Errno::raw_os_error)
    }
}

#[cfg(test)]
mod tests;
