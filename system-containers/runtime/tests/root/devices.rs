//! Device rules, tried with nodes made inside the container.

use crate::bed::{Bed, capabilities};
use hull_runtime::{DeviceKind, DeviceRules, Rule};
use serde_json::json;

/// The kernel log, which any user may open for writing: only the device program stands in the way.
const SCRIPT: &str = "rm -f /dev/x; if mknod /dev/x c 1 11; then echo made; (: > /dev/x) && echo opened; fi; true";

fn kmsg(read: bool, write: bool, mknod: bool) -> Rule {
    Rule { kind: Some(DeviceKind::Char), major: Some(1), minor: Some(11), read, write, mknod }
}

#[test]
fn root_devices_obey_the_rules() {
    let bed = Bed::new();
    let none = DeviceRules::default();
    for (rules, made, opened) in [
        (none.clone(), false, false),
        (DeviceRules { allow: vec![kmsg(true, false, true)], ..none.clone() }, true, false),
        (DeviceRules { allow: vec![kmsg(true, true, true)], ..none.clone() }, true, true),
        (DeviceRules { default_allow: true, ..none.clone() }, true, true),
        (DeviceRules { default_allow: true, deny: vec![kmsg(false, true, false)], ..none.clone() }, true, false),
    ] {
        let changes = json!({"process": {"capabilities": capabilities(&["CAP_MKNOD"])}});
        let mut launch = bed.launch("c", SCRIPT, changes);
        launch.devices = rules;
        let output = bed.output(&launch);
        assert_eq!(output.contains("made"), made, "{:?}: {output}", launch.devices);
        assert_eq!(output.contains("opened"), opened, "{:?}: {output}", launch.devices);
        assert_eq!(output.contains("Operation not permitted"), !opened, "{output}");
    }
}

#[test]
fn root_specified_nodes_are_made() {
    let bed = Bed::new();
    let node =
        json!({"path": "/dev/log0", "type": "c", "major": 1, "minor": 11, "fileMode": 0o640, "uid": 7, "gid": 8});
    let mut launch = bed.launch("c", "stat -c '%a %u %g %t %T' /dev/log0", json!({"linux": {"devices": [node]}}));
    launch.devices.allow.push(kmsg(true, true, true));
    assert_eq!(bed.output(&launch), "640 7 8 1 b\n");
}
