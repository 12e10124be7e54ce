//! Tests of reading and checking `config.json`.

use super::*;
use serde_json::{Value, json};

fn bundle(change: impl FnOnce(&mut Value)) -> (tempfile::TempDir, Result<Config>) {
    let mut config = json!({
        "ociVersion": "1.2.0",
        "root": {"path": "rootfs"},
        "process": {"user": {"uid": 0, "gid": 0}, "args": ["sh"], "cwd": "/"},
        "mounts": [{"destination": "/data", "type": "bind", "source": "data", "options": ["rbind"]}],
        "linux": {"namespaces": [{"type": "mount"}, {"type": "pid"}]},
    });
    change(&mut config);
    let dir = tempfile::tempdir().expect("temporary directory");
    fs::create_dir(dir.path().join("rootfs")).expect("make root");
    fs::write(dir.path().join(NAME), config.to_string()).expect("write");
    let loaded = load(dir.path());
    (dir, loaded)
}

#[test]
fn relative_paths_begin_at_the_bundle() {
    let (dir, config) = bundle(|_| {});
    let config = config.expect("good");
    assert_eq!(config.rootfs, fs::canonicalize(dir.path().join("rootfs")).expect("root"));
    let mounts = config.spec.mounts().clone().expect("mounts");
    assert_eq!(mounts[0].source(), &Some(dir.path().join("data")));
}

#[test]
fn unknown_keys_are_passed_over_as_the_specification_demands() {
    bundle(|config| config["noSuchKey"] = json!(1)).1.expect("good");
}

#[test]
fn mistakes_name_file_and_key() {
    let cases: [(&str, Value, &str); 18] = [
        ("/ociVersion", json!("2.0.0"), "ociVersion"),
        ("/ociVersion", json!(""), "ociVersion"),
        ("/ociVersion", json!("1.x"), "ociVersion"),
        ("/root", Value::Null, "key root"),
        ("/root/path", json!("nothing"), "root.path"),
        ("/root/path", json!(7), "root.path"),
        ("/process", Value::Null, "key process"),
        ("/process/args", json!([]), "process.args"),
        ("/process/args", json!("sh"), "process.args"),
        ("/process/cwd", json!("tmp"), "process.cwd"),
        ("/process/user/uid", json!(-1), "process.user.uid"),
        ("/mounts/0/destination", json!("data"), "mounts[0].destination"),
        ("/mounts/0/destination", json!("/a/../b"), "mounts[0].destination"),
        ("/linux/namespaces/1/type", json!("none"), "linux.namespaces[1].type"),
        ("/linux/namespaces/1/type", json!("mount"), "linux.namespaces[1].type"),
        ("/linux/namespaces", json!([]), "linux.namespaces"),
        ("/linux", Value::Null, "key linux"),
        ("/process/args/0", json!("a\0b"), "process.args"),
    ];
    for (pointer, value, key) in cases {
        let (_dir, config) = bundle(|config| *config.pointer_mut(pointer).expect("pointer") = value.clone());
        let error = format!("{:#}", config.expect_err(pointer));
        assert!(error.contains(key) && error.contains(NAME), "{pointer} = {value}: {error}");
    }
}

#[test]
fn additions_that_reach_beyond_the_container_are_refused() {
    let hook = json!([{"path": "relative"}]);
    let endless = json!([{"path": "/h", "timeout": 0}]);
    for (key, value, named) in [
        ("hostname", json!("x"), "hostname"),
        ("hooks", json!({"poststop": hook}), "hooks.poststop[0].path"),
        ("hooks", json!({"prestart": endless}), "hooks.prestart[0].timeout"),
    ] {
        let error = bundle(|config| config[key] = value.clone()).1.expect_err(key);
        assert!(format!("{error:#}").contains(named), "{error:#}");
    }
    for (name, value) in [("net.ipv4.ip_forward", "1"), ("kernel.panic", "1"), ("kernel.hostname", "x")] {
        let error = bundle(|config| config["linux"]["sysctl"] = json!({name: value})).1.expect_err(name);
        assert!(format!("{error:#}").contains(&format!("linux.sysctl.{name}")), "{error:#}");
    }
}

#[test]
fn flags_have_the_names_of_the_specification() {
    let text = |flag: &str| {
        let scheduler = json!({"policy": "SCHED_DEADLINE", "flags": [flag]});
        json!({"process": {"cwd": "/", "user": {"uid": 0, "gid": 0}, "args": [flag], "scheduler": scheduler}})
            .to_string()
    };
    for (flag, known) in MISNAMED_FLAGS {
        let spec: Value = serde_json::from_str(&with_known_flags(text(flag))).expect("JSON");
        assert_eq!(
            (&spec["process"]["args"][0], &spec["process"]["scheduler"]["flags"][0]),
            (&json!(flag), &json!(known))
        );
        serde_json::from_value::<Process>(spec["process"].clone()).expect("known to the crate");
    }
}
