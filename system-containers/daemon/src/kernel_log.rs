//! The kernel's own messages, `/dev/kmsg` (`Documentation/ABI/testing/dev-kmsg`): whom it killed for want of memory.

use rustix::fs::{Mode, OFlags, SeekFrom};
use rustix::io::Errno;
use std::fmt;
use std::os::fd::OwnedFd;
use std::path::Path;

const DEVICE: &str = "/dev/kmsg";
/// Longest record in bytes, `CONSOLE_EXT_LOG_MAX` of the kernel.
const RECORD_SIZE: usize = 8192;
/// The kernel's own messages are those of facility 0; others were written by processes.
const FACILITY_SHIFT: u32 = 3;

/// A process the kernel killed for want of memory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Victim {
    /// Its name, at most 15 bytes.
    pub name: String,
    /// Its id in the host's numbering.
    pub pid: i32,
}

impl fmt::Display for Victim {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} (pid {})", self.name, self.pid)
    }
}

/// Messages from now on.
#[derive(Debug)]
pub struct KernelLog(OwnedFd);

impl KernelLog {
    /// Opens the messages that are still to come.
    ///
    /// # Errors
    /// What opening gave; `EPERM` where the kernel's messages are not for this process.
    pub fn open() -> Result<Self, Errno> {
        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let device = rustix::fs::open(DEVICE, flags, Mode::empty())?;
        rustix::fs::seek(&device, SeekFrom::End(0))?;
        Ok(Self(device))
    }

    /// Victims in the cgroup and those below it, named as the kernel names it, since the last call.
    pub fn victims(&mut self, cgroup: &Path) -> Vec<Victim> {
        let mut victims = Vec::new();
        let mut record = vec![0; RECORD_SIZE];
        loop {
            match rustix::io::read(&self.0, &mut record) {
                Ok(0) => return victims,
                Ok(length) => victims.extend(victim(&String::from_utf8_lossy(&record[..length]), cgroup)),
                // Older ones were overwritten meanwhile: the next is read from where the buffer begins now.
                Err(Errno::PIPE | Errno::INTR) => {}
                Err(Errno::AGAIN) => return victims,
                Err(errno) => {
                    log::debug!("{DEVICE}: {errno}");
                    return victims;
                }
            }
        }
    }
}

/// Reads `PRIORITY,SEQUENCE,TIME,FLAGS;oom-kill:…,task_memcg=GROUP,task=NAME,pid=NUMBER,uid=NUMBER`, the line of
/// `dump_oom_victim()` in the kernel's `mm/oom_kill.c`.
fn victim(record: &str, cgroup: &Path) -> Option<Victim> {
    let (prefix, text) = record.split_once(';')?;
    let priority: u32 = prefix.split(',').next()?.parse().ok()?;
    let facts = text.lines().next()?.strip_prefix("oom-kill:").filter(|_| priority >> FACILITY_SHIFT == 0)?;
    // The name may hold any byte, so it is what lies between its neighbours.
    let (head, tail) = facts.rsplit_once(",pid=")?;
    let (group, name) = head.split_once(",task_memcg=")?.1.split_once(",task=")?;
    let pid = tail.split(',').next()?.parse().ok()?;
    Path::new(group).starts_with(cgroup).then(|| Victim { name: name.into(), pid })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn victims_of_a_cgroup() {
        let line = |priority: u32, group: &str, task: &str| {
            format!(
                "{priority},812,99123456,-;oom-kill:constraint=CONSTRAINT_MEMCG,nodemask=(null),cpuset=/,mems_allowed=0,\
                 oom_memcg=/services/a,task_memcg={group},task={task},pid=77,uid=0\n SUBSYSTEM=x\n"
            )
        };
        let found = |name: &str| Some(Victim { name: name.into(), pid: 77 });
        for (record, expected) in [
            (line(6, "/services/a", "busybox"), found("busybox")),
            (line(6, "/services/a/processes/x", "a,b"), found("a,b")),
            (line(6, "/services/ab", "busybox"), None),
            (line(14, "/services/a", "forged by a process"), None),
            ("6,1,2,-;Out of memory".into(), None),
            (String::new(), None),
        ] {
            assert_eq!(victim(&record, Path::new("/services/a")), expected, "{record}");
        }
    }
}
