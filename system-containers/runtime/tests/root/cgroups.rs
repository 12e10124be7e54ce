//! Life of a cgroup directory.

use crate::bed::Bed;
use hull_runtime::cgroup::{self, Limits};
use rustix::io::Errno;
use rustix::process::Signal;
use serde_json::json;
use std::time::Duration;

const SOON: Duration = Duration::from_secs(20);

#[test]
fn root_a_running_container_is_seen_killed_and_removed() {
    let bed = Bed::new();
    let mut launch = bed.launch(
        "c",
        "mkdir /sys/fs/cgroup/sub; sleep 100 & echo $! > /sys/fs/cgroup/sub/cgroup.procs; echo up; sleep 100",
        json!({}),
    );
    launch.delegate = true;
    let mut running = bed.start(&launch).expect("start");
    assert_eq!(running.line(), "up");
    let path = &launch.cgroup;
    let pids = cgroup::pids(path).expect("pids");
    assert!(pids.contains(&running.started.pid) && pids.len() >= 2, "{pids:?}");
    let busy = cgroup::remove(path).expect_err("populated");
    assert_eq!(busy.source.raw_os_error(), Some(Errno::BUSY.raw_os_error()));
    let busy = cgroup::create(path, &Limits::default()).expect_err("populated");
    assert_eq!(busy.source.raw_os_error(), Some(Errno::BUSY.raw_os_error()));
    let late = cgroup::wait_empty(path, Duration::from_millis(1)).expect_err("populated");
    assert_eq!(late.source.raw_os_error(), Some(Errno::TIMEDOUT.raw_os_error()));

    cgroup::kill(path).expect("kill");
    cgroup::wait_empty(path, SOON).expect("empty");
    assert_eq!(running.wait().terminating_signal(), Some(Signal::KILL.as_raw()));
    assert!(cgroup::stats(path).expect("stats").cpu_us.is_some());
    cgroup::remove(path).expect("remove");
    assert!(!path.exists());
}

#[test]
fn root_create_replaces_an_empty_leftover() {
    let bed = Bed::new();
    let path = bed.cgroup("c");
    cgroup::create(&path.join("below"), &Limits::default()).expect("create");
    cgroup::create(&path, &Limits::default()).expect("create again");
    assert!(!path.join("below").exists());
}

#[test]
fn root_a_limit_that_cannot_be_set_leaves_no_directory() {
    let bed = Bed::new();
    let path = bed.cgroup("c");
    let error = cgroup::create(&path, &Limits { cpu_weight: Some(u64::MAX), ..Limits::default() });
    let error = error.expect_err("out of range, or no controller");
    assert_eq!(error.path, path.join("cpu.weight"));
    assert!(!path.exists());
}
