//! create, start, state, kill, delete, run, list, ps.

use crate::bed::Bed;
use serde_json::{Value, json};
use std::fs;

#[test]
fn root_run_ends_as_the_program_does() {
    let bed = Bed::new();
    for (script, want) in [("true", 0), ("exit 7", 7), ("kill -9 $$ & exec cat /dev/zero >/dev/null", 137)] {
        // The first process of a PID namespace takes no signal from inside it.
        let namespaces = json!({"linux": {"namespaces": [{"type": "mount"}]}});
        let output = bed.run("c", script, namespaces);
        assert_eq!(output.status.code(), Some(want), "{script}: {output:?}");
        bed.assert_gone("c");
    }
    let output = bed.output("c", "echo out; echo err >&2", json!({}));
    assert_eq!(output, "out\n");
}

#[test]
fn root_states_follow_each_other() {
    let bed = Bed::new();
    let marker = bed.path("shared/marker");
    bed.create("c", "echo >/tmp/marker; exec busybox sleep 1000", json!({"annotations": {"a": "b"}}));
    let state = bed.state("c");
    assert_eq!(
        (&state["status"], &state["id"], &state["annotations"]["a"]),
        (&json!("created"), &json!("c"), &json!("b"))
    );
    assert_eq!(state["bundle"], json!(fs::canonicalize(bed.path("bundle-c")).expect("bundle")));
    assert!(!marker.exists(), "the program ran before start");
    assert!(bed.fails("delete c").contains("created"));
    let bundle = bed.path("bundle-c");
    assert!(bed.fails(&format!("create --bundle {} c", bundle.display())).contains("already exists"));

    bed.ok("start c");
    bed.wait("marker", || marker.exists());
    assert_eq!(bed.status("c"), "running");
    assert!(bed.fails("start c").contains("running"));
    assert!(bed.fails("delete c").contains("running"));

    let pid = bed.state("c")["pid"].as_i64().expect("pid");
    assert_eq!(serde_json::from_str::<Value>(&bed.ok("ps --format json c")).expect("JSON"), json!([pid]));
    assert!(bed.ok("ps c").contains("sleep 1000"));
    let list: Value = serde_json::from_str(&bed.ok("list --format json")).expect("JSON");
    assert_eq!((&list[0]["id"], &list[0]["pid"], &list[0]["owner"]), (&json!("c"), &json!(pid), &json!("root")));
    assert!(bed.ok("list").contains("running"));

    bed.ok("kill c KILL");
    bed.wait("end", || bed.status("c") == "stopped");
    assert_eq!(bed.state("c")["pid"], json!(0));
    assert!(bed.fails("kill c 9").contains("not running"));
    bed.ok("delete c");
    bed.assert_gone("c");
    assert!(bed.fails("delete c").contains("does not exist"));
    bed.ok("delete --force c");
}

#[test]
fn root_kill_reaches_one_or_all() {
    let bed = Bed::new();
    // Without a PID namespace the others outlive the first.
    let script = "busybox sleep 1000 & echo >/tmp/ready; trap 'exit 3' TERM; wait";
    bed.start("c", script, json!({"linux": {"namespaces": [{"type": "mount"}]}}));
    bed.wait("ready", || bed.path("shared/ready").exists());
    bed.wait("two processes", || bed.ok("ps -f json c").matches(',').count() == 1);
    bed.ok("kill c SIGTERM");
    bed.wait("end", || bed.status("c") == "stopped");
    assert!(bed.ok("ps c").contains("sleep 1000"));
    bed.ok("kill --all c KILL");
    bed.wait("all ended", || bed.ok("ps -f json c").trim() == "[]");
    bed.ok("delete c");
    bed.assert_gone("c");
}

#[test]
fn root_force_deletes_what_runs() {
    let bed = Bed::new();
    bed.create("created", "true", json!({}));
    bed.start("running", "exec busybox sleep 1000", json!({}));
    bed.start("paused", "exec busybox sleep 1000", json!({}));
    bed.ok("pause paused");
    for id in ["created", "running", "paused"] {
        bed.ok(&format!("delete --force {id}"));
        bed.assert_gone(id);
    }
}

#[test]
fn root_pid_file_and_log_are_written() {
    let bed = Bed::new();
    let (pid, log) = (bed.path("pid"), bed.path("log"));
    let bundle = bed.bundle("c", "exec busybox sleep 1000", json!({}));
    let line = format!("run --detach --bundle {} --pid-file {} c", bundle.display(), pid.display());
    let status = bed.command(&line).stdout(std::process::Stdio::null()).stderr(std::process::Stdio::null()).status();
    assert!(status.expect("run").success());
    assert_eq!(fs::read_to_string(&pid).expect("pid file"), bed.state("c")["pid"].to_string());

    bed.fails(&format!("--log {} --log-format json start c", log.display()));
    let text = fs::read_to_string(&log).expect("log");
    let line: Value = serde_json::from_str(text.trim_end()).expect("one line of JSON");
    assert_eq!(line["level"], "error");
    assert!(line["msg"].as_str().expect("message").contains("cannot start container c"));
}

#[test]
fn root_a_program_that_is_missing_leaves_nothing() {
    let bed = Bed::new();
    let bundle = bed.bundle("c", "", json!({"process": {"args": ["no-such-program"]}}));
    for verb in ["create", "run"] {
        let message = bed.fails(&format!("{verb} --bundle {} c", bundle.display()));
        assert!(message.contains("no-such-program: No such file or directory"), "{message}");
        bed.assert_gone("c");
    }
}

#[test]
fn root_descriptors_are_passed_only_when_asked() {
    let bed = Bed::new();
    let runtime = env!("CARGO_BIN_EXE_hull-runtime");
    let script = "for fd in 3 4 5; do test -e /proc/self/fd/$fd && echo $fd; done; true";
    let bundle = bed.bundle("c", script, json!({}));
    for (option, want) in [("", ""), ("--preserve-fds 1", "3\n"), ("--preserve-fds 2", "3\n4\n")] {
        let line = format!(
            "exec 3</dev/null 4</dev/null 5</dev/null; exec {runtime} --root {} run {option} --bundle {} c",
            bed.path("state").display(),
            bundle.display()
        );
        let output = std::process::Command::new("sh").arg("-c").arg(&line).output().expect("sh");
        assert_eq!(String::from_utf8_lossy(&output.stdout), want, "{option}: {output:?}");
    }
}
