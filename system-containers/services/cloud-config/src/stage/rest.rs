//! What happens once the rest of the user data is here: on a machine whose user data, or some of it, comes from the network.
//!
//! ```text
//! compile (Awaited) ─ wanted.json ─ fetch, behind the network ─ fetched.json ─┐
//! apply: name, known accounts; sshd, logins                                   │
//! final: waits ───────────────────────────────────────────────────────────────┤
//!        compile again: /run/hull/config ─ services with new files restart ─ apply again ─ the rest of final
//! ```
//! It is the console that goes on: it may ask the system daemon, and whoever logs in meanwhile is not disturbed.

use super::apply;
use crate::apply::program;
use crate::paths::Paths;
use crate::report::{Final, Messages, Place, Report};
use crate::seed::exchange::Fetched;
use crate::seed::instance::{Instance, Progress};
use anyhow::{Context, ensure};
use rustix::process::{Pid, Signal, kill_process};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

/// `fetch` ends by itself before this.
const FETCH_LIMIT: Duration = Duration::from_secs(900);
/// `compile` takes milliseconds; a machine under load still gets its configuration.
const COMPILE_LIMIT: Duration = Duration::from_secs(60);
const INTERVAL: Duration = Duration::from_millis(200);
/// Directories with files of services, which read them when they start.
const DIRECTORIES: [(&str, &str); 5] =
    [("time", "time"), ("syslog", "syslog"), ("docker", "docker"), ("network", "network"), ("resolved", "network")];
/// Files of the console itself, and what it makes of some.
const CONSOLE: &str = "console";
const AUTHORITIES: &str = "usr/libexec/hull/authorities";
const SSHD: &str = "run/sshd.pid";

/// Limits of the waits, which tests make short.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    fetch: Duration,
    compile: Duration,
}

impl Limits {
    /// Those of a machine.
    pub const BOOT: Self = Self { fetch: FETCH_LIMIT, compile: COMPILE_LIMIT };
}

/// Waits for the rest and puts it to use; at once when everything is here. `hull` is the administrator's command.
pub fn bring(paths: &Paths, hull: &Path, limits: Limits) -> anyhow::Result<()> {
    if progress(paths) != Some(Progress::Awaited) {
        return Ok(());
    }
    let mut report = Report::load(&paths.report);
    report.final_stage = Final::Waiting;
    report.save(&paths.report)?;
    if let Err(error) = use_it(paths, hull, limits) {
        let mut messages = Messages::new("user-data");
        messages.error(Place::default(), "", format!("{error:#}"));
        let mut report = Report::load(&paths.report);
        report.take(&messages);
        report.save(&paths.report)?;
    }
    Ok(())
}

fn use_it(paths: &Paths, hull: &Path, limits: Limits) -> anyhow::Result<()> {
    let fetched = || Fetched::is_there(&paths.metadata);
    ensure!(wait(fetched, limits.fetch), "the service metadata fetched nothing; see hull logs metadata");
    let before = files(&paths.config)?;
    run(hull, "cloud-config")?;
    let compiled = || progress(paths).is_some_and(|progress| progress != Progress::Awaited);
    ensure!(wait(compiled, limits.compile), "the service cloud-config did not use it; see hull logs cloud-config");
    let after = files(&paths.config)?;
    let is_new = |directory: &&(&str, &str)| before.get(directory.0) != after.get(directory.0);
    let mut services: Vec<&str> = DIRECTORIES.iter().filter(is_new).map(|(_, service)| *service).collect();
    services.dedup();
    services.into_iter().try_for_each(|service| run(hull, service))?;
    if before.get(CONSOLE) != after.get(CONSOLE) {
        program::run(&mut Command::new(paths.below_root(AUTHORITIES)), None)?;
    }
    apply::run(paths)?;
    reload_sshd(&paths.below_root(SSHD));
    Ok(())
}

fn progress(paths: &Paths) -> Option<Progress> {
    Instance::load(&paths.report).ok().flatten().map(|instance| instance.progress)
}

fn wait(done: impl Fn() -> bool, limit: Duration) -> bool {
    let end = Instant::now() + limit;
    loop {
        match done() {
            true => return true,
            false if Instant::now() >= end => return false,
            false => std::thread::sleep(INTERVAL),
        }
    }
}

/// Contents of the files of each directory.
fn files(directory: &Path) -> anyhow::Result<BTreeMap<&'static str, BTreeMap<PathBuf, Vec<u8>>>> {
    let mut all = BTreeMap::new();
    for name in DIRECTORIES.iter().map(|(name, _)| *name).chain([CONSOLE]) {
        let mut files = BTreeMap::new();
        for entry in std::fs::read_dir(directory.join(name)).into_iter().flatten().flatten() {
            let path = entry.path();
            let content = std::fs::read(&path).with_context(|| format!("read {}", path.display()))?;
            files.insert(path, content);
        }
        all.insert(name, files);
    }
    Ok(all)
}

fn run(hull: &Path, service: &str) -> anyhow::Result<()> {
    program::run(Command::new(hull).args(["restart", service]), None)
        .with_context(|| format!("{service} was not restarted with its new configuration"))
}

/// Host keys and whether passwords are taken are read when it starts. One that does not run yet will read them.
fn reload_sshd(file: &Path) {
    let number = std::fs::read_to_string(file).ok().and_then(|text| text.trim().parse().ok());
    if let Some(pid) = number.and_then(Pid::from_raw) {
        kill_process(pid, Signal::HUP).ok();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store;
    use std::os::unix::fs::PermissionsExt;

    const SHORT: Limits = Limits { fetch: Duration::from_millis(300), compile: Duration::from_millis(300) };

    /// A machine that waits, and a `hull` that notes its calls and runs `script` when cloud-config is restarted.
    fn machine(script: &str) -> (tempfile::TempDir, Paths, PathBuf) {
        let directory = tempfile::tempdir().unwrap();
        let paths = Paths::below(directory.path());
        let instance = Instance { id: "i".into(), progress: Progress::Awaited, ..Instance::default() };
        instance.save(&paths.report).unwrap();
        store::write(&paths.root.join("bin/sh"), b"", 0o755).unwrap();
        store::write(&paths.config.join("docker/daemon.json"), b"{}", 0o644).unwrap();
        store::write(&paths.config.join("time/hull.sources"), b"a", 0o644).unwrap();
        let hull = directory.path().join("hull");
        let text = format!(
            "#!/bin/sh\necho \"$@\" >> {0}/calls\ncd {0}/run\n[ \"$2\" != cloud-config ] || {{ {script}\n}}\n",
            directory.path().display()
        );
        std::fs::write(&hull, text).unwrap();
        std::fs::set_permissions(&hull, std::fs::Permissions::from_mode(0o755)).unwrap();
        (directory, paths, hull)
    }

    fn texts(paths: &Paths) -> Vec<String> {
        Report::load(&paths.report).messages.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn services_with_new_files_are_restarted() {
        let script = "sed -i s/awaited/whole/ report/instance.json; echo new > config/docker/daemon.json; mkdir config/network config/resolved; echo dns > config/resolved/a; echo eth0 > config/network/a";
        let (directory, paths, hull) = machine(script);
        Fetched::default().save(&paths.metadata).unwrap();
        bring(&paths, &hull, SHORT).unwrap();
        assert_eq!(texts(&paths), [] as [&str; 0]);
        let calls = std::fs::read_to_string(directory.path().join("calls")).unwrap();
        assert_eq!(calls, "restart cloud-config\nrestart docker\nrestart network\n");
        // Nothing is awaited any more.
        bring(&paths, &hull, SHORT).unwrap();
        assert_eq!(std::fs::read_to_string(directory.path().join("calls")).unwrap(), calls);
    }

    #[test]
    fn what_does_not_come_is_said() {
        let (_directory, paths, hull) = machine("true");
        bring(&paths, &hull, SHORT).unwrap();
        assert!(texts(&paths)[0].contains("the service metadata fetched nothing"), "{:?}", texts(&paths));
        assert_eq!(Report::load(&paths.report).final_stage, Final::Waiting);
        Fetched::default().save(&paths.metadata).unwrap();
        bring(&paths, &hull, SHORT).unwrap();
        assert!(texts(&paths)[1].contains("cloud-config did not use it"), "{:?}", texts(&paths));
        let (_directory, paths, hull) = machine("echo 'hull: no daemon' >&2; exit 1");
        Fetched::default().save(&paths.metadata).unwrap();
        bring(&paths, &hull, SHORT).unwrap();
        assert!(texts(&paths)[0].contains("cloud-config was not restarted"), "{:?}", texts(&paths));
    }
}
