//! Processes the kernel kills for want of memory: noticed, named with the limit that was hit, told and kept.

use super::system::System;
use crate::kernel_log::{KernelLog, Victim};
use hull_runtime::cgroup::memory::{self, EVENTS};
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::Duration;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// Kills come in bursts: those within this time are one report.
const BURST: Duration = Duration::from_millis(200);
/// Most victims a report names.
const NAMED: usize = 4;

/// What is known of a service's kills; part of its record.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kills {
    /// Figures of the run under way that have been reported.
    seen: Figures,
    /// A process was killed in the run under way, or the last one.
    pub in_run: bool,
    /// Reports since the machine was started.
    pub reports: u64,
    /// The last one.
    pub last: Option<String>,
}

impl Kills {
    /// Another container begins.
    pub fn begin_run(&mut self) {
        self.seen = Figures::default();
        self.in_run = false;
    }
}

/// Sums over the cgroups that hold the service's own processes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Figures {
    kills: u64,
    group_kills: u64,
    own_limit: u64,
}

/// Watches one container.
#[derive(Debug)]
pub struct Watch {
    cgroup: PathBuf,
    name: PathBuf,
    delegate: bool,
    log: Option<KernelLog>,
}

impl Watch {
    fn new(cgroup: PathBuf, delegate: bool) -> Self {
        let log = KernelLog::open().inspect_err(|errno| log::debug!("kernel messages: {errno}")).ok();
        Self { name: memory::name(&cgroup), cgroup, delegate, log }
    }

    /// What of the subtree is the service itself. Of a delegated one the rest is applications, whose own limits and ends
    /// are for the engine to report.
    fn groups(&self) -> Vec<PathBuf> {
        let mut groups = vec![self.cgroup.clone()];
        if self.delegate {
            groups.extend(["service-init", "exec"].map(|leaf| self.cgroup.join(leaf)));
            let processes = std::fs::read_dir(self.cgroup.join("processes"));
            groups.extend(processes.into_iter().flatten().flatten().map(|entry| entry.path()));
        }
        groups
    }

    fn figures(&self) -> Figures {
        let mut sum = Figures::default();
        for group in self.groups() {
            match memory::events(&group) {
                Ok(events) => {
                    let events = events.unwrap_or_default();
                    sum.kills += events.oom_kill;
                    sum.group_kills += events.oom_group_kill;
                    sum.own_limit += events.oom;
                }
                Err(error) => log::debug!("{error}"),
            }
        }
        sum
    }

    /// What came since `seen`, which is brought up to date.
    fn look(&mut self, seen: &mut Figures, limit: Option<&str>) -> Option<String> {
        let (before, now) = (std::mem::replace(seen, self.figures()), *seen);
        let killed = now.kills.saturating_sub(before.kills);
        if killed == 0 {
            return None;
        }
        let victims = self.log.as_mut().map(|log| log.victims(&self.name)).unwrap_or_default();
        let all = now.group_kills > before.group_kills;
        Some(report(killed, all, &victims, (now.own_limit > before.own_limit).then_some(limit)))
    }
}

/// One line: whom, and the limit that was hit; `None` is the machine's.
fn report(killed: u64, all: bool, victims: &[Victim], limit: Option<Option<&str>>) -> String {
    let mut whom: Vec<String> = victims.iter().take(NAMED).map(ToString::to_string).collect();
    let rest = killed.saturating_sub(u64::try_from(whom.len()).unwrap_or(u64::MAX));
    match (rest, whom.is_empty()) {
        (0, _) => {}
        (1, true) => whom.push("a process".into()),
        (rest, true) => whom.push(format!("{rest} processes")),
        (rest, false) => whom.push(format!("{rest} more")),
    }
    let all = if all { " (all of the service, oom-group)" } else { "" };
    let limit = match limit {
        Some(Some(size)) => format!("limit memory-max {size}"),
        Some(None) => "limit of its cgroup".into(),
        None => "the machine is out of memory".into(),
    };
    format!("killed for want of memory: {}{all}, {limit}", whom.join(", "))
}

/// Begins to watch a container that was started or taken over.
pub fn begin(system: &Rc<System>, name: &str) {
    let cgroup = system.paths.cgroup.join(name);
    let events = cgroup.join(EVENTS);
    system.with(name, |unit| {
        let delegate = unit.definition.as_ref().is_some_and(|service| service.security.delegate);
        unit.oom = Some(Watch::new(cgroup, delegate));
    });
    check(system, name);
    let (shared, service) = (Rc::clone(system), name.to_owned());
    let task = tokio::task::spawn_local(async move {
        if let Err(error) = follow(&events, || check(&shared, &service)).await {
            // Without the controller there is nothing to follow; what happened is still looked at when the service ends.
            log::debug!("{service}: {}: {error}", events.display());
        }
    });
    if let Some(Some(old)) = system.with(name, |unit| unit.oom_task.replace(task)) {
        old.abort();
    }
}

/// Calls `changed` after every change of a cgroup file that announces its changes.
async fn follow(path: &Path, mut changed: impl FnMut()) -> io::Result<()> {
    #[expect(deprecated, reason = "what takes its place is unsafe for the sake of types other than File")]
    let file = AsyncFd::with_interest(File::open(path)?, Interest::PRIORITY)?;
    loop {
        // Reading acknowledges earlier changes, so that the next one is announced.
        file.get_ref().read_at(&mut [0; 1], 0)?;
        file.ready(Interest::PRIORITY).await?.clear_ready();
        tokio::time::sleep(BURST).await;
        changed();
    }
}

/// Looks now. To be called before the cgroup goes, too.
pub fn check(system: &System, name: &str) {
    let report = system.with(name, |unit| {
        let limit = unit.definition.as_ref().and_then(|service| service.limits.memory_max.as_deref());
        let kills = &mut unit.record.oom;
        let report = unit.oom.as_mut()?.look(&mut kills.seen, limit)?;
        kills.in_run = true;
        kills.reports += 1;
        kills.last = Some(report.clone());
        Some(report)
    });
    if let Some(Some(report)) = report {
        log::warn!("{name}: {report}");
        system.save(name);
        system.tell(name, "oom", &[]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(folder: &Path, oom: u64, kill: u64, group: u64) {
        std::fs::create_dir_all(folder).unwrap();
        let text = format!("low 0\nhigh 0\nmax 9\noom {oom}\noom_kill {kill}\noom_group_kill {group}\n");
        std::fs::write(folder.join("memory.events.local"), text).unwrap();
    }

    #[test]
    fn each_kill_is_reported_once_with_the_limit_that_was_hit() {
        let folder = tempfile::tempdir().unwrap();
        let mut watch = Watch { log: None, ..Watch::new(folder.path().join("a"), false) };
        let mut seen = Figures::default();
        assert_eq!(watch.look(&mut seen, Some("64M")), None);
        for (oom, kill, group, expected) in [
            (1, 0, 0, None),
            (2, 1, 0, Some("killed for want of memory: a process, limit memory-max 64M")),
            (2, 1, 0, None),
            (2, 3, 0, Some("killed for want of memory: 2 processes, the machine is out of memory")),
            (
                3,
                6,
                1,
                Some("killed for want of memory: 3 processes (all of the service, oom-group), limit memory-max 64M"),
            ),
        ] {
            write(&folder.path().join("a"), oom, kill, group);
            assert_eq!(watch.look(&mut seen, Some("64M")).as_deref(), expected, "{oom} {kill} {group}");
        }
    }

    #[test]
    fn applications_of_an_engine_are_not_the_engine() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("docker");
        write(&path, 0, 0, 0);
        write(&path.join("docker/0123"), 1, 1, 0);
        let mut watch = Watch { log: None, ..Watch::new(path.clone(), true) };
        let mut seen = Figures::default();
        assert_eq!(watch.look(&mut seen, None), None);
        write(&path.join("processes/dockerd"), 0, 1, 0);
        let report = watch.look(&mut seen, None).unwrap();
        assert_eq!(report, "killed for want of memory: a process, the machine is out of memory");
    }

    #[tokio::test]
    async fn root_changes_of_a_cgroup_file_are_noticed() {
        assert!(rustix::process::geteuid().is_root(), "root_* tests need root");
        let mounts = std::fs::read_to_string("/proc/self/mounts").unwrap();
        let mut fields = mounts.lines().map(|line| line.split(' ').collect::<Vec<_>>());
        let mount = fields.find(|fields| fields[2] == "cgroup2").expect("cgroup2 is mounted")[1];
        let group = Path::new(mount).join(format!("hull-oom-test-{}", std::process::id()));
        std::fs::create_dir(&group).unwrap();
        let (sender, mut changes) = tokio::sync::mpsc::unbounded_channel();
        let events = group.join("cgroup.events");
        let noticed = async {
            // Another file of the same kind; the memory controller may be missing here.
            for step in 0.. {
                hull_runtime::cgroup::ask_freeze(&group, step % 2 == 0).unwrap();
                // A change before the file is open is no change: make another.
                if tokio::time::timeout(BURST * 5, changes.recv()).await.is_ok() {
                    return;
                }
            }
        };
        tokio::select! {
            ended = follow(&events, || sender.send(()).unwrap()) => panic!("{ended:?}"),
            () = noticed => {}
            () = tokio::time::sleep(Duration::from_secs(20)) => panic!("nothing was noticed"),
        }
        std::fs::remove_dir(&group).unwrap();
    }

    #[test]
    fn victims_are_named() {
        let victim = |pid| Victim { name: "x".into(), pid };
        for (killed, victims, expected) in [
            (1, vec![victim(3)], "x (pid 3)"),
            (3, vec![victim(3)], "x (pid 3), 2 more"),
            (6, (1..=6).map(victim).collect(), "x (pid 1), x (pid 2), x (pid 3), x (pid 4), 2 more"),
        ] {
            let text = report(killed, false, &victims, None);
            assert_eq!(text, format!("killed for want of memory: {expected}, the machine is out of memory"));
        }
    }
}
