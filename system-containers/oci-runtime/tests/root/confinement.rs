//! What the configuration says of the process and its surroundings.

use crate::bed::Bed;
use serde_json::{Value, json};

const ALL: [&str; 6] = ["pid", "mount", "ipc", "uts", "cgroup", "network"];

fn namespaces(more: &[Value]) -> Vec<Value> {
    ALL.iter().map(|kind| json!({"type": kind})).chain(more.iter().cloned()).collect()
}

#[test]
fn root_system_calls_are_filtered() {
    let bed = Bed::new();
    let seccomp = json!({
        "defaultAction": "SCMP_ACT_ALLOW",
        "syscalls": [
            {"names": ["mkdir", "mkdirat", "no_such_call"], "action": "SCMP_ACT_ERRNO", "errnoRet": 95},
            {"names": ["personality"], "action": "SCMP_ACT_ERRNO", "args": [{"index": 0, "value": 8, "op": "SCMP_CMP_EQ"}]},
        ],
    });
    let changes = json!({"linux": {"seccomp": seccomp}});
    let script = "busybox mkdir /tmp/x 2>&1; busybox grep Seccomp: /proc/self/status";
    let output = bed.output("c", script, changes.clone());
    assert!(output.contains("not supported") && output.contains("Seccomp:\t2"), "{output}");
    // Also without no_new_privs, and for further processes.
    let mut changes = changes;
    changes["process"] = json!({"noNewPrivileges": false});
    bed.start("c", "exec busybox sleep 1000", changes);
    assert!(bed.ok("exec c busybox grep Seccomp: /proc/self/status").contains('2'));
}

#[test]
fn root_a_user_namespace_maps_ids() {
    let bed = Bed::new();
    let map = json!([{"containerID": 0, "hostID": 100_000, "size": 1000}]);
    let linux = json!({"namespaces": namespaces(&[json!({"type": "user"})]), "uidMappings": map, "gidMappings": map});
    let script =
        "busybox id -u; busybox cat /proc/self/uid_map; echo >/dev/null && exec busybox stat -c %u /bin/busybox";
    // Its own user must be able to reach the root file system.
    std::os::unix::fs::chown(bed.path("rootfs"), Some(100_000), Some(100_000)).expect("chown");
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(bed.path(""), std::fs::Permissions::from_mode(0o755)).expect("chmod");
    let output = bed.output("c", script, json!({"linux": linux}));
    let words: Vec<&str> = output.split_whitespace().collect();
    assert_eq!(words, ["0", "0", "100000", "1000", "65534"]);
}

#[test]
fn root_the_process_is_what_the_configuration_says() {
    let bed = Bed::new();
    std::fs::write(bed.path("rootfs/etc/passwd"), "five:x:5:6::/home/five:/bin/sh\n").expect("write");
    let process = json!({
        "user": {"uid": 5, "gid": 6, "additionalGids": [7], "umask": 0o27},
        "rlimits": [{"type": "RLIMIT_CORE", "soft": 11, "hard": 12}],
        "oomScoreAdj": 123,
        "ioPriority": {"class": "IOPRIO_CLASS_IDLE", "priority": 0},
        "scheduler": {"policy": "SCHED_BATCH", "nice": 5},
        "cwd": "/tmp",
    });
    let script = "busybox id -u; busybox id -G; umask; busybox cat /proc/self/oom_score_adj; busybox pwd; busybox ionice; \
        busybox awk '{print $19}' /proc/self/stat; busybox uname -m; busybox hostname; echo $HOME; busybox grep 'Max core' /proc/self/limits";
    let personality = json!({"domain": "LINUX32"});
    let changes = json!({"process": process, "hostname": "named", "linux": {"personality": personality}});
    let output = bed.output("c", script, changes);
    let lines: Vec<&str> = output.lines().collect();
    assert_eq!(lines[..10], ["5", "6 7", "0027", "123", "/tmp", "idle", "5", "i686", "named", "/home/five"]);
    assert_eq!(lines[10].split_whitespace().collect::<Vec<_>>()[4..6], ["11", "12"]);
}

#[test]
fn root_network_parameters_and_devices_are_the_containers() {
    let bed = Bed::new();
    let linux = json!({
        "sysctl": {"net.ipv4.ip_forward": "1", "kernel.msgmax": "9000"},
        "devices": [{"path": "/dev/extra", "type": "c", "major": 1, "minor": 3, "fileMode": 0o640, "uid": 3, "gid": 4}],
        "maskedPaths": ["/proc/keys"],
        "readonlyPaths": ["/proc/sys"],
        "rootfsPropagation": "slave",
    });
    let script = "busybox cat /proc/sys/net/ipv4/ip_forward /proc/sys/kernel/msgmax; busybox stat -c '%a %u %g' /dev/extra; \
        busybox wc -c </proc/keys; echo 1 2>/dev/null >/proc/sys/net/ipv4/ip_forward || echo refused; \
        echo 2>/dev/null >/file || echo refused; busybox grep ' / / .* master:' /proc/self/mountinfo | busybox wc -l";
    let output = bed.output("c", script, json!({"linux": linux}));
    let lines: Vec<&str> = output.lines().collect();
    assert_eq!(lines[..6], ["1", "9000", "640 3 4", "0", "refused", "refused"]);
}

#[test]
fn root_clocks_of_a_time_namespace_are_moved() {
    let bed = Bed::new();
    let offsets = json!({"boottime": {"secs": 100_000_000}});
    let linux = json!({"namespaces": namespaces(&[json!({"type": "time"})]), "timeOffsets": offsets});
    let up = |text: &str| text.split('.').next().and_then(|seconds| seconds.parse::<u64>().ok()).expect("uptime");
    bed.start("c", "exec busybox sleep 1000", json!({"linux": linux}));
    assert!(up(&bed.ok("exec c busybox cat /proc/uptime")) >= 100_000_000);
    let hook =
        json!([{"path": "/bin/sh", "args": ["sh", "-c", format!("cat /proc/uptime >{}", bed.path("up").display())]}]);
    let linux = json!({"namespaces": namespaces(&[json!({"type": "time"})]), "timeOffsets": offsets});
    bed.output("hooked", "true", json!({"linux": linux, "hooks": {"createRuntime": hook}}));
    assert!(up(&std::fs::read_to_string(bed.path("up")).expect("uptime")) < 100_000_000);
    let without = bed.run("without", "true", json!({"linux": {"timeOffsets": offsets}}));
    assert!(String::from_utf8_lossy(&without.stderr).contains("linux.timeOffsets"), "{without:?}");
}

#[test]
fn root_owners_of_idmapped_mounts_are_shown_mapped() {
    let bed = Bed::new();
    std::fs::create_dir(bed.path("data")).expect("make directory");
    std::fs::write(bed.path("data/file"), "").expect("write");
    std::os::unix::fs::chown(bed.path("data/file"), Some(3), Some(4)).expect("chown");
    let map = json!([{"containerID": 0, "hostID": 500, "size": 10}]);
    let mount = json!({"destination": "/mnt", "type": "bind", "source": bed.path("data"), "options": ["bind", "idmap"],
        "uidMappings": map, "gidMappings": map});
    let output = bed.output("c", "busybox stat -c '%u %g' /mnt/file", json!({"mounts": [mount]}));
    assert_eq!(output, "503 504\n");
}

#[test]
fn root_the_session_keyring_is_the_containers_unless_asked() {
    let bed = Bed::new();
    // Who is not root sees no keys but those of its own session.
    let user = json!({"process": {"user": {"uid": 5, "gid": 5}}});
    let bundle = bed.bundle("c", "busybox grep -c ' hull[.]' /proc/keys; true", user);
    for (option, want) in [("", "1\n"), ("--no-new-keyring", "0\n")] {
        assert_eq!(bed.ok(&format!("run {option} --bundle {} c", bundle.display())), want, "{option}");
    }
}
