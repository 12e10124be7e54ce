//! The bundles that are compared: changes of [`Bed::bundle`]'s configuration, `mounts` being further ones.

mod surroundings;

use crate::bed::Bed;
use serde_json::{Value, json};
use surroundings::{linux, mounts, prepare};

pub(super) use surroundings::prepare_mounts;

/// A bundle to be compared.
pub(super) struct Case {
    pub(super) name: &'static str,
    pub(super) changes: Value,
    pub(super) terminal: bool,
    /// The cgroup controller it needs.
    controller: Option<&'static str>,
}

impl Case {
    /// Without it, all have to refuse the bundle.
    pub(super) fn controller_is_here(&self) -> bool {
        self.controller.is_none_or(super::has_controller)
    }
}

/// The container whose namespaces others join.
pub(super) fn joined() -> Value {
    json!({"hostname": "joined", "linux": {"sysctl": {"net.ipv4.ip_forward": "1"}}})
}

/// All of them. `joined` is the first process of [`joined`].
pub(super) fn all(bed: &Bed, joined: i64) -> Vec<Case> {
    prepare(bed);
    let tables = [process(), capabilities(), namespaces(joined), mounts(bed), linux(), system_calls(), hooks(bed)];
    let mut cases: Vec<Case> = tables.into_iter().flatten().map(|(name, changes)| case(bed, name, changes)).collect();
    cases.extend(resources().into_iter().map(|(name, controller, resources)| Case {
        controller,
        ..case(bed, name, json!({"linux": {"resources": resources}}))
    }));
    cases
}

fn case(bed: &Bed, name: &'static str, mut changes: Value) -> Case {
    let usual = json!([
        {"destination": "/proc", "type": "proc", "source": "proc"},
        {"destination": "/dev", "type": "tmpfs", "source": "tmpfs",
         "options": ["nosuid", "strictatime", "mode=755", "size=65536k"]},
        {"destination": "/dev/pts", "type": "devpts", "source": "devpts",
         "options": ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620"]},
        {"destination": "/dev/shm", "type": "tmpfs", "source": "shm",
         "options": ["nosuid", "noexec", "nodev", "mode=1777", "size=65536k"]},
        {"destination": "/dev/mqueue", "type": "mqueue", "source": "mqueue", "options": ["nosuid", "noexec", "nodev"]},
        {"destination": "/sys", "type": "sysfs", "source": "sysfs", "options": ["nosuid", "noexec", "nodev", "ro"]},
        {"destination": "/sys/fs/cgroup", "type": "cgroup", "source": "cgroup",
         "options": ["nosuid", "noexec", "nodev", "relatime", "ro"]},
        {"destination": "/tmp", "type": "bind", "source": bed.path(&format!("shared-{name}")), "options": ["rbind"]},
    ]);
    let Value::Array(mut list) = usual else { unreachable!("a list") };
    if let Some(Value::Array(more)) = changes.get_mut("mounts").map(Value::take) {
        for mount in more {
            match list
                .iter_mut()
                .find(|usual| usual["destination"] == mount["destination"] && mount["source"] != "again")
            {
                Some(usual) => *usual = mount,
                None => list.push(mount),
            }
        }
    }
    changes["mounts"] = Value::Array(list);
    let terminal = changes["process"]["terminal"] == json!(true);
    Case { name, changes, terminal, controller: None }
}

type Table = Vec<(&'static str, Value)>;

/// `process` but for its capabilities.
fn process() -> Table {
    let of = |process: Value| json!({"process": process});
    let scheduler = |scheduler: Value| of(json!({"scheduler": scheduler}));
    vec![
        ("plain", json!({})),
        ("user", of(json!({"user": {"uid": 5, "gid": 6, "additionalGids": [7, 8]}}))),
        ("groups-of-root", of(json!({"user": {"uid": 0, "gid": 6, "additionalGids": [7, 0, 7]}}))),
        ("umask", of(json!({"user": {"uid": 0, "gid": 0, "umask": 0o77}}))),
        ("new-privileges", of(json!({"noNewPrivileges": false}))),
        (
            "limits",
            of(json!({"rlimits": [
                {"type": "RLIMIT_NOFILE", "soft": 77, "hard": 88}, {"type": "RLIMIT_CORE", "soft": 0, "hard": 9},
                {"type": "RLIMIT_CPU", "soft": 100, "hard": 200}, {"type": "RLIMIT_STACK", "soft": 4_194_304, "hard": 8_388_608},
                {"type": "RLIMIT_NPROC", "soft": 500, "hard": 600}, {"type": "RLIMIT_FSIZE", "soft": 1 << 30, "hard": 1_u64 << 31},
            ]})),
        ),
        ("limit-of-memory", of(json!({"rlimits": [{"type": "RLIMIT_AS", "soft": 1_u64 << 30, "hard": 1_u64 << 31}]}))),
        ("oom-score", of(json!({"oomScoreAdj": 321}))),
        ("directory", of(json!({"cwd": "/dev/shm"}))),
        ("directory-made", of(json!({"cwd": "/tmp/a/b"}))),
        ("directory-of-user", of(json!({"cwd": "/tmp", "user": {"uid": 5, "gid": 6}}))),
        ("environment", of(json!({"env": ["PATH=/usr/bin:/bin", "A=1", "A=2", "EMPTY=", "SPACE=a b", "HOME=/here"]}))),
        ("home", of(json!({"user": {"uid": 5, "gid": 6}, "env": ["PATH=/bin"]}))),
        ("home-unknown", of(json!({"user": {"uid": 4711, "gid": 6}}))),
        ("io-priority", of(json!({"ioPriority": {"class": "IOPRIO_CLASS_BE", "priority": 6}}))),
        ("io-priority-idle", of(json!({"ioPriority": {"class": "IOPRIO_CLASS_IDLE", "priority": 0}}))),
        ("scheduler-batch", scheduler(json!({"policy": "SCHED_BATCH", "nice": 5}))),
        ("scheduler-idle", scheduler(json!({"policy": "SCHED_IDLE"}))),
        ("scheduler-other", scheduler(json!({"policy": "SCHED_OTHER", "nice": 7}))),
        (
            "scheduler-round",
            scheduler(json!({"policy": "SCHED_RR", "priority": 3, "flags": ["SCHED_FLAG_RESET_ON_FORK"]})),
        ),
        ("terminal", of(json!({"terminal": true}))),
        (
            "terminal-of-user",
            of(json!({"terminal": true, "consoleSize": {"height": 33, "width": 44},
            "user": {"uid": 5, "gid": 6}})),
        ),
    ]
}

fn capabilities() -> Table {
    let sets = |uid: u32, [bounding, permitted, effective, inheritable, ambient]: [&[&str]; 5]| {
        json!({"process": {"user": {"uid": uid, "gid": uid}, "capabilities": {"bounding": bounding,
            "permitted": permitted, "effective": effective, "inheritable": inheritable, "ambient": ambient}}})
    };
    let (none, one): (&[&str], &[&str]) = (&[], &["CAP_NET_RAW"]);
    let some: &[&str] = &["CAP_CHOWN", "CAP_NET_RAW", "CAP_KILL", "CAP_MKNOD", "CAP_SYS_ADMIN", "CAP_DAC_OVERRIDE"];
    let mut without_privileges = sets(0, [some, some, one, none, none]);
    without_privileges["process"]["noNewPrivileges"] = json!(false);
    vec![
        ("capabilities-none", sets(0, [none; 5])),
        ("capabilities", sets(0, [some, some, some, none, none])),
        ("capabilities-all-sets", sets(0, [some, some, some, some, some])),
        ("capabilities-inheritable", sets(0, [some, some, some, one, none])),
        ("capabilities-ambient", sets(5, [some, some, some, one, one])),
        ("capabilities-of-user", sets(5, [some, some, some, none, none])),
        ("capabilities-of-user-inherited", sets(5, [some, one, one, some, none])),
        ("capabilities-bounding", sets(0, [some, none, none, none, none])),
        ("capabilities-effective-fewer", without_privileges),
        ("ambient-not-inheritable", sets(5, [some, some, some, none, one])),
    ]
}

fn kinds(kinds: &[&str]) -> Vec<Value> {
    kinds.iter().map(|kind| json!({"type": kind})).collect()
}

fn namespaces(joined: i64) -> Table {
    let of = |list: Vec<Value>| json!({"linux": {"namespaces": list}});
    let path = |kind: &str, file: &str| json!({"type": kind, "path": format!("/proc/{joined}/ns/{file}")});
    let all = |more: &[&str]| kinds(&[&["pid", "mount", "ipc", "uts", "cgroup", "network"], more].concat());
    let time = |offsets: Value| json!({"linux": {"namespaces": all(&["time"]), "timeOffsets": offsets}});
    let user = |process: Value, map: Value| {
        json!({"process": process,
            "linux": {"namespaces": all(&["user"]), "uidMappings": map, "gidMappings": map}})
    };
    let map = json!([{"containerID": 0, "hostID": 100_000, "size": 65536}]);
    let maps =
        json!([{"containerID": 0, "hostID": 100_000, "size": 10}, {"containerID": 10, "hostID": 200_000, "size": 5}]);
    vec![
        ("namespace-of-mounts-alone", of(kinds(&["mount"]))),
        ("namespaces-without-network", of(kinds(&["pid", "mount", "ipc", "uts", "cgroup"]))),
        ("namespaces-without-cgroup", of(kinds(&["pid", "mount", "ipc", "uts", "network"]))),
        ("namespaces-without-pid", of(kinds(&["mount", "ipc", "uts", "network", "cgroup"]))),
        (
            "namespaces-joined",
            of(vec![
                path("network", "net"),
                path("ipc", "ipc"),
                path("uts", "uts"),
                json!({"type": "mount"}),
                json!({"type": "pid"}),
                json!({"type": "cgroup"}),
            ]),
        ),
        (
            "namespace-of-processes-joined",
            of([kinds(&["mount", "ipc", "uts", "network"]), vec![path("pid", "pid")]].concat()),
        ),
        ("namespace-of-cgroups-joined", of([kinds(&["mount", "pid"]), vec![path("cgroup", "cgroup")]].concat())),
        ("names", json!({"hostname": "inside", "domainname": "example.org"})),
        ("time", time(json!({"boottime": {"secs": 1_000_000, "nanosecs": 5}, "monotonic": {"secs": -100}}))),
        ("time-as-it-is", json!({"linux": {"namespaces": all(&["time"])}})),
        ("user-namespace", user(json!({}), map.clone())),
        ("user-namespace-ranges", user(json!({"user": {"uid": 5, "gid": 12}}), maps)),
        (
            "user-namespace-limits",
            user(
                json!({"oomScoreAdj": 500,
            "rlimits": [{"type": "RLIMIT_NOFILE", "soft": 77, "hard": 88}]}),
                map,
            ),
        ),
    ]
}

fn system_calls() -> Table {
    let of = |seccomp: Value, privileges: bool| json!({"process": {"noNewPrivileges": !privileges}, "linux": {"seccomp": seccomp}});
    let rules = |rules: Value| of(json!({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": rules}), false);
    let one = |names: &[&str], action: &str| rules(json!([{"names": names, "action": action}]));
    let errno = |names: &[&str], number: u32| json!({"names": names, "action": "SCMP_ACT_ERRNO", "errnoRet": number});
    let personality = |op: &str, value: u64, two: u64| {
        rules(json!([{"names": ["personality"], "action": "SCMP_ACT_ERRNO", "errnoRet": 95,
            "args": [{"index": 0, "value": value, "valueTwo": two, "op": op}]}]))
    };
    vec![
        ("calls-refused", one(&["mkdir", "chmod", "fchmodat", "no_such_call"], "SCMP_ACT_ERRNO")),
        ("calls-refused-by-number", rules(json!([errno(&["mkdir"], 95), errno(&["chmod"], 38), errno(&["sync"], 5)]))),
        ("calls-killed", one(&["setsid"], "SCMP_ACT_KILL")),
        ("calls-killed-process", one(&["swapoff"], "SCMP_ACT_KILL_PROCESS")),
        ("calls-trapped", one(&["swapoff"], "SCMP_ACT_TRAP")),
        ("calls-traced", one(&["mkdir"], "SCMP_ACT_TRACE")),
        ("calls-logged", one(&["mkdir"], "SCMP_ACT_LOG")),
        ("calls-by-argument", personality("SCMP_CMP_EQ", 8, 0)),
        ("calls-by-argument-not", personality("SCMP_CMP_NE", 0xffff_ffff, 0)),
        ("calls-by-mask", personality("SCMP_CMP_MASKED_EQ", 8, 8)),
        (
            "calls-by-two-conditions",
            rules(json!([{"names": ["chown", "fchownat", "lchown"], "action": "SCMP_ACT_ERRNO", "errnoRet": 71,
            "args": [{"index": 1, "value": 0, "op": "SCMP_CMP_EQ"}, {"index": 2, "value": 4, "op": "SCMP_CMP_GT"}]}])),
        ),
        (
            "calls-by-same-argument",
            rules(json!([{"names": ["personality"], "action": "SCMP_ACT_ERRNO",
            "args": [{"index": 0, "value": 8, "op": "SCMP_CMP_EQ"}, {"index": 0, "value": 9, "op": "SCMP_CMP_EQ"}]}])),
        ),
        (
            "calls-of-architectures",
            of(
                json!({"defaultAction": "SCMP_ACT_ALLOW",
            "architectures": ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32"], "syscalls": [errno(&["mkdir"], 1)]}),
                false,
            ),
        ),
        (
            "calls-with-privileges",
            of(json!({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [errno(&["mkdir"], 1)]}), true),
        ),
        (
            "calls-default-logged",
            of(json!({"defaultAction": "SCMP_ACT_LOG", "syscalls": [errno(&["mkdir"], 1)]}), false),
        ),
        ("calls-none", of(json!({"defaultAction": "SCMP_ACT_ALLOW"}), false)),
    ]
}

fn hooks(bed: &Bed) -> Table {
    let hook = |name: &str, kind: &str| {
        let file = bed.path(&format!("shared-{name}/hooks"));
        let script = format!("{{ printf '{kind} '; cat; echo; }} >>{}", file.display());
        json!([{"path": "/bin/sh", "args": ["sh", "-c", script], "env": ["PATH=/bin:/usr/bin"], "timeout": 5}])
    };
    let inside = json!([{"path": "/bin/busybox", "args": ["sh", "-c", "{ printf 'startContainer '; cat; echo; } >>/tmp/hooks"]}]);
    let all = |name: &str| {
        json!({"prestart": hook(name, "prestart"), "createRuntime": hook(name, "createRuntime"),
            "createContainer": hook(name, "createContainer"), "startContainer": inside, "poststop": hook(name, "poststop")})
    };
    let fails = json!([{"path": "/bin/false"}]);
    vec![
        ("hooks", json!({"hooks": all("hooks")})),
        (
            "hooks-annotated",
            json!({"hooks": {"createRuntime": hook("hooks-annotated", "createRuntime")}, "annotations": {"a": "b"}}),
        ),
        ("hook-after-end-fails", json!({"hooks": {"poststop": fails}})),
    ]
}

/// Name, controller and `linux.resources`.
fn resources() -> Vec<(&'static str, Option<&'static str>, Value)> {
    let rule = |allow: bool, access: &str| json!({"allow": allow, "access": access});
    let of = |kind: &str, minor: i64, access: &str| json!({"allow": true, "type": kind, "major": 1, "minor": minor, "access": access});
    vec![
        ("unified", None, json!({"unified": {"cgroup.max.depth": "5", "cgroup.max.descendants": "7"}})),
        ("huge-pages", Some("hugetlb"), json!({"hugepageLimits": [{"pageSize": "2MB", "limit": 4_194_304}]})),
        ("memory", Some("memory"), json!({"memory": {"limit": 1 << 26, "reservation": 1 << 25, "swap": 1 << 27}})),
        ("memory-unified", Some("memory"), json!({"unified": {"memory.high": "33554432"}})),
        ("processes", Some("pids"), json!({"pids": {"limit": 99}})),
        ("processor", Some("cpu"), json!({"cpu": {"shares": 512, "quota": 20000, "period": 50000}})),
        ("processor-idle", Some("cpu"), json!({"cpu": {"idle": 1}})),
        ("processors", Some("cpuset"), json!({"cpu": {"cpus": "0", "mems": "0"}})),
        ("device-rules", None, json!({"devices": [rule(false, "rwm"), of("c", 11, "r")]})),
        ("device-rules-none", None, json!({"devices": [rule(false, "rwm")]})),
        ("device-rules-all", None, json!({"devices": [rule(true, "rwm")]})),
        (
            "device-rules-any-minor",
            None,
            json!({"devices": [rule(false, "rwm"), {"allow": true, "type": "c", "major": 1, "access": "rwm"}]}),
        ),
        (
            "device-rules-in-order",
            None,
            json!({"devices": [rule(false, "rwm"), of("c", 11, "rw"),
            {"allow": false, "type": "c", "major": 1, "minor": 11, "access": "r"}]}),
        ),
    ]
}
