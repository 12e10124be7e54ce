//! Runs the real program as an ordinary process over children made of shell lines.
//!
//! Every test has its own directory; children leave traces in files there, and waiting has a deadline.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail the test")]

use nix::fcntl::OFlag;
use nix::pty::{grantpt, posix_openpt, ptsname_r, unlockpt};
use std::fs;
use std::io::Write;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

const DEADLINE: Duration = Duration::from_secs(20);

struct Case {
    directory: tempfile::TempDir,
    child: Child,
    notify: UnixDatagram,
}

impl Case {
    /// Starts the program on `processes`, in which `@` stands for the test's directory.
    fn start(processes: &str) -> Self {
        Self::start_with(processes, |file| {
            let mut command = Command::new(env!("CARGO_BIN_EXE_service-init"));
            command.arg(file);
            command
        })
    }

    fn start_with(processes: &str, command: impl Fn(&Path) -> Command) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path();
        let file = path.join("service.toml");
        let text = format!("description = \"test\"\n{}", processes.replace('@', &path.display().to_string()));
        fs::write(&file, text).unwrap();
        let notify = UnixDatagram::bind(path.join("notify")).unwrap();
        notify.set_read_timeout(Some(DEADLINE)).unwrap();
        let child = command(&file)
            .env("NOTIFY_SOCKET", path.join("notify"))
            .stdin(Stdio::null())
            .stderr(fs::File::create(path.join("log")).unwrap())
            .spawn()
            .unwrap();
        Self { directory, child, notify }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap_or_default()
    }

    fn until(&self, what: &str, condition: impl Fn(&Self) -> bool) {
        let end = Instant::now() + DEADLINE;
        while !condition(self) {
            assert!(Instant::now() < end, "{what}; log: {}", self.read("log"));
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    fn message(&self) -> String {
        let mut buffer = [0; 512];
        let length = self.notify.recv(&mut buffer).unwrap();
        String::from_utf8(buffer[..length].to_vec()).unwrap()
    }

    fn signal(&self, signal: &str) {
        let status = Command::new("kill").args([signal, &self.child.id().to_string()]).status().unwrap();
        assert!(status.success());
    }

    fn end(&mut self) -> ExitStatus {
        let end = Instant::now() + DEADLINE;
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(Instant::now() < end, "does not end; log: {}", self.read("log"));
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    fn stop(&mut self) -> ExitStatus {
        self.signal("-TERM");
        self.end()
    }
}

impl Drop for Case {
    fn drop(&mut self) {
        // Already ended in a test that passed.
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

#[test]
fn starts_in_order_says_ready_and_stops_in_reverse() {
    let mut case = Case::start(
        r#"
        [[process]]
        name = "once"
        command = ["/bin/sh", "-c", "sleep 0.2; echo once >> @/trace"]
        oneshot = true
        [[process]]
        name = "server"
        command = ["/bin/sh", "-c", "trap 'echo server stops >> @/trace; exit 0' TERM; echo server $EXTRA $NOTIFY_SOCKET >> @/trace; sleep 0.2; touch @/up; while :; do sleep 0.05; done"]
        environment = { EXTRA = "extra" }
        after = ["once"]
        ready = { path = "@/up" }
        [[process]]
        name = "client"
        command = ["/bin/sh", "-c", "trap 'sleep 0.2; echo client stops >> @/trace; exit 0' TERM; echo client >> @/trace; while :; do sleep 0.05; done"]
        after = ["server"]
        "#,
    );
    assert_eq!(case.message(), "READY=1\nSTATUS=");
    case.until("client runs", |case| case.read("trace").contains("client"));
    assert!(case.stop().success(), "{}", case.read("log"));
    assert_eq!(case.read("trace"), "once\nserver extra\nclient\nclient stops\nserver stops\n");
    assert_eq!(case.message(), "STOPPING=1");
}

#[test]
fn restarts_what_dies_and_names_it() {
    let mut case = Case::start(
        r#"
        [[process]]
        name = "crash"
        command = ["/bin/sh", "-c", "echo run >> @/trace; sleep 0.3; exit 3"]
        "#,
    );
    case.until("third run", |case| case.read("trace").lines().count() >= 3);
    assert_eq!(case.message(), "READY=1\nSTATUS=");
    assert_eq!(case.message(), "STATUS=crash ended with status 3, restart in 0.1 s");
    assert_eq!(case.message(), "STATUS=crash ended with status 3, restart in 0.2 s");
    case.stop();
    assert!(case.read("log").contains("<4>service-init: crash ended with status 3"), "{}", case.read("log"));
}

#[test]
fn a_program_that_is_missing_is_named() {
    let mut case = Case::start("[[process]]\nname = \"gone\"\ncommand = [\"/no/such/program\"]\noneshot = true\n");
    assert_eq!(case.end().code(), Some(1));
    let log = case.read("log");
    assert!(log.contains("/no/such/program") && log.contains("No such file"), "{log}");
}

#[test]
fn exec_probe_is_asked_until_it_passes() {
    let mut case = Case::start(
        r#"
        [[process]]
        name = "server"
        command = ["/bin/sh", "-c", "sleep 0.3; touch @/up; exec sleep 60"]
        ready = { exec = ["/usr/bin/test", "-e", "@/up"] }
        "#,
    );
    assert_eq!(case.message(), "READY=1\nSTATUS=");
    assert!(case.path("up").exists());
    case.stop();
}

#[test]
fn orphans_are_reaped() {
    let mut case = Case::start(
        r#"
        [[process]]
        name = "parent"
        command = ["/bin/sh", "-c", "(sleep 0.2 & echo $! > @/orphan; exec sleep 0.1) & sleep 60"]
        "#,
    );
    case.until("orphan named", |case| case.read("orphan").ends_with('\n'));
    let orphan = PathBuf::from(format!("/proc/{}", case.read("orphan").trim()));
    case.until("orphan gone without a zombie", |_| !orphan.exists());
    case.stop();
}

#[test]
fn children_get_default_signals_and_a_session_of_their_own() {
    let mut case = Case::start(
        r#"
        [[process]]
        name = "child"
        command = ["/bin/sh", "-c", "cat /proc/self/status /proc/$$/stat > @/state.new; mv @/state.new @/state; exec sleep 60"]
        "#,
    );
    case.until("state", |case| case.path("state").exists());
    let state = case.read("state");
    assert!(state.contains("SigBlk:\t0000000000000000"), "{state}");
    let stat: Vec<&str> = state.lines().last().unwrap().split(' ').collect();
    assert_eq!((stat[0], stat[0]), (stat[4], stat[5]), "process group and session: {stat:?}");
    case.stop();
}

#[test]
fn stays_small() {
    let mut case = Case::start("[[process]]\nname = \"child\"\ncommand = [\"/bin/sleep\", \"60\"]\n");
    case.message();
    let status = fs::read_to_string(format!("/proc/{}/status", case.child.id())).unwrap();
    let kib = |key: &str| -> u64 {
        let value = status.lines().find_map(|line| line.strip_prefix(key)).unwrap();
        value.trim().trim_end_matches(" kB").parse().unwrap()
    };
    // Pages of the program's file are shared between all services that use it; a debug build's are many more.
    assert!(kib("RssAnon:") <= 512, "{status}");
    assert!(cfg!(debug_assertions) || kib("VmRSS:") <= 2048, "{status}");
    case.stop();
}

#[test]
fn a_bad_file_is_named_with_its_line() {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    write!(file, "description = \"x\"\nprocesses = 3\n").unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_service-init")).arg(file.path()).output().unwrap();
    let text = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(text.contains("line 2") && text.contains("processes"), "{text}");
}

#[test]
fn root_terminal_is_taken_as_controlling_terminal() {
    let master = posix_openpt(OFlag::O_RDWR | OFlag::O_NOCTTY).unwrap();
    grantpt(&master).unwrap();
    unlockpt(&master).unwrap();
    let name = ptsname_r(&master).unwrap();
    let mut case = Case::start(&format!(
        r#"
        [[process]]
        name = "getty"
        command = ["/bin/sh", "-c", "tty > @/tty.new; echo from the terminal > /dev/tty; cat /proc/$$/stat >> @/tty.new; mv @/tty.new @/tty; exec sleep 60"]
        tty = "{name}"
        [[process]]
        name = "other"
        command = ["/bin/sleep", "60"]
        tty = "/dev/no-such-terminal"
        "#,
    ));
    assert_eq!(case.message(), "READY=1\nSTATUS=", "a missing terminal holds nothing up");
    case.until("terminal", |case| case.path("tty").exists());
    assert!(case.read("tty").starts_with(&format!("{name}\n")), "{}", case.read("tty"));
    assert!(case.read("log").contains("other waits for the terminal /dev/no-such-terminal"));
    case.stop();
}

#[test]
fn root_as_pid_1_leftovers_are_asked_to_end() {
    let mut case = Case::start_with(
        r#"
        [[process]]
        name = "leaves"
        command = ["/bin/sh", "-c", "(trap 'echo saved > @/saved; exit 0' HUP; touch @/child; while :; do sleep 0.05; done) & sleep 60"]
        "#,
        |file| {
            // The runtime starts containers with default dispositions; whoever runs the tests may ignore SIGHUP, and a
            // shell cannot trap what was ignored before it.
            let mut command = Command::new("env");
            command.args(["--default-signal=HUP", "unshare", "--pid", "--fork", "--mount-proc", "--kill-child"]);
            command.arg(env!("CARGO_BIN_EXE_service-init")).arg(file);
            command
        },
    );
    case.until("child runs", |case| case.path("child").exists());
    let unshare = case.child.id();
    let init = fs::read_to_string(format!("/proc/{unshare}/task/{unshare}/children")).unwrap();
    assert!(Command::new("kill").args(["-TERM", init.trim()]).status().unwrap().success());
    assert!(case.end().success(), "{}", case.read("log"));
    assert_eq!(case.read("saved"), "saved\n");
}

/// cgroup v2, mounted for the test: the machine may have it elsewhere or not at all.
struct Cgroups(tempfile::TempDir);

impl Cgroups {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let mounted = Command::new("mount").args(["-t", "cgroup2", "none"]).arg(directory.path()).status().unwrap();
        assert!(mounted.success());
        Self(directory)
    }
}

impl Drop for Cgroups {
    fn drop(&mut self) {
        Command::new("umount").arg("-l").arg(self.0.path()).status().ok();
    }
}

#[test]
fn root_delegated_cgroup_is_divided() {
    let hierarchy = Cgroups::new();
    let root = hierarchy.0.path().join(format!("service-init-test-{}", std::process::id()));
    fs::create_dir(&root).unwrap();
    let mut case = Case::start_with(
        r#"
        [[process]]
        name = "child"
        command = ["/bin/sleep", "60"]
        [security]
        delegate = true
        "#,
        |file| {
            // As the container's runtime does it: in the cgroup first, then a cgroup namespace with that as its root.
            let inner = "mount -t cgroup2 none /sys/fs/cgroup; exec \"$@\"";
            let outer = "echo 0 > \"$0\"/cgroup.procs; exec unshare --cgroup --mount sh -c \"$@\"";
            let mut command = Command::new("sh");
            command.args(["-c", outer]).arg(&root).args([inner, "sh", env!("CARGO_BIN_EXE_service-init")]).arg(file);
            command
        },
    );
    assert_eq!(case.message(), "READY=1\nSTATUS=");
    let read = |name: &str| fs::read_to_string(root.join(name)).unwrap();
    case.until("child in its cgroup", |_| !read("processes/child/cgroup.procs").is_empty());
    assert_eq!(read("service-init/cgroup.procs").trim(), case.child.id().to_string());
    assert_eq!(read("cgroup.subtree_control"), read("cgroup.controllers"));
    case.stop();
    for name in ["service-init", "processes/child", "processes", ""] {
        case.until("cgroup removed", |_| fs::remove_dir(root.join(name)).is_ok());
    }
}
