//! A place for one test: bundles on one busybox root file system, and a root of its own for the runtime.

use crate::merge::merge;
use serde_json::{Value, json};
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// Longest wait for something that takes milliseconds.
const PATIENCE: Duration = Duration::from_secs(20);

static NUMBER: AtomicU32 = AtomicU32::new(0);

/// See the module. Everything in it goes with it.
pub(crate) struct Bed {
    dir: tempfile::TempDir,
    id: String,
}

impl Bed {
    pub(crate) fn new() -> Self {
        assert!(rustix::process::geteuid().is_root(), "this test needs root");
        let dir = tempfile::tempdir().expect("temporary directory");
        let id = format!("hull-oci-{}-{}", std::process::id(), NUMBER.fetch_add(1, Ordering::Relaxed));
        let root = dir.path().join("rootfs");
        for directory in ["bin", "dev", "proc", "sys", "run", "tmp", "etc", "mnt"] {
            fs::create_dir_all(root.join(directory)).expect("make directory");
        }
        fs::copy("/bin/busybox", root.join("bin/busybox")).expect("install Debian's busybox-static");
        symlink("busybox", root.join("bin/sh")).expect("link sh");
        Self { dir, id }
    }

    pub(crate) fn path(&self, relative: &str) -> PathBuf {
        self.dir.path().join(relative)
    }

    /// Lets the root file system be reached by users of a user namespace, who own nothing of it.
    pub(crate) fn open_to_users(&self) {
        fs::set_permissions(self.path(""), fs::Permissions::from_mode(0o755)).expect("chmod");
    }

    /// Where the container's cgroup is, below the hierarchy's root.
    pub(crate) fn cgroup(&self, id: &str) -> PathBuf {
        let mounts = fs::read_to_string("/proc/self/mountinfo").expect("mountinfo");
        let mount = mounts.lines().find(|line| line.contains(" - cgroup2 ")).expect("a cgroup2 mount");
        Path::new(mount.split(' ').nth(4).expect("mount point")).join(&self.id).join(id)
    }

    /// A bundle that runs `script` in busybox's shell, with `changes` merged over a usual configuration.
    pub(crate) fn bundle(&self, id: &str, script: &str, changes: Value) -> PathBuf {
        let mut config = json!({
            "ociVersion": "1.2.0",
            "root": {"path": self.path("rootfs"), "readonly": true},
            "process": {
                "user": {"uid": 0, "gid": 0},
                "args": ["sh", "-c", script],
                "env": ["PATH=/bin"],
                "cwd": "/",
                "noNewPrivileges": true,
            },
            "mounts": [
                {"destination": "/proc", "type": "proc", "source": "proc"},
                {"destination": "/dev", "type": "tmpfs", "source": "tmpfs", "options": ["nosuid", "mode=755"]},
                {"destination": "/dev/pts", "type": "devpts", "source": "devpts",
                 "options": ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620"]},
                {"destination": "/tmp", "type": "bind", "source": self.path("shared"), "options": ["rbind"]},
            ],
            "linux": {
                "cgroupsPath": format!("/{}/{id}", self.id),
                "namespaces": [
                    {"type": "pid"}, {"type": "mount"}, {"type": "ipc"}, {"type": "uts"}, {"type": "cgroup"},
                    {"type": "network"},
                ],
            },
        });
        merge(&mut config, changes);
        fs::create_dir_all(self.path("shared")).expect("make directory");
        let bundle = self.path(&format!("bundle-{id}"));
        fs::create_dir_all(&bundle).expect("make bundle");
        fs::write(bundle.join("config.json"), config.to_string()).expect("write configuration");
        bundle
    }

    /// The runtime, its `--root` given; words of `line` are arguments.
    pub(crate) fn command(&self, line: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_hull-runtime"));
        command.arg("--root").arg(self.path("state")).args(line.split_whitespace()).stdin(Stdio::null());
        command
    }

    /// Ends well; returns standard output.
    pub(crate) fn ok(&self, line: &str) -> String {
        let output = self.command(line).output().expect("run hull-runtime");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{line}: {}: {said}", output.status);
        String::from_utf8(output.stdout).expect("UTF-8")
    }

    /// Fails; returns the message.
    pub(crate) fn fails(&self, line: &str) -> String {
        let output = self.command(line).output().expect("run hull-runtime");
        assert_eq!(output.status.code(), Some(1), "{line}: {output:?}");
        String::from_utf8(output.stderr).expect("UTF-8")
    }

    /// Runs a container in the foreground.
    pub(crate) fn run(&self, id: &str, script: &str, changes: Value) -> Output {
        let bundle = self.bundle(id, script, changes);
        self.command(&format!("run --bundle {} {id}", bundle.display())).output().expect("run hull-runtime")
    }

    /// Runs a container that ends well; returns standard output.
    pub(crate) fn output(&self, id: &str, script: &str, changes: Value) -> String {
        let output = self.run(id, script, changes);
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).expect("UTF-8")
    }

    /// Creates a container without streams: a created process would keep this test's pipes open.
    pub(crate) fn create(&self, id: &str, script: &str, changes: Value) {
        let bundle = self.bundle(id, script, changes);
        let mut command = self.command(&format!("create --bundle {} {id}", bundle.display()));
        let status = command.stdout(Stdio::null()).stderr(Stdio::null()).status().expect("run hull-runtime");
        assert!(status.success(), "create {id}: {status}");
    }

    /// Creates and starts.
    pub(crate) fn start(&self, id: &str, script: &str, changes: Value) {
        self.create(id, script, changes);
        self.ok(&format!("start {id}"));
    }

    pub(crate) fn state(&self, id: &str) -> Value {
        serde_json::from_str(&self.ok(&format!("state {id}"))).expect("JSON")
    }

    pub(crate) fn status(&self, id: &str) -> String {
        self.state(id)["status"].as_str().expect("status").to_owned()
    }

    /// Waits until `condition` holds.
    pub(crate) fn wait(&self, what: &str, condition: impl Fn() -> bool) {
        let deadline = Instant::now() + PATIENCE;
        while !condition() {
            assert!(Instant::now() < deadline, "{what}: not within {PATIENCE:?}");
            sleep(Duration::from_millis(5));
        }
    }

    /// Nothing of container `id` is left.
    pub(crate) fn assert_gone(&self, id: &str) {
        assert!(self.fails(&format!("state {id}")).contains("does not exist"));
        assert!(!self.path("state").join(id).exists() && !self.cgroup(id).exists());
    }
}

impl Drop for Bed {
    fn drop(&mut self) {
        let list = self.command("list --quiet").output().map(|output| output.stdout).unwrap_or_default();
        for id in String::from_utf8_lossy(&list).lines() {
            if let Err(error) = self.command(&format!("delete --force {id}")).status() {
                eprintln!("delete {id}: {error}");
            }
        }
        let base = self.cgroup("");
        match fs::remove_dir(&base) {
            Err(error) if base.exists() => eprintln!("remove {}: {error}", base.display()),
            _ => {}
        }
    }
}
