//! Further processes in a running container.

use crate::bed::{Bed, Running, field};
use crate::confinement::write_filter;
use hull_runtime::{Exec, Step, TerminalSize, User};
use rustix::io::Errno;
use serde_json::json;
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::AsFd;

const IDENTITY: &str = "for n in pid mnt ipc uts cgroup net; do readlink /proc/self/ns/$n; done; \
    cat /proc/self/cgroup; hostname; readlink /proc/self/root; stat -c %d:%i /";

/// A container that prints who it is and stays.
fn resident(bed: &Bed) -> (Running, String) {
    let script = format!("{IDENTITY}; echo end; read go");
    let mut running = bed.start(&bed.launch("c", &script, json!({}))).expect("start");
    let mut identity = String::new();
    loop {
        match running.line().as_str() {
            "end" => return (running, identity),
            line => identity += &format!("{line}\n"),
        }
    }
}

#[test]
fn root_exec_joins_everything() {
    let bed = Bed::new();
    let (running, identity) = resident(&bed);
    let exec = bed.exec_of("c", &running, IDENTITY);
    assert_eq!(bed.exec(&exec).expect("exec").output(), identity);
}

#[test]
fn root_exec_is_as_confined_as_asked() {
    let bed = Bed::new();
    let (running, _) = resident(&bed);
    let mut exec = bed.exec_of("c", &running, "id -u; id -g; id -G; pwd; cat /proc/self/status");
    exec.seccomp = Some(write_filter(&bed.path("filter.bpf")));
    exec.user = User { uid: 1000, gid: 1001, groups: vec![5] };
    exec.cwd = "/tmp".into();
    let output = bed.exec(&exec).expect("exec").output();
    assert!(output.starts_with("1000\n1001\n1001 5\n/tmp\n"), "{output}");
    for (key, want) in [("CapBnd", "0000000000000000"), ("NoNewPrivs", "1"), ("Seccomp", "2")] {
        assert_eq!(field(&output, key), want, "{key}");
    }
}

#[test]
fn root_exec_goes_into_a_cgroup_made_for_it() {
    let bed = Bed::new();
    let (running, _) = resident(&bed);
    let mut exec = bed.exec_of("c", &running, "cat /proc/self/cgroup");
    exec.cgroup = bed.cgroup("c/exec");
    let output = bed.exec(&exec).expect("exec").output();
    assert!(output.lines().any(|line| line == "0::/exec"), "{output}");
}

#[test]
fn root_exec_has_the_containers_oom_score() {
    let bed = Bed::new();
    let changes = json!({"process": {"oomScoreAdj": 321}});
    let mut running = bed.start(&bed.launch("c", "echo up; read go", changes)).expect("start");
    assert_eq!(running.line(), "up");
    let exec = bed.exec_of("c", &running, "cat /proc/self/oom_score_adj");
    assert_eq!(bed.exec(&exec).expect("exec").output(), "321\n");
}

#[test]
fn root_exec_with_a_terminal() {
    let bed = Bed::new();
    let (running, _) = resident(&bed);
    let mut exec =
        bed.exec_of("c", &running, "tty; stty size; test -t 0 && test -t 2 && read x < /dev/tty; echo got $x");
    exec.tty = true;
    exec.size = Some(TerminalSize { rows: 33, columns: 101 });
    let mut process = bed.exec(&exec).expect("exec");
    let mut master = File::from(process.started.terminal.take().expect("terminal"));
    master.write_all(b"typed\n").expect("type");
    assert_eq!(process.wait().exit_status(), Some(0));
    let mut text = Vec::new();
    // A terminal whose other side is closed ends with EIO.
    let end = master.read_to_end(&mut text).expect_err("end of terminal");
    assert_eq!(end.raw_os_error(), Some(Errno::IO.raw_os_error()));
    let text = String::from_utf8(text).expect("UTF-8");
    for want in ["/dev/pts/0\r\n", "33 101\r\n", "got typed\r\n"] {
        assert!(text.contains(want), "{want:?} in {text:?}");
    }
}

#[test]
fn root_exec_failures_are_precise() {
    let bed = Bed::new();
    let (mut running, _) = resident(&bed);
    let good = bed.exec_of("c", &running, "true");

    let mut exec = good.clone();
    exec.command = vec!["no-such-program".into()];
    let error = bed.exec(&exec).err().expect("missing program");
    assert_eq!((error.step, error.errno), (Step::Program, Errno::NOENT.raw_os_error()), "{error}");

    let mut exec = good.clone();
    exec.cwd = "/no/such".into();
    let error = bed.exec(&exec).err().expect("missing directory");
    assert_eq!((error.step, error.path), (Step::WorkingDirectory, Some("/no/such".into())));

    running.feed();
    assert_eq!(running.wait().exit_status(), Some(0));
    // Its number may be gone, or another container's by now.
    let other = bed.start(&bed.launch("d", "read go", json!({}))).expect("start");
    for init in [good.init, other.started.pid] {
        let error =
            bed.exec_at(&Exec { init, ..good.clone() }, running.started.pidfd.as_fd()).err().expect("has ended");
        assert_eq!((error.step, error.errno), (Step::JoinNamespaces, Errno::SRCH.raw_os_error()), "{error}");
    }
    let mut other = other;
    other.feed();
    assert_eq!(other.wait().exit_status(), Some(0));
    assert_eq!(bed.leftovers(), [""; 0]);
}
