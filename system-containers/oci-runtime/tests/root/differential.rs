//! The same bundles under crun (Debian's package): what a program sees inside is the same, but for what is listed.

use crate::bed::Bed;
use serde_json::{Value, json};
use std::process::Command;

/// Prints what a program can see of its container.
const DUMP: &str = "busybox id -u; busybox id -G; umask; busybox pwd; busybox env | busybox sort; busybox hostname; \
    busybox grep -E '^(Cap|NoNewPrivs|Seccomp:|SigIgn|SigBlk)' /proc/self/status; \
    busybox tr -s ' ' </proc/self/limits; busybox cat /proc/self/oom_score_adj; \
    busybox ls -lnR /dev | busybox awk '{print $1, $3, $4, $5, $6, $NF}'; \
    busybox cut -d' ' -f4- /proc/self/mountinfo | busybox sort; \
    busybox head -c 1 /proc/timer_list | busybox wc -c; \
    busybox ls /proc/acpi /sys/firmware; \
    for file in / /tmp /proc/sys/kernel/hostname; do test -w $file && echo $file is writable; done; \
    busybox cat /proc/sys/net/ipv4/ip_forward; busybox readlink /proc/self/fd/3; true";

/// Parts of lines that differ, and why.
const KNOWN: [(&str, &str); 7] = [
    ("1, 3 null", "crun gives the standard streams to the user, /dev/null among them"),
    ("SigIgn:", "ours resets every signal; crun passes on what its caller ignores"),
    (" /proc/kcore", "crun links /dev/core to it; the specification has no such link, and engines mask it"),
    ("/ /proc/acpi ", "masked directories: ours have nosuid, nodev and noexec as well, and one inode"),
    ("/ /sys/firmware ", "the same"),
    ("/null /proc/keys ", "masked files: ours show the container's /dev/null, crun's the host's"),
    ("/null /proc/timer_list ", "the same"),
];

/// Both get cgroup v2 where crun looks for it, also on a machine that mounts v1 there.
const WRAPPED: [&str; 6] =
    ["--mount", "--propagation=private", "sh", "-c", "mount -t cgroup2 cgroup2 /sys/fs/cgroup && exec \"$@\"", "sh"];

fn run(program: &str, globals: &[&str], bundle: &std::path::Path) -> Vec<String> {
    let mut command = Command::new("unshare");
    command
        .args(WRAPPED)
        .arg(program)
        .args(globals)
        .arg("run")
        .arg("--bundle")
        .arg(bundle)
        .arg("hull-differential")
        .stdin(std::process::Stdio::null());
    let output = command.output().unwrap_or_else(|error| unreachable!("{program} (install Debian's crun): {error}"));
    assert!(output.status.success(), "{program}: {output:?}");
    let text = String::from_utf8(output.stdout).expect("UTF-8");
    let known = |line: &str| KNOWN.iter().any(|(part, _)| line.contains(part));
    text.lines().filter(|line| !known(line)).map(str::to_owned).collect()
}

#[test]
fn root_programs_see_what_they_see_under_crun() {
    let bed = Bed::new();
    let namespaces = |kinds: &[&str]| kinds.iter().map(|kind| json!({"type": kind})).collect::<Vec<_>>();
    let all = namespaces(&["pid", "mount", "ipc", "uts", "network"]);
    let capabilities = ["CAP_CHOWN", "CAP_NET_RAW", "CAP_KILL"];
    let sets = json!({"bounding": capabilities, "permitted": capabilities, "effective": capabilities});
    let seccomp =
        json!({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": ["mkdir"], "action": "SCMP_ACT_ERRNO"}]});
    let bundles: [(&str, Value); 5] = [
        ("plain", json!({"linux": {"namespaces": all}})),
        (
            "docker",
            json!({
                "hostname": "named",
                "process": {"capabilities": sets, "oomScoreAdj": 100, "noNewPrivileges": false,
                    "rlimits": [{"type": "RLIMIT_NOFILE", "soft": 77, "hard": 88}]},
                "linux": {"namespaces": all, "seccomp": seccomp,
                    "maskedPaths": ["/proc/acpi", "/proc/keys", "/proc/timer_list", "/sys/firmware"],
                    "readonlyPaths": ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"]},
            }),
        ),
        (
            "user",
            json!({
                "process": {"user": {"uid": 5, "gid": 6, "additionalGids": [7, 8], "umask": 0o77}, "cwd": "/tmp",
                    "capabilities": sets},
                "linux": {"namespaces": all, "devices":
                    [{"path": "/dev/extra", "type": "c", "major": 1, "minor": 3, "fileMode": 0o640, "uid": 3, "gid": 4}]},
            }),
        ),
        (
            "writable",
            json!({
                "root": {"readonly": false},
                "linux": {"namespaces": all, "sysctl": {"net.ipv4.ip_forward": "1"}, "rootfsPropagation": "rprivate"},
            }),
        ),
        ("host", json!({"linux": {"namespaces": namespaces(&["pid", "mount"])}})),
    ];
    let (root, ours) = (bed.path("state").display().to_string(), env!("CARGO_BIN_EXE_hull-runtime"));
    for (name, mut changes) in bundles {
        // Debian 12's crun knows no newer one.
        changes["ociVersion"] = json!("1.0.2");
        let bundle = bed.bundle(name, DUMP, changes);
        // Its cgroups are left out: for their device rules crun raises a limit, which not every test machine allows.
        let want = run("crun", &["--cgroup-manager=disabled"], &bundle);
        assert!(want.len() > 40, "{name}: {want:?}");
        assert_eq!(run(ours, &["--root", &root], &bundle), want, "{name}");
    }
}
