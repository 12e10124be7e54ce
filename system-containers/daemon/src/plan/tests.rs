//! Golden plans: what a definition becomes, as the OCI JSON an auditor would read.

use super::*;
use hull_runtime::Rule;

fn service(text: &str) -> Service {
    hull_service::parse("test", text).unwrap()
}

fn facts() -> Facts {
    Facts {
        hostname: "box".into(),
        system_disk: [(254, 0), (254, 1)].into(),
        slots: Some(facts::Slots { running: (254, 3), other: Some((254, 4)) }),
        esp: Some((254, 1)),
        watchdog_major: Some(247),
        memory: 1 << 30,
        kept_free: 32 << 20,
        threads_max: 8000,
    }
}

/// Compares with `testdata/plan/<name>.json`; `UPDATE_GOLDEN=1` writes it.
fn golden(name: &str, text: &str) -> Plan {
    let plan = plan(name, &service(text), &Paths::machine(), &facts());
    // The capability sets are hash sets; sorted, they compare.
    let mut value = serde_json::to_value(&plan.launch.spec).unwrap();
    for set in value["process"]["capabilities"].as_object_mut().unwrap().values_mut() {
        set.as_array_mut().unwrap().sort_by_key(ToString::to_string);
    }
    let actual = serde_json::to_string_pretty(&value).unwrap() + "\n";
    let file = format!("{}/testdata/plan/{name}.json", env!("CARGO_MANIFEST_DIR"));
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(&file, &actual).unwrap();
    }
    assert_eq!(actual, std::fs::read_to_string(&file).unwrap(), "{file}");
    plan
}

#[test]
fn a_minimal_service_gets_nothing_it_did_not_ask_for() {
    let plan = golden("minimal", include_str!("../../testdata/plan/minimal.toml"));
    assert_eq!(plan.launch.rootfs, PathBuf::from("/services/minimal/rootfs"));
    assert_eq!(plan.launch.cgroup, PathBuf::from("/sys/fs/cgroup/services/minimal"));
    assert_eq!(plan.launch.seccomp, None);
    assert_eq!(plan.launch.devices, hull_runtime::DeviceRules::default());
    assert!(plan.sources.is_empty());
    assert_eq!(plan.limits, cgroup::Limits::default());
}

#[test]
fn what_is_spared_depends_on_the_machine() {
    let text = include_str!("../../testdata/plan/minimal.toml").to_owned();
    let limits = |memory: &str, pids: u32| {
        let text = format!("{text}\n[limits]\nmemory-spare = \"{memory}\"\npids-spare = {pids}\n");
        let limits = plan("t", &service(&text), &Paths::machine(), &facts()).limits;
        (limits.memory_max.unwrap(), limits.pids_max.unwrap())
    };
    assert_eq!(limits("128M", 1024), ((1 << 30) - (160 << 20), 8000 - 1024));
    assert_eq!(limits("4G", 9000), (1 << 29, 4000));
}

#[test]
fn every_key_of_a_full_service_arrives() {
    let plan = golden("full", include_str!("../../testdata/plan/full.toml"));
    assert_eq!(plan.launch.seccomp, Some("/services/full/seccomp.bpf".into()));
    assert!(plan.launch.delegate);
    assert!(plan.launch.devices.default_allow);
    let denied = |rule: &&Rule| rule.read && rule.write && rule.mknod;
    // two of the disk, three of memory, two of the watchdog, one of kmsg
    assert_eq!(plan.launch.devices.deny.iter().filter(denied).count(), 8);
    assert_eq!((plan.limits.memory_max, plan.limits.pids_max), (Some(64 << 20), Some(32)));
    assert_eq!((plan.limits.memory_swap_max, plan.limits.oom_group), (Some(0), true));
    assert_eq!((plan.limits.cpu_max, plan.limits.io_weight), (Some(150), Some(10)));
    let made: Vec<_> = plan.sources.iter().map(|made| (made.path.to_str().unwrap(), made.file, made.mode)).collect();
    assert_eq!(
        made,
        [
            ("/state/services/full", false, 0o700),
            ("/run/full.conf", true, 0o755),
            ("/state/etc/full", false, 0o755),
            ("/state/etc/full/upper", false, 0o755),
            ("/state/etc/full/work", false, 0o700),
        ]
    );
}

#[test]
fn the_updater_reads_the_running_slot_and_writes_the_other() {
    let text = include_str!("../../testdata/plan/minimal.toml").to_owned();
    let rules = plan("t", &service(&(text + "\n[security.devices]\nslots = true\n")), &Paths::machine(), &facts());
    let allowed: Vec<_> =
        rules.launch.devices.allow.iter().map(|rule| (rule.minor, rule.read, rule.write, rule.mknod)).collect();
    assert_eq!(allowed, [(Some(3), true, false, false), (Some(4), true, true, false)]);
    assert!(!rules.launch.devices.default_allow);
}

#[test]
fn of_the_system_disk_the_esp_alone_can_be_read() {
    let text = include_str!("../../testdata/plan/minimal.toml").to_owned();
    for (esp, read) in [("", true), ("esp = true\n", false)] {
        let text = format!(
            "{text}\n[security.devices]\nallow = [{{ type = \"block\", access = \"r\" }}]\n{esp}deny = [\"system-disk\"]\n"
        );
        let devices = plan("t", &service(&text), &Paths::machine(), &facts()).launch.devices;
        let denied: Vec<_> = devices.deny.iter().map(|rule| (rule.minor, rule.read, rule.write)).collect();
        assert_eq!(denied, [(Some(0), true, true), (Some(1), read, true)]);
        assert_eq!(devices.allow.len(), if read { 1 } else { 2 });
    }
}

#[test]
fn of_a_root_in_memory_the_installer_reads_it_and_nothing_is_written() {
    let text = include_str!("../../testdata/plan/minimal.toml").to_owned();
    let text = text
        + "\n[security.devices]\nslots = true\nallow = [{ type = \"block\", access = \"rw\" }]\ndeny = [\"system-disk\"]\n";
    let slots = Some(facts::Slots { running: (7, 0), other: None });
    let facts = Facts { system_disk: [(7, 0), (252, 1)].into(), slots, esp: None, ..facts() };
    let devices = plan("t", &service(&text), &Paths::machine(), &facts).launch.devices;
    let rules = |rules: &[hull_runtime::Rule]| -> Vec<_> {
        rules.iter().map(|rule| (rule.major, rule.minor, rule.read, rule.write)).collect()
    };
    assert_eq!(rules(&devices.allow), [(None, None, true, true), (Some(7), Some(0), true, false)]);
    assert_eq!(rules(&devices.deny), [(Some(7), Some(0), false, true), (Some(252), Some(1), true, true)]);
}

#[test]
fn an_exec_has_the_privileges_of_the_service() {
    let service = service(include_str!("../../testdata/plan/full.toml"));
    let init = Pid::from_raw(7).unwrap();
    let command = Command {
        arguments: vec!["/bin/sh".into()],
        environment: vec!["A=other".into()],
        tty: true,
        ..Command::default()
    };
    let exec = exec("full", &service, &Paths::machine(), init, command);
    assert_eq!(exec.cgroup, PathBuf::from("/sys/fs/cgroup/services/full/exec"));
    assert!(exec.env.contains(&"A=other".into()) && !exec.env.contains(&"A=b".into()));
    assert!(exec.env.contains(&"TERM=xterm".into()));
    assert_eq!(exec.seccomp, Some("/services/full/seccomp.bpf".into()));
    assert_eq!(exec.capabilities.unwrap().bounding().as_ref().map(std::collections::HashSet::len), Some(2));
}

#[test]
fn a_watched_service_that_keeps_descriptors_is_told() {
    let text = "description = \"x\"\n[[process]]\nname = \"a\"\ncommand = [\"/a\"]\n\
                [health]\nwatchdog = 3\n[run]\nfd-store-max = 2\n";
    let service = service(text);
    assert!(has_notify_socket(&service) && !notifies(&service));
    let mut plan = plan("a", &service, &Paths::machine(), &facts());
    process::listen(&mut plan.launch.spec, &["one".into(), "two".into()]);
    let environment = plan.launch.spec.process().as_ref().unwrap().env().clone().unwrap();
    for variable in ["WATCHDOG_USEC=3000000", "LISTEN_FDS=2", "LISTEN_FDNAMES=one:two", "LISTEN_PID=1"] {
        assert!(environment.contains(&variable.to_owned()), "{environment:?}");
    }
    let exec = exec("a", &service, &Paths::machine(), Pid::from_raw(7).unwrap(), Command::default());
    assert!(!exec.env.iter().any(|variable| variable.starts_with("WATCHDOG")), "{:?}", exec.env);
}

#[test]
fn readiness_by_notification() {
    let one = |ready: &str| format!("description = \"x\"\n{ready}[[process]]\nname = \"a\"\ncommand = [\"/a\"]\n");
    let two = "[[process]]\nname = \"b\"\ncommand = [\"/b\"]\n";
    for (text, expected) in [
        (one(""), false),
        (one("ready = { notify = true }\n"), true),
        (one("ready = { probe = { path = \"/x\" } }\n"), false),
        (one("") + two, false),
        (one("") + two + "ready = { path = \"/x\" }\n", true),
    ] {
        assert_eq!(notifies(&service(&text)), expected, "{text}");
    }
}

/// The report is made from the definition alone; what the runtime is told must not go beyond it.
#[test]
fn every_writable_mount_is_in_the_report_on_confinement() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../services");
    let services = crate::definition::load::load(&folder).unwrap().services;
    for (name, service) in &services {
        let report = hull_service::confinement::Confinement::of(name, service, &[]);
        let launch = plan(name, service, &Paths::machine(), &facts()).launch;
        let mut mounted = Vec::new();
        for mount in launch.spec.mounts().iter().flatten() {
            let options = mount.options().clone().unwrap_or_default();
            let last = options.iter().rev().find(|option| matches!(option.as_str(), "ro" | "rw"));
            let target = mount.destination().to_str().unwrap();
            if last.is_none_or(|option| option == "rw") && target != "/sys" {
                mounted.push(target.to_owned());
                let source = mount.source().as_ref().filter(|_| mount.typ().as_deref() == Some("bind"));
                let reported = report.writable.iter().find(|one| one.path == target);
                assert!(reported.is_some(), "{name}: {target} is writable");
                if let Some(source) = source {
                    assert_eq!(reported.and_then(|one| one.source.as_deref()), source.to_str(), "{name}: {target}");
                }
            }
        }
        let beyond = |one: &&hull_service::confinement::Writable| one.source.is_some() && !mounted.contains(&one.path);
        assert_eq!(report.writable.iter().find(beyond), None, "{name}");
        let sys_writable =
            launch.spec.mounts().iter().flatten().any(|mount| mount.destination() == std::path::Path::new("/sys"));
        assert_eq!(report.sys_writable, sys_writable, "{name}");
    }
}
