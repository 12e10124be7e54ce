//! A machine for one test: a directory in place of `/`, a cgroup of its own, a stand-in for PID 1, and the real daemon.
//!
//! Tests that use it need root and fail without. They take turns, for a stand-in reaps every child of its process.

pub(crate) mod client;
pub(crate) mod init;

use init::FakeInit;
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// The defaults need CAP_SYS_RESOURCE, which the machine that runs tests may not give.
const LIMITS: &str = "\n[limits]\nopen-files = 1024\n[security]\noom-score-adj = 0\n";

/// Longest wait for anything; the machine may be busy.
pub(crate) const DEADLINE: Duration = Duration::from_secs(30);

static TURN: Mutex<()> = Mutex::new(());

/// The machine.
pub(crate) struct World {
    /// In place of `/`.
    pub(crate) root: PathBuf,
    /// PID 1.
    pub(crate) init: FakeInit,
    cgroup: PathBuf,
    folder: tempfile::TempDir,
    _turn: MutexGuard<'static, ()>,
}

impl World {
    /// A machine without services; its name and mounts are its own.
    pub(crate) fn new() -> Self {
        assert!(rustix::process::geteuid().is_root(), "root_* tests need root");
        let turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
        let flags = nix::sched::CloneFlags::CLONE_NEWUTS | nix::sched::CloneFlags::CLONE_NEWNS;
        nix::sched::unshare(flags).unwrap();
        let private = nix::mount::MsFlags::MS_REC | nix::mount::MsFlags::MS_PRIVATE;
        nix::mount::mount(None::<&str>, "/", None::<&str>, private, None::<&str>).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().to_owned();
        for path in ["services", "run/hull", "state", "binaries", "proc/sys/kernel/random"] {
            fs::create_dir_all(root.join(path)).unwrap();
        }
        fs::copy("/proc/sys/kernel/random/boot_id", root.join("proc/sys/kernel/random/boot_id")).unwrap();
        fs::write(root.join("console"), "").unwrap();
        fs::copy("/bin/busybox", root.join("binaries/busybox")).expect("busybox-static is installed");
        let cgroup = cgroup2().join(format!("hull-test-{}", std::process::id()));
        fs::create_dir_all(&cgroup).unwrap();
        let init = FakeInit::start(&root, &cgroup);
        Self { root, init, cgroup, folder, _turn: turn }
    }

    /// Adds a service with busybox as its image.
    pub(crate) fn service(&self, name: &str, text: &str) {
        let folder = self.root.join("services").join(name);
        for path in ["bin", "proc", "sys", "dev", "run", "tmp", "etc", "data"] {
            fs::create_dir_all(folder.join("rootfs").join(path)).unwrap();
        }
        fs::hard_link(self.root.join("binaries/busybox"), folder.join("rootfs/bin/busybox")).unwrap();
        fs::write(folder.join("service.toml"), format!("description = \"test\"\n{text}{LIMITS}")).unwrap();
    }

    /// The text of a service that runs a shell script; `keys` come first, `tables` last.
    pub(crate) fn script(keys: &str, script: &str, tables: &str) -> String {
        let command = ["/bin/busybox", "sh", "-c", script].map(|word| format!("{word:?}")).join(", ");
        format!("{keys}\n[[process]]\nname = \"main\"\ncommand = [{command}]\n{tables}\n")
    }

    /// `GET /hull/status`; `None` while nobody answers.
    pub(crate) fn status(&self) -> Option<Value> {
        let answer = client::request(&self.socket(), "GET", "/hull/status", "").ok()?;
        serde_json::from_str(&answer.body).ok()
    }

    /// One service's part of the status.
    pub(crate) fn service_status(&self, name: &str) -> Option<Value> {
        self.status()?["services"].as_array()?.iter().find(|service| service["name"] == name).cloned()
    }

    /// Waits for a condition on the status of a service and returns it.
    pub(crate) fn until(&self, name: &str, what: &str, condition: impl Fn(&Value) -> bool) -> Value {
        let mut last = None;
        self.wait(&format!("{name} {what}"), || {
            last = self.service_status(name);
            last.as_ref().is_some_and(&condition)
        });
        last.unwrap()
    }

    /// Waits until a service is in a state.
    pub(crate) fn until_state(&self, name: &str, state: &str) -> Value {
        self.until(name, state, |service| service["state"] == state)
    }

    /// Waits for anything; on the deadline shows what is known.
    pub(crate) fn wait(&self, what: &str, mut condition: impl FnMut() -> bool) {
        let deadline = Instant::now() + DEADLINE;
        while !condition() {
            if Instant::now() > deadline {
                let status = self.status().unwrap_or_default();
                panic!("not within {DEADLINE:?}: {what}\nconsole:\n{}\nstatus: {status:#}", self.console());
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Waits until the log of a service is this; lines are stored a moment after they are written.
    pub(crate) fn wait_log(&self, name: &str, lines: &[&str]) {
        self.wait(&format!("log of {name} is {lines:?}"), || self.log(name) == lines);
    }

    /// Everything on the console.
    pub(crate) fn console(&self) -> String {
        fs::read_to_string(self.root.join("console")).unwrap()
    }

    /// Texts of a service's log records, oldest first, read from its files.
    pub(crate) fn log(&self, name: &str) -> Vec<String> {
        self.records(name).iter().map(|record| record["log"].as_str().unwrap().trim_end().to_owned()).collect()
    }

    /// Log records of a service, oldest first, read from its files.
    pub(crate) fn records(&self, name: &str) -> Vec<Value> {
        let folder = self.root.join("state/log").join(name);
        // The writer may be in the middle of the last line.
        let whole = |file: &&str| {
            let text = fs::read_to_string(folder.join(file)).ok()?;
            text.rfind('\n').map(|end| text[..=end].to_owned())
        };
        let text: String = ["3", "2", "1", "current"].iter().filter_map(whole).collect();
        let records = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        records.filter(|record| record.get("boot").is_none()).collect()
    }

    /// The host's API socket.
    pub(crate) fn socket(&self) -> PathBuf {
        self.root.join("run/system-docker.sock")
    }
}

impl Drop for World {
    fn drop(&mut self) {
        self.init.end();
        kill_all(&self.cgroup);
        // A test that failed shows its own message.
        if !std::thread::panicking() {
            fs::remove_dir_all(self.folder.path().join("services")).unwrap();
        }
    }
}

fn cgroup2() -> PathBuf {
    let mounts = fs::read_to_string("/proc/self/mounts").unwrap();
    let mut fields = mounts.lines().map(|line| line.split(' ').collect::<Vec<_>>());
    fields.find(|fields| fields[2] == "cgroup2").expect("cgroup2 is mounted")[1].into()
}

fn kill_all(cgroup: &Path) {
    fs::write(cgroup.join("cgroup.kill"), "1").ok();
    for _ in 0..100 {
        for folder in ["services", ""] {
            for entry in fs::read_dir(cgroup.join(folder)).into_iter().flatten().flatten() {
                fs::remove_dir(entry.path()).ok();
            }
        }
        if fs::remove_dir(cgroup).is_ok() || !cgroup.exists() {
            return;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}
