//! What happened for want of memory: `memory.events` of a cgroup.

use super::{CgroupError, failed, is_cgroup, key};
use std::fs;
use std::path::{Path, PathBuf};

/// File whose changes the kernel announces by `POLLPRI`; its figures include everything below the cgroup.
pub const EVENTS: &str = "memory.events";

/// Figures of one cgroup since it was made, those of its children not included (`memory.events.local`).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Events {
    /// `oom`: its own limit was hit and reclaim did not help.
    pub oom: u64,
    /// `oom_kill`: processes of it that were killed, whosever limit was hit.
    pub oom_kill: u64,
    /// `oom_group_kill`: times all of it was killed at once.
    pub oom_group_kill: u64,
}

/// Reads the figures of a cgroup itself; `None` without the memory controller or the cgroup.
///
/// # Errors
/// What reading gave.
pub fn events(path: &Path) -> Result<Option<Events>, CgroupError> {
    let file = path.join("memory.events.local");
    match fs::read_to_string(&file) {
        Ok(text) => Ok(Some(parse(&text))),
        Err(error) if super::is_gone(&error) => Ok(None),
        Err(error) => Err(failed("read", &file)(error)),
    }
}

fn parse(text: &str) -> Events {
    let count = |name| key(text, name).unwrap_or(0);
    Events { oom: count("oom"), oom_kill: count("oom_kill"), oom_group_kill: count("oom_group_kill") }
}

/// The cgroup as the kernel's messages name it: from the root of the hierarchy, with a leading `/`.
pub fn name(path: &Path) -> PathBuf {
    let root = path.ancestors().filter(|dir| is_cgroup(dir)).last().unwrap_or(path);
    Path::new("/").join(path.strip_prefix(root).unwrap_or(path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_of_a_cgroup() {
        let folder = tempfile::tempdir().expect("temporary directory");
        assert_eq!(events(folder.path()).expect("missing is none"), None);
        let text = "low 0\nhigh 0\nmax 31\noom 2\noom_kill 3\noom_group_kill 1\n";
        fs::write(folder.path().join("memory.events.local"), text).expect("write");
        let expected = Events { oom: 2, oom_kill: 3, oom_group_kill: 1 };
        assert_eq!(events(folder.path()).expect("read"), Some(expected));
    }

    #[test]
    fn names_begin_at_the_root_of_the_hierarchy() {
        let folder = tempfile::tempdir().expect("temporary directory");
        let path = folder.path().join("root/services/a");
        fs::create_dir_all(&path).expect("make");
        for dir in ["root", "root/services", "root/services/a"] {
            fs::write(folder.path().join(dir).join("cgroup.controllers"), "").expect("write");
        }
        assert_eq!(name(&path), Path::new("/services/a"));
    }
}
