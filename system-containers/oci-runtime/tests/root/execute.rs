//! exec.

use crate::bed::Bed;
use serde_json::{Value, json};
use std::fs;
use std::process::Stdio;

#[test]
fn root_exec_joins_and_ends_as_the_command_does() {
    let bed = Bed::new();
    bed.start("c", "exec busybox sleep 1000", json!({"hostname": "inside"}));
    let output = bed.ok("exec c busybox hostname");
    assert_eq!(output, "inside\n");
    assert_eq!(bed.command("exec c sh -c exit\t9").arg("x").status().expect("run").code(), Some(0));
    let status = bed.command("exec c sh -c").arg("exit 9").status().expect("run");
    assert_eq!(status.code(), Some(9));
    let script = "echo $A $PATH $(busybox pwd) $(busybox id -u):$(busybox id -g) $(busybox id -G)";
    let output = bed.command("exec --env A=1 --cwd /tmp --user 7:8 --additional-gids 9 c sh -c").arg(script).output();
    assert_eq!(String::from_utf8_lossy(&output.expect("run").stdout), "1 /bin /tmp 7:8 8 9\n");
    let output = bed.command("exec --cap CAP_CHOWN c sh -c").arg("busybox grep CapEff /proc/self/status").output();
    assert_eq!(String::from_utf8_lossy(&output.expect("run").stdout), "CapEff:\t0000000000000001\n");
}

#[test]
fn root_a_process_file_says_everything() {
    let bed = Bed::new();
    bed.start("c", "exec busybox sleep 1000", json!({}));
    let (file, pid) = (bed.path("process.json"), bed.path("pid"));
    let process = json!({
        "args": ["sh", "-c", "ulimit -n >/tmp/limit; busybox cat /proc/self/oom_score_adj >/tmp/score; exec busybox sleep 999"],
        "cwd": "/", "env": ["PATH=/bin"], "user": {"uid": 0, "gid": 0}, "oomScoreAdj": 321,
        "rlimits": [{"type": "RLIMIT_NOFILE", "soft": 77, "hard": 99}],
    });
    fs::write(&file, process.to_string()).expect("write");
    let line = format!("exec --process {} --detach --pid-file {} c", file.display(), pid.display());
    assert!(bed.command(&line).stdout(Stdio::null()).stderr(Stdio::null()).status().expect("run").success());
    bed.wait("score", || fs::read_to_string(bed.path("shared/score")).is_ok_and(|text| text == "321\n"));
    assert_eq!(fs::read_to_string(bed.path("shared/limit")).expect("limit"), "77\n");
    let pid = fs::read_to_string(pid).expect("pid file");
    bed.wait("sleep", || bed.ok("ps c").lines().any(|line| line.contains(&pid) && line.contains("sleep 999")));

    for (change, key) in [("args", "process.args"), ("cwd", "cwd"), ("apparmorProfile", "apparmorProfile")] {
        let mut bad = process.clone();
        bad[change] = if change == "args" { json!([]) } else { json!("relative") };
        fs::write(&file, bad.to_string()).expect("write");
        let message = bed.fails(&format!("exec --process {} c", file.display()));
        assert!(message.contains(key), "{message}");
    }
}

#[test]
fn root_exec_needs_a_running_container() {
    let bed = Bed::new();
    bed.start("c", "exec busybox sleep 1000", json!({}));
    bed.ok("pause c");
    assert!(bed.fails("exec c true").contains("paused"));
    bed.ok("resume c");
    bed.ok("kill c KILL");
    bed.wait("end", || bed.status("c") == "stopped");
    assert!(bed.fails("exec c true").contains("not running"));
}

#[test]
fn root_processors_are_those_asked_for() {
    let bed = Bed::new();
    bed.start("c", "exec busybox sleep 1000", json!({}));
    let file = bed.path("process.json");
    for (affinity, want) in [(json!({"initial": "0"}), "0"), (json!({"initial": "1", "final": "0-0"}), "0")] {
        let args = ["busybox", "grep", "Cpus_allowed_list", "/proc/self/status"];
        let process = json!({"args": args, "cwd": "/", "env": ["PATH=/bin"], "user": {"uid": 0, "gid": 0},
            "execCPUAffinity": affinity});
        fs::write(&file, process.to_string()).expect("write");
        assert_eq!(bed.ok(&format!("exec --process {} c", file.display())), format!("Cpus_allowed_list:\t{want}\n"));
    }
}

/// A process that writes its limits, with these.
fn limited(limits: Value) -> Value {
    json!({
        "args": ["sh", "-c", "busybox cat /proc/self/limits; (echo >/dev/shm/new) 2>/dev/null || echo refused"],
        "cwd": "/", "env": ["PATH=/bin"], "user": {"uid": 0, "gid": 0}, "rlimits": limits,
    })
}

#[test]
fn root_limits_are_the_processs_and_not_the_runtimes() {
    let bed = Bed::new();
    bed.start("c", "busybox mkdir /dev/shm; exec busybox sleep 1000", json!({}));
    let (file, pid) = (bed.path("process.json"), bed.path("pid"));
    fs::write(&file, limited(json!([{"type": "RLIMIT_FSIZE", "soft": 0, "hard": 0}])).to_string()).expect("write");
    // Which the runtime has to write when the limits are set.
    let line = format!("exec --process {} --pid-file {} c", file.display(), pid.display());
    assert!(bed.ok(&line).ends_with("refused\n"));
    assert!(!fs::read_to_string(&pid).expect("pid file").is_empty());
}

#[test]
fn root_limits_are_set_from_outside_a_user_namespace() {
    let bed = Bed::new();
    bed.open_to_users();
    let map = json!([{"containerID": 0, "hostID": 100_000, "size": 1000}]);
    let kinds = ["pid", "mount", "ipc", "uts", "cgroup", "network", "user"];
    let namespaces: Vec<_> = kinds.iter().map(|kind| json!({"type": kind})).collect();
    let linux = json!({"namespaces": namespaces, "uidMappings": map, "gidMappings": map});
    bed.start("c", "exec busybox sleep 1000", json!({"linux": linux}));
    let file = bed.path("process.json");
    fs::write(&file, limited(json!([{"type": "RLIMIT_NOFILE", "soft": 77, "hard": 88}])).to_string()).expect("write");
    let output = bed.ok(&format!("exec --process {} c", file.display()));
    let line = output.lines().find(|line| line.starts_with("Max open files")).expect("limit");
    assert_eq!(line.split_whitespace().collect::<Vec<_>>()[3..5], ["77", "88"]);
}
