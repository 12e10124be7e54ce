//! The table is sound, and only a refusal counts as one.

use super::*;
use std::collections::BTreeSet;
use std::path::Path;

fn attempt(name: &str) -> &'static Attempt {
    all().find(|attempt| attempt.name == name).unwrap()
}

#[test]
fn names_are_unique_calls_the_kernels_and_services_exist() {
    let services = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../system-containers/services"));
    let names: BTreeSet<&str> = all().map(|attempt| attempt.name).collect();
    assert_eq!(names.len(), all().count());
    for Attempt { name, call, may, .. } in all() {
        assert!(hull_service::confinement::SYSTEM_CALLS.contains(call), "{name}: {call}");
        for service in *may {
            assert!(services.join(service).join("service.toml").exists(), "{name}: {service}");
        }
    }
}

#[test]
fn no_refusal_looks_like_success() {
    for attempt in all() {
        // Where the kernel itself lacks the thing nobody may, and its answer is a refusal.
        let told_apart = !attempt.expected("none", &[attempt.call.into()]).contains(&attempt.unconfined());
        assert!(told_apart || attempt.may.is_empty() && attempt.free.is_some(), "{}", attempt.name);
    }
}

#[test]
fn answers_follow_from_service_then_filter() {
    let nosys = Errno::NOSYS.raw_os_error();
    for (name, service, calls, want) in [
        ("set_the_clock", "time", &["clock_settime"][..], 0),
        // Its filter should have the call: that it has not is a fault as well.
        ("set_the_clock", "time", &[], 0),
        ("set_the_clock", "syslog", &[], nosys),
        ("set_the_clock", "syslog", &["clock_settime"], Errno::PERM.raw_os_error()),
        ("make_an_io_uring", "docker", &["io_uring_setup"], Errno::FAULT.raw_os_error()),
    ] {
        let calls: Vec<String> = calls.iter().map(|call| (*call).to_owned()).collect();
        assert_eq!(attempt(name).expected(service, &calls), [want], "{name} {service}");
    }
    // A call that only the filter refuses and that it lets through has no right answer.
    assert_eq!(attempt("use_a_keyring").expected("time", &["keyctl".into()]), [0; 0]);
}

#[test]
fn an_answer_that_is_missing_or_garbled_is_no_refusal() {
    let whole: String = all().map(|attempt| format!("{} 1\n", attempt.name)).collect();
    assert_eq!(inside::answers(&whole).unwrap()["reboot"], 1);
    for text in [String::new(), whole.replace("reboot 1\n", ""), whole.replace("reboot 1", "reboot: not found")] {
        assert!(inside::answers(&text).is_err(), "{text}");
    }
}
