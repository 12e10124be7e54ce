//! Namespaces joined by path.

use crate::bed::Bed;
use serde_json::{Value, json};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::{Child, Command, Stdio};

fn new(kinds: &[&str]) -> Vec<Value> {
    kinds.iter().map(|kind| json!({"type": kind})).collect()
}

/// The namespace of process `pid` whose file has this name.
fn of(pid: i64, kind: &str, file: &str) -> Value {
    json!({"type": kind, "path": format!("/proc/{pid}/ns/{file}")})
}

fn link(pid: i64, file: &str) -> String {
    fs::read_link(format!("/proc/{pid}/ns/{file}")).expect("namespace").display().to_string()
}

/// A process that ends with the test.
struct Held(Child);

impl Drop for Held {
    fn drop(&mut self) {
        self.0.kill().and_then(|()| self.0.wait()).expect("end");
    }
}

#[test]
fn root_namespaces_are_joined_by_path() {
    let bed = Bed::new();
    bed.start("first", "exec busybox sleep 1000", json!({"hostname": "shared-name"}));
    let pid = bed.state("first")["pid"].as_i64().expect("pid");
    let joined = [("uts", "uts"), ("ipc", "ipc"), ("network", "net"), ("pid", "pid")];
    let mut joined: Vec<Value> = joined.iter().map(|(kind, file)| of(pid, kind, file)).collect();
    joined.extend(new(&["mount"]));
    let script = "busybox hostname; busybox ps | busybox grep -c 'sleep 1000'; busybox readlink /proc/self/ns/net";
    let output = bed.output("second", script, json!({"linux": {"namespaces": joined}}));
    let net = std::fs::read_link(format!("/proc/{pid}/ns/net")).expect("namespace");
    let want = ["shared-name", "1", net.to_str().expect("UTF-8")];
    let lines: Vec<&str> = output.lines().collect();
    assert_eq!(lines[0], want[0]);
    assert_eq!(lines[2], want[2]);
    assert_ne!(lines[1], "0");
}

#[test]
fn root_a_user_namespace_is_joined_and_owns_the_new_ones() {
    let bed = Bed::new();
    bed.open_to_users();
    let map = json!([{"containerID": 0, "hostID": 100_000, "size": 1000}]);
    let all = ["pid", "mount", "ipc", "uts", "cgroup", "network"];
    let namespaces = new(&[&all[..], &["user"]].concat());
    let linux = json!({"namespaces": namespaces, "uidMappings": map, "gidMappings": map});
    bed.start("first", "exec busybox sleep 1000", json!({"linux": linux, "hostname": "first"}));
    let pid = bed.state("first")["pid"].as_i64().expect("pid");
    fs::set_permissions(bed.path("shared"), fs::Permissions::from_mode(0o777)).expect("chmod");
    let script = "busybox readlink /proc/self/ns/user; busybox cut -c1-32 /proc/self/uid_map; busybox hostname; \
        busybox hostname mine && busybox hostname; busybox stat -c %u /dev/pts /proc/1; exec busybox sleep 1000";
    let capabilities = ["CAP_SYS_ADMIN"];
    let sets = json!({"bounding": capabilities, "permitted": capabilities, "effective": capabilities});
    for (joined, hostname) in [
        ([new(&all), vec![of(pid, "user", "user")]].concat(), "second"),
        (
            [new(&["mount", "network"]), vec![of(pid, "pid", "pid"), of(pid, "uts", "uts"), of(pid, "user", "user")]]
                .concat(),
            "first",
        ),
    ] {
        let mut changes = json!({"process": {"capabilities": sets}, "linux": {"namespaces": joined}});
        if hostname == "second" {
            changes["hostname"] = json!(hostname);
        }
        let said = bed.path("shared/said");
        bed.start("second", &format!("{{ {script}; }} >/tmp/said 2>&1"), changes);
        let text = || fs::read_to_string(&said).unwrap_or_default();
        bed.wait("lines", || text().lines().count() >= 6);
        let text = text();
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines, [link(pid, "user").as_str(), "         0     100000       1000", hostname, "mine", "0", "0"]);
        // Further processes find their way as well.
        assert_eq!(bed.ok("exec second busybox readlink /proc/self/ns/user").trim(), link(pid, "user"));
        bed.ok("delete --force second");
        bed.assert_gone("second");
        fs::remove_file(&said).expect("remove");
    }
}

#[test]
fn root_a_mount_namespace_is_joined_but_not_its_root() {
    let bed = Bed::new();
    let mut holder = Command::new("unshare");
    holder.args([
        "--mount",
        "--propagation=private",
        "sh",
        "-c",
        "mount -t tmpfs held /mnt && echo up && exec sleep 1000",
    ]);
    let mut holder = Held(holder.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("unshare"));
    let mut line = [0; 3];
    std::io::Read::read_exact(holder.0.stdout.as_mut().expect("stdout"), &mut line).expect("up");
    let pid = i64::from(holder.0.id());
    let (mounts, own) = (link(pid, "mnt"), link(std::process::id().into(), "mnt"));
    let namespaces = [new(&["pid", "ipc", "uts", "network"]), vec![of(pid, "mount", "mnt")]].concat();
    bed.start("c", "exec busybox sleep 1000", json!({"linux": {"namespaces": namespaces}}));
    let before = fs::read_to_string("/proc/self/mounts").expect("mounts");
    // All see the same mounts, and each its own root.
    assert!(fs::read_to_string(format!("/proc/{pid}/mounts")).expect("mounts").contains("/rootfs/dev/pts"));
    assert!(!before.contains("/rootfs/dev/pts"));
    assert_ne!(mounts, own);
    let script = "busybox readlink /proc/self/ns/mnt; busybox ls /; test -e /home || echo no home";
    let output = bed.command("exec c sh -c").arg(script).output().expect("exec");
    let output = String::from_utf8(output.stdout).expect("UTF-8");
    let lines: Vec<&str> = output.lines().collect();
    assert_eq!((lines[0], lines[1], lines.last()), (mounts.as_str(), "bin", Some(&"no home")), "{output}");
    assert!(std::path::Path::new(&format!("/proc/{pid}/root/etc/hostname")).exists(), "the holder's root is as it was");
    bed.ok("delete --force c");
}

#[test]
fn root_a_time_namespace_is_joined() {
    let bed = Bed::new();
    let offsets = json!({"boottime": {"secs": 100_000_000}});
    let linux = json!({"namespaces": new(&["pid", "mount", "time"]), "timeOffsets": offsets});
    bed.start("first", "exec busybox sleep 1000", json!({"linux": linux}));
    let pid = bed.state("first")["pid"].as_i64().expect("pid");
    let joined = [new(&["mount", "pid"]), vec![of(pid, "time", "time")]].concat();
    let output = bed.output("second", "busybox cut -d. -f1 /proc/uptime", json!({"linux": {"namespaces": joined}}));
    assert!(output.trim().parse::<u64>().expect("seconds") >= 100_000_000, "{output}");
}
