//! Network namespaces of the tests' own: programs, and sockets of this process, in there.

use anyhow::{Context, Result};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use std::fs::File;
use std::os::fd::AsFd;
use std::process::Command;

/// A program to be run in a named network namespace, or in the caller's.
pub fn command(namespace: Option<&str>, program: &str) -> Command {
    let Some(namespace) = namespace else { return Command::new(program) };
    let mut command = Command::new("ip");
    command.args(["netns", "exec", namespace, program]);
    command
}

/// Runs something on a thread that is in a network namespace: its sockets stay there.
///
/// # Errors
/// Those of the work, and when there is no such namespace.
pub fn within<T: Send + 'static>(
    namespace: Option<&str>,
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    let Some(namespace) = namespace else { return work() };
    let file = File::open(format!("/run/netns/{namespace}")).with_context(|| namespace.to_owned())?;
    let thread = std::thread::spawn(move || {
        move_into_link_name_space(file.as_fd(), Some(LinkNameSpaceType::Network))?;
        work()
    });
    thread.join().map_err(|_| anyhow::anyhow!("the thread in the namespace failed"))?
}
