//! pause, resume, update, events.

use crate::bed::Bed;
use serde_json::{Value, json};
use std::fs;
use std::io::Write;
use std::process::Stdio;

#[test]
fn root_a_paused_container_stands_still() {
    let bed = Bed::new();
    bed.start("c", "while true; do echo >>/tmp/ticks; busybox usleep 1000; done", json!({}));
    let ticks = || fs::metadata(bed.path("shared/ticks")).map(|file| file.len()).unwrap_or(0);
    bed.wait("ticks", || ticks() > 2);
    bed.ok("pause c");
    assert_eq!(bed.status("c"), "paused");
    let before = ticks();
    std::thread::sleep(std::time::Duration::from_millis(50));
    assert_eq!(ticks(), before);
    assert!(bed.fails("pause c").contains("paused"));
    bed.ok("resume c");
    bed.wait("more ticks", || ticks() > before);
    assert!(bed.fails("resume c").contains("not paused"));
}

fn update(bed: &Bed, resources: &Value) -> Result<(), String> {
    let mut command = bed.command("update --resources - c");
    let mut child = command.stdin(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("run");
    child.stdin.take().expect("stdin").write_all(resources.to_string().as_bytes()).expect("write");
    let output = child.wait_with_output().expect("wait");
    if output.status.success() { Ok(()) } else { Err(String::from_utf8_lossy(&output.stderr).into_owned()) }
}

#[test]
fn root_limits_and_device_rules_change() {
    let bed = Bed::new();
    let resources = json!({"unified": {"cgroup.max.depth": "5"}});
    let devices = json!([{"path": "/dev/kmsg", "type": "c", "major": 1, "minor": 11}]);
    bed.start("c", "exec busybox sleep 1000", json!({"linux": {"resources": resources, "devices": devices}}));
    let depth = || fs::read_to_string(bed.cgroup("c").join("cgroup.max.depth")).expect("cgroup file");
    assert_eq!(depth(), "5\n");
    let opens = || {
        bed.command("exec --cap CAP_SYSLOG c sh -c")
            .arg("exec </dev/kmsg")
            .stderr(Stdio::null())
            .status()
            .expect("run")
            .success()
    };
    assert!(!opens());
    let allow = json!({"allow": true, "type": "c", "major": 1, "minor": 11, "access": "r"});
    update(&bed, &json!({"unified": {"cgroup.max.depth": "6"}, "devices": [allow]})).expect("update");
    assert_eq!(depth(), "6\n");
    assert!(opens());
    update(&bed, &json!({"devices": [{"allow": false, "access": "rwm"}]})).expect("update");
    assert!(!opens());
    for (bad, key) in [
        (json!({"memory": {"swappiness": 1}}), "memory.swappiness"),
        (json!({"cpu": {"shares": "many"}}), "cpu.shares"),
        (json!({"unified": {"no.such": "1"}}), "no.such"),
    ] {
        let message = update(&bed, &bad).expect_err(key);
        assert!(message.contains(key), "{message}");
    }
}

#[test]
fn root_events_have_figures() {
    let bed = Bed::new();
    bed.start("c", "exec busybox sleep 1000", json!({}));
    let stats: Value = serde_json::from_str(&bed.ok("events --stats c")).expect("JSON");
    assert_eq!((&stats["type"], &stats["id"]), (&json!("stats"), &json!("c")));
    assert!(stats["data"]["cpu"]["usage"]["total"].is_u64());
}
