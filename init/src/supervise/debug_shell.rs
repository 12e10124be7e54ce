//! The shell of `hull.debug-shell`: root in the host's namespaces for whoever sets kernel options, started again when it
//! ends, until the machine does.

use crate::boot::cgroup::Group;
use crate::clock::monotonic;
use crate::process;
use std::time::Duration;

/// Between two starts, so that a terminal that hangs up does not spin.
const PAUSE: Duration = Duration::from_secs(1);

/// The shell's terminal and, while it runs, its process.
#[derive(Debug)]
pub(super) struct DebugShell {
    terminal: String,
    pid: Option<i32>,
    next: Duration,
}

impl DebugShell {
    /// A shell to be started at once on `/dev/<terminal>`.
    pub(super) fn new(terminal: &str) -> Self {
        Self { terminal: format!("/dev/{terminal}"), pid: None, next: monotonic() }
    }

    /// Starts it when it is time.
    pub(super) fn tick(&mut self) {
        if self.pid.is_some() || monotonic() < self.next {
            return;
        }
        self.next = monotonic() + PAUSE;
        let arguments = [c"busybox", c"setsid", c"-c", c"/usr/bin/busybox", c"sh"];
        match Group::DebugShell.around(|| process::shell(&self.terminal, &arguments, c"PS1=debug# ")) {
            Ok(pid) => self.pid = Some(pid.as_raw()),
            Err(errno) => log::error!("no debug shell on {}: {}", self.terminal, errno.desc()),
        }
    }

    /// When [`Self::tick`] has something to do.
    pub(super) fn due(&self) -> Option<Duration> {
        self.pid.is_none().then_some(self.next)
    }

    /// Some process has ended.
    pub(super) fn ended(&mut self, pid: i32) {
        if self.pid == Some(pid) {
            self.pid = None;
        }
    }
}
