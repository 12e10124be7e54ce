//! Tests of the conversion of resources.

use super::*;
use serde_json::{Value, json};

fn files_of(resources: Value) -> Result<Vec<String>> {
    let resources: LinuxResources = serde_json::from_value(resources).expect("resources");
    Ok(files(&resources)?.into_iter().map(|(file, value)| format!("{file}={value}")).collect())
}

#[test]
fn every_limit_has_its_file() {
    let cases = [
        (json!({}), vec![]),
        (json!({"memory": {}, "cpu": {}, "blockIO": {}, "network": {}}), vec![]),
        (
            json!({"memory": {"limit": 100, "swap": 150, "reservation": 50}}),
            vec!["memory.swap.max=50", "memory.max=100", "memory.low=50"],
        ),
        (json!({"memory": {"limit": -1, "swap": -1}}), vec!["memory.swap.max=max", "memory.max=max"]),
        (json!({"memory": {"limit": 0, "disableOOMKiller": false}}), vec![]),
        (json!({"cpu": {"shares": 1024}}), vec!["cpu.weight=39"]),
        (json!({"cpu": {"shares": 2}}), vec!["cpu.weight=1"]),
        (json!({"cpu": {"shares": 262_144}}), vec!["cpu.weight=10000"]),
        (json!({"cpu": {"quota": 50_000}}), vec!["cpu.max=50000 100000"]),
        (json!({"cpu": {"quota": -1, "period": 20_000, "burst": 5}}), vec!["cpu.max=max 20000", "cpu.max.burst=5"]),
        (
            json!({"cpu": {"cpus": "0-1", "mems": "0", "idle": 1}}),
            vec!["cpu.idle=1", "cpuset.cpus=0-1", "cpuset.mems=0"],
        ),
        (json!({"pids": {"limit": 7}}), vec!["pids.max=7"]),
        (json!({"pids": {"limit": -1}}), vec!["pids.max=max"]),
        (json!({"blockIO": {"weight": 1000}}), vec!["io.weight=default 10000"]),
        (
            json!({"blockIO": {"throttleReadBpsDevice": [{"major": 8, "minor": 0, "rate": 9}]}}),
            vec!["io.max=8:0 rbps=9"],
        ),
        (json!({"hugepageLimits": [{"pageSize": "2MB", "limit": 4_194_304}]}), vec!["hugetlb.2MB.max=4194304"]),
        (
            json!({"unified": {"memory.high": "9", "cgroup.max.depth": "2"}}),
            vec!["cgroup.max.depth=2", "memory.high=9"],
        ),
    ];
    for (resources, want) in cases {
        assert_eq!(files_of(resources.clone()).expect("possible"), want, "{resources}");
    }
}

#[test]
fn what_cgroup_v2_lacks_is_refused_by_key() {
    for (resources, key) in [
        (json!({"memory": {"swap": 10}}), "memory.swap"),
        (json!({"memory": {"limit": 20, "swap": 10}}), "memory.swap"),
        (json!({"memory": {"kernel": 10}}), "memory.kernel"),
        (json!({"memory": {"swappiness": 10}}), "memory.swappiness"),
        (json!({"memory": {"disableOOMKiller": true}}), "memory.disableOOMKiller"),
        (json!({"cpu": {"realtimeRuntime": 10}}), "cpu.realtimeRuntime"),
        (json!({"blockIO": {"leafWeight": 10}}), "blockIO.leafWeight"),
        (json!({"network": {"classID": 10}}), "network"),
        (json!({"unified": {"../x.y": "1"}}), "unified"),
        (json!({"unified": {"x": "1"}}), "unified"),
    ] {
        let error = format!("{:#}", files_of(resources).expect_err(key));
        assert!(error.contains(&format!("linux.resources.{key}")), "{error}");
    }
}

#[test]
fn device_rules_keep_their_order() {
    let resources = json!({"devices": [
        {"allow": false, "access": "rwm"},
        {"allow": true, "type": "c", "major": 1, "minor": -1, "access": "rm"},
    ]});
    let rules = device_rules(Some(&serde_json::from_value(resources).expect("resources"))).expect("rules");
    assert!(!rules[0].allow && rules[0].rule.kind.is_none() && rules[0].rule.mknod);
    let second =
        Rule { kind: Some(DeviceKind::Char), major: Some(1), minor: None, read: true, write: false, mknod: true };
    assert_eq!(rules[1], OrderedRule { allow: true, rule: second });
    for bad in [json!({"allow": true, "type": "p"}), json!({"allow": true, "access": "x"})] {
        let resources = serde_json::from_value(json!({"devices": [bad]})).expect("resources");
        assert!(format!("{:#}", device_rules(Some(&resources)).expect_err("refused")).contains("devices[0]"));
    }
}
