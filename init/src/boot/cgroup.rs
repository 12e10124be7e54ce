//! The top of the cgroup v2 tree: controllers switched on, `/init` for PID 1, `/daemon` for the system daemon,
//! `/debug-shell` for the shell of `hull.debug-shell`. What lies
//! below `/services` is the daemon's.

use crate::console::Messages;
use std::io::Error;
use std::path::{Path, PathBuf};

const ROOT: &str = "/sys/fs/cgroup";

/// A cgroup PID 1 owns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Group {
    Init,
    Daemon,
    DebugShell,
}

impl Group {
    fn path(self) -> PathBuf {
        Path::new(ROOT).join(match self {
            Self::Init => "init",
            Self::Daemon => "daemon",
            Self::DebugShell => "debug-shell",
        })
    }

    /// Runs `start` so that what it starts is in the group from its first instruction. Without cgroups it still runs.
    pub(crate) fn around<T>(self, start: impl FnOnce() -> T) -> T {
        self.enter_or_warn();
        let started = start();
        Self::Init.enter_or_warn();
        started
    }

    fn enter_or_warn(self) {
        if let Err(error) = self.enter() {
            log::warn!("cannot enter cgroup {self:?}: {error}");
        }
    }

    /// Moves this process into the group; what it starts next is born there.
    pub(crate) fn enter(self) -> Result<(), Error> {
        std::fs::write(self.path().join("cgroup.procs"), "0")
    }

    /// Kills every process of the group at once.
    pub(crate) fn kill(self) -> Result<(), Error> {
        std::fs::write(self.path().join("cgroup.kill"), "1")
    }
}

/// Makes the groups and hands every controller of the kernel to the children. Without cgroups containers have no limits,
/// but they run: problems are messages.
pub(crate) fn prepare(messages: &mut Messages) {
    enable_controllers(messages);
    for group in [Group::Init, Group::Daemon, Group::DebugShell] {
        if let Err(error) = std::fs::create_dir_all(group.path()) {
            messages.error(format!("cannot make {}: {error}", group.path().display()));
        }
    }
}

/// In one write, before there are children: each write waits for all CPUs. The kernel refuses the whole write for one
/// controller it cannot enable, so after a failure they go one by one.
fn enable_controllers(messages: &mut Messages) {
    let control = Path::new(ROOT).join("cgroup.subtree_control");
    let controllers = std::fs::read_to_string(Path::new(ROOT).join("cgroup.controllers")).unwrap_or_default();
    let words: Vec<_> = controllers.split_whitespace().map(|name| format!("+{name}")).collect();
    if std::fs::write(&control, words.join(" ")).is_ok() {
        return;
    }
    for word in words {
        if let Err(error) = std::fs::write(&control, &word) {
            messages.warning(format!("cgroup controller {word} cannot be enabled: {error}"));
        }
    }
}
