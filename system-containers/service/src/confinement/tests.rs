//! Reports on made-up definitions; those on the real ones are `docs/confinement.md`.

use super::*;

const STRICT: &str = "description = \"x\"\n[[process]]\nname = \"a\"\ncommand = [\"/a\"]\n\
    [security]\nseccomp = [\"read\"]\n";

fn confinement(text: &str, calls: &[&str]) -> Confinement {
    let calls: Vec<String> = calls.iter().map(|call| (*call).to_owned()).collect();
    Confinement::of("t", &crate::parse("t", text).unwrap(), &calls)
}

#[test]
fn a_strict_service_reaches_nothing() {
    let strict = confinement(STRICT, &["read", "mount", "not_in_this_kernel"]);
    assert_eq!(strict.own_namespaces, ["mount", "pid", "ipc", "uts", "cgroup", "network"]);
    assert_eq!(strict.shared_namespaces, ["user", "time"]);
    assert_eq!((strict.system_calls.allowed, strict.system_calls.known), (2, SYSTEM_CALLS.len()));
    assert_eq!(strict.system_calls.dangerous, ["mount"]);
    assert!(!strict.system_calls.other_abis && strict.no_new_privs && strict.capabilities.is_empty());
    assert!(strict.writable.iter().all(|one| one.source.is_none()), "{:?}", strict.writable);
}

#[test]
fn a_missing_filter_is_not_taken_for_a_strict_one() {
    let unfiltered = confinement(&STRICT.replace("seccomp = [\"read\"]", ""), &[]);
    assert_eq!(unfiltered.system_calls, Confinement::plain_root_daemon().system_calls);
}

#[test]
fn what_is_written_in_the_definition_arrives() {
    let text = STRICT.replace("[\"read\"]", "[\"@known\"]")
        + "capabilities = [\"SYS_TIME\", \"KILL\"]\nno-new-privs = false\nwritable-proc-sys = true\ndelegate = true\n\
           [namespaces]\nnetwork = \"host\"\n[limits]\nmemory-max = \"1M\"\npids-max = 7\n";
    let open = confinement(&text, &[]);
    assert_eq!(open.capabilities, ["KILL", "SYS_TIME"]);
    assert_eq!(open.shared_namespaces, ["network", "user", "time"]);
    assert!(open.system_calls.other_abis && open.proc_sys_writable && open.cgroup_writable && !open.no_new_privs);
    assert_eq!((open.memory_max, open.pids_max), (Some(1 << 20), Some(7)));
}

#[test]
fn a_report_survives_json() {
    let report = Report::new("t", &crate::parse("t", STRICT).unwrap(), &[]);
    let text = serde_json::to_string(&report).unwrap();
    assert_eq!(serde_json::from_str::<Report>(&text).unwrap(), report);
}
