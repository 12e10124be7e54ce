//! Bad configurations: file and key are named, nothing is left.

use crate::bed::Bed;
use serde_json::{Value, json};
use std::fs;

#[test]
fn root_mistakes_are_named_and_leave_nothing() {
    let bed = Bed::new();
    let linux = |key: &str, value: Value| json!({"linux": {key: value}});
    let process = |key: &str, value: Value| json!({"process": {key: value}});
    let has_apparmor = std::path::Path::new("/sys/module/apparmor").exists();
    let apparmor = if has_apparmor { "process.apparmorProfile" } else { "this kernel has no AppArmor" };
    let cases = [
        (json!({"ociVersion": "9.0.0"}), "ociVersion"),
        (json!({"hostname": 5}), "hostname"),
        (process("args", json!([])), "process.args"),
        (process("rlimits", json!([{"type": "RLIMIT_X", "soft": 1, "hard": 1}])), "process.rlimits[0].type"),
        (process("capabilities", json!({"bounding": ["CAP_NONE"]})), "process.capabilities.bounding"),
        (process("selinuxLabel", json!("x")), "process.selinuxLabel"),
        (process("apparmorProfile", json!("no-such-profile")), apparmor),
        (process("execCPUAffinity", json!({"initial": "x"})), "process.execCPUAffinity"),
        (process("ioPriority", json!({"class": "IOPRIO_CLASS_BE", "priority": 9})), "process.ioPriority.priority"),
        (json!({"mounts": [{"destination": "/mnt", "type": "bind", "source": "/no/such"}]}), "/no/such"),
        (json!({"mounts": [{"destination": "/mnt", "type": "tmpfs", "options": ["tmpcopyup"]}]}), "tmpcopyup"),
        (linux("cgroupsPath", json!("system.slice:hull:x")), "linux.cgroupsPath"),
        (linux("resources", json!({"memory": {"kernel": 1}})), "linux.resources.memory.kernel"),
        (linux("resources", json!({"devices": [{"allow": true, "access": "q"}]})), "linux.resources.devices[0]"),
        (linux("sysctl", json!({"kernel.panic": "1"})), "linux.sysctl.kernel.panic"),
        (linux("seccomp", json!({"defaultAction": "SCMP_ACT_MAYBE"})), "linux.seccomp.defaultAction"),
        (linux("intelRdt", json!({"closID": "x"})), "linux.intelRdt"),
        (linux("rootfsPropagation", json!("odd")), "linux.rootfsPropagation"),
    ];
    for (changes, key) in cases {
        let bundle = bed.bundle("c", "true", changes);
        let message = bed.fails(&format!("create --bundle {} c", bundle.display()));
        assert!(message.contains(key), "{key}: {message}");
        bed.assert_gone("c");
    }
}

#[test]
fn root_broken_files_are_named() {
    let bed = Bed::new();
    let bundle = bed.bundle("c", "true", json!({}));
    let config = bundle.join("config.json");
    for text in ["", "{", "[]", "{\"ociVersion\": \"1.2.0\"} x"] {
        fs::write(&config, text).expect("write");
        let message = bed.fails(&format!("run --bundle {} c", bundle.display()));
        assert!(message.contains("config.json"), "{text}: {message}");
    }
    fs::remove_file(&config).expect("remove");
    assert!(bed.fails(&format!("run --bundle {} c", bundle.display())).contains("config.json"));
    assert!(bed.fails("run --bundle /no/such c").contains("/no/such"));
}
