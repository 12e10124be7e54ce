//! Namespaces, capabilities, seccomp, users, limits and names, read from `/proc` inside the container.

use crate::bed::{Bed, capabilities, field};
use serde_json::json;
use std::fs;
use std::path::{Path, PathBuf};

const STATUS: &str = "cat /proc/self/status";

/// A filter that lets everything pass but answers `EPERM` to chroot(2) and kills on what only the runtime calls.
pub(crate) fn write_filter(path: &Path) -> PathBuf {
    // x86-64 numbers.
    const CHROOT: u32 = 161;
    const KILL: [u32; 6] = [CAPSET, SETGROUPS, SETRESUID, PIVOT_ROOT, UNSHARE, MOVE_MOUNT];
    const SETGROUPS: u32 = 116;
    const SETRESUID: u32 = 117;
    const CAPSET: u32 = 126;
    const PIVOT_ROOT: u32 = 155;
    const UNSHARE: u32 = 272;
    const MOVE_MOUNT: u32 = 429;
    const LOAD: u16 = 0x20;
    const JUMP_IF_EQUAL: u16 = 0x15;
    const RETURN: u16 = 0x06;
    let mut program = vec![(LOAD, 0_u8, 0_u8, 0_u32), (JUMP_IF_EQUAL, 0, 1, CHROOT), (RETURN, 0, 0, 0x0005_0001)];
    for number in KILL {
        program.extend([(JUMP_IF_EQUAL, 0, 1, number), (RETURN, 0, 0, 0x8000_0000)]);
    }
    program.push((RETURN, 0, 0, 0x7fff_0000));
    let bytes: Vec<u8> = program
        .into_iter()
        .flat_map(|(code, jt, jf, k)| [&code.to_le_bytes()[..], &[jt, jf], &k.to_le_bytes()].concat())
        .collect();
    fs::write(path, bytes).expect("write filter");
    path.to_owned()
}

#[test]
fn root_namespaces_are_its_own() {
    let bed = Bed::new();
    let kinds = ["pid", "mnt", "ipc", "uts", "cgroup", "net", "user", "time"];
    let script = kinds.map(|kind| format!("readlink /proc/self/ns/{kind}")).join(";");
    let output = bed.output(&bed.launch("c", &script, json!({})));
    for (kind, inside) in kinds.iter().zip(output.lines()) {
        let outside = fs::read_link(format!("/proc/thread-self/ns/{kind}")).expect("own namespace");
        let same = outside.to_str() == Some(inside);
        assert_eq!(same, matches!(*kind, "user" | "time"), "{kind}: {inside}");
    }
}

#[test]
fn root_host_network_is_shared_when_no_namespace_is_listed() {
    let bed = Bed::new();
    let namespaces = json!({"linux": {"namespaces": [{"type": "pid"}]}});
    let output = bed.output(&bed.launch("c", "readlink /proc/self/ns/net; ls /sys/class/net", namespaces));
    let own = fs::read_link("/proc/thread-self/ns/net").expect("own namespace");
    assert_eq!(output.lines().next(), own.to_str());
    assert!(output.lines().any(|line| line == "lo"), "{output}");
}

#[test]
fn root_private_network_has_loopback_up() {
    let bed = Bed::new();
    let output = bed.output(&bed.launch("c", "cat /sys/class/net/lo/flags; ls /sys/class/net", json!({})));
    let flags = output.lines().next().and_then(|line| line.strip_prefix("0x")).expect("flags");
    assert_eq!(u32::from_str_radix(flags, 16).expect("hexadecimal") & 1, 1, "IFF_UP in {flags}");
}

#[test]
fn root_first_process_leads_its_own_session() {
    let bed = Bed::new();
    let output = bed.output(&bed.launch("c", "cut -d' ' -f1,5,6 /proc/$$/stat", json!({})));
    assert_eq!(output.trim(), "1 1 1");
}

#[test]
fn root_names_are_set() {
    let bed = Bed::new();
    let launch = bed.launch("c", "hostname; cat /proc/sys/kernel/domainname", json!({"domainname": "example"}));
    assert_eq!(bed.output(&launch), "c\nexample\n");
}

#[test]
fn root_capabilities_are_exact() {
    let bed = Bed::new();
    // CHOWN is bit 0, NET_ADMIN bit 12.
    let two = "0000000000001001";
    let none = "0000000000000000";
    for (user, no_new_privs, ambient, want) in [
        (0, true, false, [none, two, two, two, none]),
        (0, false, false, [none, two, two, two, none]),
        (1000, true, false, [none, none, none, two, none]),
        (1000, true, true, [two, two, two, two, two]),
        (1000, false, true, [two, two, two, two, two]),
    ] {
        let mut sets = capabilities(&["CAP_CHOWN", "CAP_NET_ADMIN"]);
        if ambient {
            sets["inheritable"] = sets["bounding"].clone();
            sets["ambient"] = sets["bounding"].clone();
        }
        let process =
            json!({"user": {"uid": user, "gid": user}, "capabilities": sets, "noNewPrivileges": no_new_privs});
        for seccomp in [None, Some(write_filter(&bed.path("filter.bpf")))] {
            let mut launch = bed.launch("c", STATUS, json!({"process": process}));
            launch.seccomp = seccomp;
            let status = bed.output(&launch);
            let got = ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"].map(|key| field(&status, key));
            assert_eq!(got, want, "user {user}, no_new_privs {no_new_privs}, filter {:?}", launch.seccomp);
            assert_eq!(field(&status, "NoNewPrivs"), if no_new_privs { "1" } else { "0" });
        }
    }
}

#[test]
fn root_filter_is_on_and_need_not_allow_what_the_runtime_does() {
    let bed = Bed::new();
    for no_new_privs in [true, false] {
        let process = json!({"noNewPrivileges": no_new_privs, "capabilities": capabilities(&["CAP_SYS_CHROOT"])});
        let script = format!("chroot / true && echo went; {STATUS}");
        let mut launch = bed.launch("c", &script, json!({"process": process}));
        assert!(bed.output(&launch).starts_with("went\n"), "chroot is allowed without a filter");
        launch.seccomp = Some(write_filter(&bed.path("filter.bpf")));
        let output = bed.output(&launch);
        assert!(output.contains("can't change root directory to '/': Operation not permitted"), "{output}");
        assert_eq!((field(&output, "Seccomp"), field(&output, "Seccomp_filters")), ("2", "1"));
    }
}

#[test]
fn root_user_groups_umask_and_directory() {
    let bed = Bed::new();
    let user = json!({"uid": 1000, "gid": 1001, "additionalGids": [5, 7], "umask": 0o027});
    let process = json!({"user": user, "cwd": "/tmp"});
    let output = bed.output(&bed.launch("c", "id -u; id -g; id -G; umask; pwd", json!({"process": process})));
    assert_eq!(output, "1000\n1001\n1001 5 7\n0027\n/tmp\n");
}

#[test]
fn root_limits_are_set() {
    let bed = Bed::new();
    let rlimits = json!([{"type": "RLIMIT_NOFILE", "soft": 123, "hard": 456}]);
    // Raising the score needs no privilege; lowering it needs CAP_SYS_RESOURCE, which the test machine may lack.
    let process = json!({"rlimits": rlimits, "oomScoreAdj": 321});
    let script = "ulimit -Sn; ulimit -Hn; cat /proc/self/oom_score_adj";
    assert_eq!(bed.output(&bed.launch("c", script, json!({"process": process}))), "123\n456\n321\n");
}

#[test]
fn root_environment_and_descriptors_are_only_those_given() {
    let bed = Bed::new();
    let process = json!({"env": ["PATH=/usr/bin", "A=b c"], "args": ["busybox", "env"]});
    assert_eq!(bed.output(&bed.launch("c", "", json!({"process": process}))), "PATH=/usr/bin\nA=b c\n");
    // A careless caller: this one is inherited by everything it executes. 3 is the directory ls reads.
    let _inherited = rustix::io::dup(std::io::stdin()).expect("dup without close-on-exec");
    assert_eq!(bed.output(&bed.launch("c", "exec ls /proc/self/fd", json!({}))), "0\n1\n2\n3\n");
}

#[test]
fn root_signals_have_their_defaults() {
    let bed = Bed::new();
    let status = bed.output(&bed.launch("c", "exec cat /proc/self/status", json!({})));
    for key in ["SigBlk", "SigIgn", "SigCgt"] {
        assert_eq!(field(&status, key), "0000000000000000", "{key}");
    }
}
