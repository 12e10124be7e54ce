//! A place for one test: its own mount namespace with a shared tmpfs, a busybox root file system, a cgroup.

use crate::merge::merge;
use hull_runtime::cgroup::{self, Limits};
use hull_runtime::{DeviceRules, Exec, Launch, StartError, Started, Stdio, User, exec, start};
use nix::sched::{CloneFlags, unshare};
use rustix::mount::{MountFlags, MountPropagationFlags, UnmountFlags, mount, mount_change, unmount};
use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};
use rustix::process::{PidfdFlags, WaitId, WaitIdOptions, WaitIdStatus, pidfd_open, set_child_subreaper, waitid};
use serde_json::{Value, json};
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{PoisonError, RwLock};
use std::time::Duration;

/// Longest wait for something that takes milliseconds.
const PATIENCE: Duration = Duration::from_secs(20);

static NUMBER: AtomicU32 = AtomicU32::new(0);

/// Held for writing while an executable is written: a helper forked at that moment by another test would hold the file
/// open until its execve, and executing the file would fail with `ETXTBSY`.
static FORK: RwLock<()> = RwLock::new(());

/// See the module. Everything in it goes with it.
pub(crate) struct Bed {
    dir: tempfile::TempDir,
    base: PathBuf,
    /// The runtime helper under a name of its own, so that what is left of it can be told from other tests' helpers.
    helper: PathBuf,
    id: String,
}

impl Bed {
    pub(crate) fn new() -> Self {
        assert!(rustix::process::geteuid().is_root(), "this test needs root");
        set_child_subreaper(Some(rustix::process::getpid())).expect("become subreaper");
        // A namespace of this thread alone; helpers it starts inherit it.
        unshare(CloneFlags::CLONE_NEWNS).expect("unshare mount namespace");
        mount_change("/", MountPropagationFlags::PRIVATE | MountPropagationFlags::REC).expect("make / private");
        let dir = tempfile::tempdir().expect("temporary directory");
        mount("tmpfs", dir.path(), "tmpfs", MountFlags::empty(), None).expect("mount tmpfs");
        mount_change(dir.path(), MountPropagationFlags::SHARED).expect("make tmpfs shared");

        let id = format!("h{}-{}", std::process::id(), NUMBER.fetch_add(1, Ordering::Relaxed));
        let helper = dir.path().join(&id);
        symlink(helper_example(), &helper).expect("link helper");
        let bed = Self { base: cgroup_mount().join(format!("hull-test-{id}")), dir, helper, id };
        bed.make_root();
        bed
    }

    fn make_root(&self) {
        let root = self.path("root");
        for directory in ["usr/bin", "dev", "proc", "sys", "run", "tmp", "etc", "var", "mnt"] {
            fs::create_dir_all(root.join(directory)).expect("make directory");
        }
        symlink("usr/bin", root.join("bin")).expect("link /bin");
        let _no_fork = FORK.write().unwrap_or_else(PoisonError::into_inner);
        fs::copy("/bin/busybox", root.join("usr/bin/busybox")).expect("install Debian's busybox-static");
        symlink("busybox", root.join("usr/bin/sh")).expect("link sh");
        fs::write(root.join("etc/origin"), "image\n").expect("write /etc/origin");
    }

    /// A path on the bed's shared tmpfs.
    pub(crate) fn path(&self, relative: &str) -> PathBuf {
        self.dir.path().join(relative)
    }

    pub(crate) fn make_dir(&self, relative: &str) -> PathBuf {
        let path = self.path(relative);
        fs::create_dir_all(&path).expect("make directory");
        path
    }

    pub(crate) fn cgroup(&self, name: &str) -> PathBuf {
        self.base.join(name)
    }

    /// A launch of `script` by busybox's shell, with `changes` merged over an unprivileged specification.
    pub(crate) fn launch(&self, name: &str, script: &str, changes: Value) -> Launch {
        let mut spec = json!({
            "ociVersion": "1.0.2",
            "hostname": name,
            "process": {
                "user": {"uid": 0, "gid": 0},
                "args": ["/usr/bin/busybox", "sh", "-c", script],
                "env": ["PATH=/usr/bin"],
                "cwd": "/",
                "noNewPrivileges": true,
            },
            "mounts": [],
            "linux": {"namespaces": [
                {"type": "pid"}, {"type": "mount"}, {"type": "ipc"}, {"type": "uts"}, {"type": "cgroup"},
                {"type": "network"},
            ]},
        });
        merge(&mut spec, changes);
        Launch {
            spec: serde_json::from_value(spec).expect("specification"),
            rootfs: self.path("root"),
            cgroup: self.cgroup(name),
            seccomp: None,
            devices: DeviceRules::default(),
            delegate: false,
        }
    }

    /// Makes the cgroup and starts.
    pub(crate) fn start(&self, launch: &Launch) -> Result<Running, StartError> {
        cgroup::create(&launch.cgroup, &Limits::default()).expect("create cgroup");
        self.start_in_given_cgroup(launch)
    }

    pub(crate) fn start_in_given_cgroup(&self, launch: &Launch) -> Result<Running, StartError> {
        Running::with_pipes(|stdio| start(&self.helper, launch, stdio))
    }

    /// Starts, waits for the end, returns standard output; a status other than 0 fails the test.
    pub(crate) fn output(&self, launch: &Launch) -> String {
        self.start(launch).expect("start").output()
    }

    pub(crate) fn exec(&self, exec_: &Exec) -> Result<Running, StartError> {
        self.exec_at(exec_, pidfd_of(exec_).as_fd())
    }

    /// As [`Self::exec`], whatever process the number in `exec_` is.
    pub(crate) fn exec_at(&self, exec_: &Exec, init: BorrowedFd<'_>) -> Result<Running, StartError> {
        Running::with_pipes(|stdio| exec(&self.helper, exec_, init, stdio))
    }

    /// As [`Self::start`], with a socket as standard input: the runtime's helper waits for a request on one.
    pub(crate) fn start_on_socket(&self, launch: &Launch) -> Result<Running, StartError> {
        cgroup::create(&launch.cgroup, &Limits::default()).expect("create cgroup");
        let (ours, theirs) = sockets();
        Running::with(&theirs, ours, |stdio| start(&self.helper, launch, stdio))
    }

    /// As [`Self::exec`], with a socket as standard input.
    pub(crate) fn exec_on_socket(&self, exec_: &Exec) -> Result<Running, StartError> {
        let (ours, theirs) = sockets();
        Running::with(&theirs, ours, |stdio| exec(&self.helper, exec_, pidfd_of(exec_).as_fd(), stdio))
    }

    /// What a script in container `name` looks like.
    pub(crate) fn exec_of(&self, name: &str, running: &Running, script: &str) -> Exec {
        Exec {
            init: running.started.pid,
            cgroup: self.cgroup(name),
            command: ["busybox", "sh", "-c", script].map(str::to_owned).into(),
            env: vec!["PATH=/usr/bin".into()],
            cwd: "/".into(),
            user: User::default(),
            capabilities: None,
            no_new_privs: true,
            seccomp: None,
            tty: false,
            size: None,
        }
    }

    /// Mounts of this thread's namespace.
    pub(crate) fn host_mounts(&self) -> String {
        fs::read_to_string("/proc/thread-self/mountinfo").expect("mountinfo")
    }

    /// Processes, dead ones included, that are still the bed's helper or were copied from it.
    pub(crate) fn leftovers(&self) -> Vec<String> {
        let processes = fs::read_dir("/proc").expect("/proc").flatten();
        let stat = processes.filter_map(|entry| fs::read_to_string(entry.path().join("stat")).ok());
        stat.filter(|stat| stat.contains(&format!("({})", self.id))).collect()
    }
}

impl Drop for Bed {
    fn drop(&mut self) {
        let tidy = || -> Result<(), Box<dyn std::error::Error>> {
            cgroup::kill(&self.base)?;
            cgroup::wait_empty(&self.base, PATIENCE)?;
            cgroup::remove(&self.base)?;
            Ok(unmount(self.dir.path(), UnmountFlags::DETACH)?)
        };
        if let Err(error) = tidy() {
            eprintln!("test bed {}: {error}", self.id);
        }
    }
}

/// A started process with its streams.
pub(crate) struct Running {
    pub(crate) started: Started,
    stdin: Option<File>,
    stdout: BufReader<File>,
}

impl Running {
    fn with_pipes(launch: impl FnOnce(Stdio<'_>) -> Result<Started, StartError>) -> Result<Self, StartError> {
        let (stdin, feed) = pipe();
        Self::with(&stdin, feed, launch)
    }

    fn with(
        stdin: &OwnedFd,
        feed: OwnedFd,
        launch: impl FnOnce(Stdio<'_>) -> Result<Started, StartError>,
    ) -> Result<Self, StartError> {
        let (output, stdout) = pipe();
        let _fork = FORK.read().unwrap_or_else(PoisonError::into_inner);
        let started = launch(Stdio { stdin: stdin.as_fd(), stdout: stdout.as_fd(), stderr: stdout.as_fd() })?;
        Ok(Self { started, stdin: Some(feed.into()), stdout: BufReader::new(output.into()) })
    }

    /// The next line it writes.
    pub(crate) fn line(&mut self) -> String {
        let mut line = String::new();
        self.stdout.read_line(&mut line).expect("read line");
        line.trim_end().to_owned()
    }

    /// Ends its `read`.
    pub(crate) fn feed(&mut self) {
        self.stdin.as_mut().expect("open").write_all(b"go\n").expect("write line");
    }

    pub(crate) fn wait(&self) -> WaitIdStatus {
        waitid(WaitId::PidFd(self.started.pidfd.as_fd()), WaitIdOptions::EXITED).expect("wait").expect("status")
    }

    pub(crate) fn output(mut self) -> String {
        drop(self.stdin.take());
        let mut text = String::new();
        self.stdout.read_to_string(&mut text).expect("read output");
        assert_eq!(self.wait().exit_status(), Some(0), "output: {text}");
        text
    }
}

fn pipe() -> (OwnedFd, OwnedFd) {
    rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC).expect("pipe")
}

fn pidfd_of(exec: &Exec) -> OwnedFd {
    pidfd_open(exec.init, PidfdFlags::empty()).expect("pidfd")
}

fn sockets() -> (OwnedFd, OwnedFd) {
    socketpair(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None).expect("socketpair")
}

/// Value of a `Key:\tvalue` line, as in `/proc/<pid>/status`.
pub(crate) fn field<'a>(text: &'a str, key: &str) -> &'a str {
    let value = text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(':'));
    value.unwrap_or_else(|| unreachable!("no {key} in {text}")).trim()
}

/// A specification with the five sets equal.
pub(crate) fn capabilities(names: &[&str]) -> Value {
    json!({"bounding": names, "permitted": names, "effective": names, "inheritable": [], "ambient": []})
}

/// `target/<profile>/examples/runtime_helper`, next to this test's `deps` directory.
fn helper_example() -> PathBuf {
    let test = std::env::current_exe().expect("own path");
    let profile = test.parent().and_then(Path::parent).expect("target directory");
    let helper = profile.join("examples/runtime_helper");
    assert!(helper.exists(), "build the examples of hull-runtime first: cargo build -p hull-runtime --examples");
    helper
}

/// Where cgroup2 is mounted on this machine.
fn cgroup_mount() -> PathBuf {
    let mounts = fs::read_to_string("/proc/thread-self/mountinfo").expect("mountinfo");
    let mount = mounts.lines().find(|line| line.contains(" - cgroup2 ")).expect("a cgroup2 mount");
    mount.split(' ').nth(4).expect("mount point").into()
}
