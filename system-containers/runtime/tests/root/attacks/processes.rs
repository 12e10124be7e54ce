//! The runtime's executable, its descriptors and processes, and cgroups.

use super::leaked;
use crate::bed::{Bed, Running, capabilities};
use hull_runtime::Step;
use serde_json::{Value, json};
use std::path::Path;

/// The helper, waiting for a request: a container's program that is the runtime's own file.
const RUNTIME: [&str; 2] = ["/proc/self/exe", "runtime-helper"];

/// Every executable that runs in the container, and what opening it for writing gives.
const WRITE_EXECUTABLES: &str = "for p in /proc/[0-9]*; do test -e $p/exe || continue; readlink $p/exe; (: > $p/exe) 2>&1 && echo OPENED; done; true";

/// Stays, with `changes`, until fed.
fn resident(bed: &Bed, script: &str, changes: Value) -> Running {
    let mut running = bed.start(&bed.launch("c", &format!("echo up; {script}"), changes)).expect("start");
    assert_eq!(running.line(), "up");
    running
}

fn assert_read_only(output: &str) {
    let (failures, links): (Vec<&str>, Vec<&str>) = output.lines().partition(|line| line.contains("can't create"));
    assert!(links.iter().any(|link| !link.ends_with("/busybox")), "the runtime is among them: {output}");
    assert!(failures.len() >= 2 && failures.iter().all(|line| line.ends_with("Read-only file system")), "{output}");
}

#[test]
fn root_cve_2019_5736_the_first_process_cannot_write_the_runtime() {
    let bed = Bed::new();
    let launch = bed.launch("c", "", json!({"process": {"args": RUNTIME}}));
    let running = bed.start_on_socket(&launch).expect("start");
    let exec = bed.exec_of("c", &running, WRITE_EXECUTABLES);
    assert_read_only(&bed.exec(&exec).expect("exec").output());
}

#[test]
fn root_cve_2019_5736_exec_cannot_write_the_runtime() {
    let bed = Bed::new();
    let mut running = resident(&bed, &format!("read go; {WRITE_EXECUTABLES}; echo end; read go"), json!({}));
    let mut exec = bed.exec_of("c", &running, "");
    exec.command = RUNTIME.map(str::to_owned).into();
    // It ends with the bed. The first process could not be waited for before it: it waits for all others.
    let _waiting = bed.exec_on_socket(&exec).expect("exec");
    running.feed();
    let lines = std::iter::repeat_with(|| running.line());
    assert_read_only(&lines.take_while(|line| !["", "end"].contains(&line.as_str())).collect::<Vec<_>>().join("\n"));
}

#[test]
fn root_cve_2024_21626_no_descriptor_of_the_host_is_left_open() {
    let bed = Bed::new();
    let (_host, _) = leaked(Path::new("/"));
    let script = "for f in /proc/self/fd/*; do readlink $f; done | grep -v -e pipe: -e /proc/; true";
    assert_eq!(bed.output(&bed.launch("a", script, json!({}))), "");
    let running = resident(&bed, "read go", json!({}));
    assert_eq!(bed.exec(&bed.exec_of("c", &running, script)).expect("exec").output(), "");
}

#[test]
fn root_cve_2024_21626_the_working_directory_cannot_be_a_descriptor() {
    let bed = Bed::new();
    let (_host, number) = leaked(Path::new("/"));
    let running = resident(&bed, "read go", json!({}));
    for number in (3..16).chain([number]) {
        let cwd = format!("/proc/self/fd/{number}");
        let launch = bed.launch("a", "pwd; ls", json!({"process": {"cwd": cwd}}));
        let error = bed.start(&launch).err().expect("start must fail");
        assert_eq!((error.step, error.path), (Step::WorkingDirectory, Some(cwd.clone().into())));
        let mut exec = bed.exec_of("c", &running, "pwd; ls");
        exec.cwd = cwd.into();
        assert_eq!(bed.exec(&exec).err().expect("exec must fail").step, Step::WorkingDirectory);
    }
}

/// Looks into a joining process for as long as it is one, which a long search for its program makes long, and returns
/// what was seen.
fn look_into_joining(changes: Value) -> String {
    let bed = Bed::new();
    let script = "while :; do for p in /proc/[0-9]*; do
        read -r comm < $p/comm || continue
        case $comm in h[0-9]*-[0-9]*) ;; *) continue ;; esac
        echo seen
        while test -d $p; do
            readlink $p/exe $p/cwd $p/root
            for f in $p/fd/*; do readlink $f; done
        done
        exit 0
        done; done 2> /dev/null";
    let running = resident(&bed, script, changes);
    let mut exec = bed.exec_of("c", &running, "");
    exec.command = vec!["no-such-program".into()];
    exec.env = vec![format!("PATH={}", "/:".repeat(400_000))];
    assert_eq!(bed.exec(&exec).err().expect("exec must fail").step, Step::Program);
    running.output()
}

#[test]
fn root_cve_2016_9962_a_joining_process_cannot_be_looked_into() {
    assert_eq!(look_into_joining(json!({})), "seen\n");
}

#[test]
fn root_cve_2016_9962_a_tracer_finds_no_directory_of_the_host() {
    let output = look_into_joining(json!({"process": {"capabilities": capabilities(&["CAP_SYS_PTRACE"])}}));
    // The read-only executable is "/" of a mount of its own; working directory and root are the container's.
    let kinds = ["/", "/dev/null", "pipe:[", "socket:[", "anon_inode:[pidfd]", "seen"];
    let odd = |line: &&str| {
        !kinds.iter().any(|kind| if kind.starts_with('/') { line == kind } else { line.starts_with(kind) })
    };
    assert!(output.lines().any(|line| line.starts_with("pipe:[")), "it could look: {output}");
    assert_eq!(output.lines().find(odd), None, "{output}");
    // Where even a tracer sees "/", it is one of the three links above, never a descriptor.
    assert!(!output.contains("]\n/\npipe"), "{output}");
}

#[test]
fn root_cgroup_escape_nothing_above_the_own_cgroup_is_reachable() {
    let bed = Bed::new();
    // Only with a namespace of its own, lest a test that fails writes a file of the host.
    let script = "grep -x 0::/ /proc/self/cgroup || exit 0
        mount -t cgroup2 x /mnt && ls /mnt | grep -c cgroup.procs && ls -d /mnt/hull-test-* /mnt/c
        (echo $$ > /sys/fs/cgroup/../cgroup.procs) && echo ESCAPED
        mount -t cgroup -o none,name=hull-test x /tmp && ls /tmp/release_agent && echo ESCAPED; true";
    let changes = json!({"process": {"capabilities": capabilities(&["CAP_SYS_ADMIN", "CAP_DAC_OVERRIDE"])}});
    let mut launch = bed.launch("c", &format!("echo up; read go; exec 2> /dev/null; {script}"), changes);
    launch.delegate = true;
    let mut running = bed.start(&launch).expect("start");
    assert_eq!(running.line(), "up");
    let mut exec = bed.exec_of("c", &running, &format!("exec 2> /dev/null; {script}; umount /mnt"));
    exec.capabilities =
        serde_json::from_value(capabilities(&["CAP_SYS_ADMIN", "CAP_DAC_OVERRIDE"])).expect("capabilities");
    assert_eq!(bed.exec(&exec).expect("exec").output(), "0::/\n1\n");
    running.feed();
    assert_eq!(running.output(), "0::/\n1\n");
}

#[test]
fn root_cve_2022_0492_no_release_agent_is_reached_without_sys_admin() {
    let bed = Bed::new();
    // Looks only: an agent that can be named can be set.
    let script = "exec 2> /dev/null
        mount -t cgroup2 x /mnt && echo MOUNTED
        for v1 in memory cpu devices rdma; do mount -t cgroup -o $v1 x /tmp && ls /tmp/release_agent; done; true";
    let names = ["CAP_DAC_OVERRIDE", "CAP_NET_ADMIN", "CAP_SETUID", "CAP_SYS_CHROOT"];
    let launch = bed.launch("c", script, json!({"process": {"capabilities": capabilities(&names)}}));
    assert_eq!(bed.output(&launch), "");
    let running = resident(&bed, "read go", json!({}));
    let mut exec = bed.exec_of("c", &running, script);
    exec.capabilities = serde_json::from_value(capabilities(&names)).expect("capabilities");
    assert_eq!(bed.exec(&exec).expect("exec").output(), "");
}
